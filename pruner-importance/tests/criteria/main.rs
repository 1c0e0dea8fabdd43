//! The criteria and regularisers against numbers worked out by hand, against loops over single elements, and against their contract.

mod bn_scale;
mod contract;
mod fpgm;
mod lamp;
mod magnitude;
mod mix;
mod normalizer;
mod random;
mod reference;
mod regularizers;
mod support;
mod taylor;
