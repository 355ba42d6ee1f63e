//! Loss terms, each a pure function of what a decoder says of a batch.
//!
//! A term adds its gradient, times its weight, to what other terms have left there, and returns its value. They are
//! written on slices because a term touches every voxel: composed of tensor operations each would be a dozen passes.

mod answer;
mod consistency;
mod contrast;
mod cross_entropy;
mod dice;
mod masked;
mod ramp;

pub use answer::{Answer, Maps};
pub use consistency::{mutual_consistency, squared_difference};
pub use contrast::contrast;
pub use cross_entropy::cross_entropy;
pub use dice::dice;
pub use masked::{certain_difference, entropy};
pub use ramp::ramp;
