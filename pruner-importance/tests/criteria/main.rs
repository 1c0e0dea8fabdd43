//! The criteria and regularisers against numbers worked out by hand, against loops over single elements, and against their contract.

mod activation;
mod bn_scale;
mod contract;
mod cost_aware;
mod flap;
mod fpgm;
mod grasp;
mod group_fisher;
mod hessian;
mod lamp;
mod magnitude;
mod mix;
mod normalizer;
mod random;
mod readers;
mod reference;
mod regularizers;
mod snip;
mod support;
mod synflow;
mod taylor;
mod taylor_gate;
mod wanda;
