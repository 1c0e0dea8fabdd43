//! Networks as their authors wrote them, at any width, and a registry to loop over.

pub mod corners;
pub mod decoder;
pub mod densenet;
pub(crate) mod layers;
pub mod maxvit;
pub mod mobilenet;
pub mod plain;
mod random;
pub mod recurrent;
mod registry;
pub mod resnet;
pub mod shufflenet;
pub mod swin;
pub mod unet;
pub mod vit;

pub use random::{random_share, randomize};
pub use registry::{Forward, Spec, all};
