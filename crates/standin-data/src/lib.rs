//! Image sets: the ground every stage of the pipeline stands on.
//!
//! An [`ImageSet`] holds 8-bit images of one [`Shape`], optional integer [`Labels`] with class names, attribute
//! [`Column`]s (group, identity, patient, …) and its [`Provenance`]. Nothing is resized, recoloured or dropped on the
//! way in; what an import leaves out is listed with the reason.
//!
//! [`Seed`] and [`Progress`] are here too because every stage takes them as arguments.

mod digits;
mod duplicates;
mod error;
mod image_set;
mod info;
mod parts;
mod progress;
mod saved;
mod seed;
mod split;

pub use digits::digits;
pub use duplicates::{Duplicate, duplicates_across, duplicates_within, require_disjoint};
pub use error::{Error, Result};
pub use image_set::{Column, ImageSet, Labels, Provenance, Shape, Skipped};
pub use info::{ClassCount, ColumnInfo, Info};
pub use parts::Parts;
pub use progress::{Progress, Silent};
pub use seed::Seed;
pub use split::{Amount, Split, SplitOptions};
