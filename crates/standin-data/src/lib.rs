//! Image sets: the ground every stage of the pipeline stands on.
//!
//! An [`ImageSet`] holds 8-bit images of one [`Shape`], optional integer [`Labels`] with class names, attribute
//! [`Column`]s (group, identity, patient, …) and its [`Provenance`]. Nothing is resized, recoloured or dropped on the
//! way in; what an import leaves out is listed with the reason.
//!
//! [`Seed`] and [`Progress`] are here too because every stage takes them as arguments.

mod error;
mod image_set;
mod progress;
mod seed;

pub use error::{Error, Result};
pub use image_set::{Column, ImageSet, Labels, Provenance, Shape, Skipped};
pub use progress::{Progress, Silent};
pub use seed::Seed;
