//! demo
pub mod net;
