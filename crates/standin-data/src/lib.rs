//! Image sets: the ground every stage of the pipeline stands on.
//!
//! An [`ImageSet`] holds 8-bit images of one [`Shape`], optional integer [`Labels`] with class names, attribute
//! [`Column`]s (group, identity, patient, …) and its [`Provenance`]. Nothing is resized, recoloured or dropped on the
//! way in; what an import leaves out is listed with the reason.
//!
//! - [`import`] reads any form the field uses and keeps official divisions as [`Parts`]; [`get`] fetches the public sets
//!   of [`DATASETS`]; [`digits`] is compiled in.
//! - [`Split`] and [`Sides`] divide a set into train, holdout and test, with groups (patients, identities) never on two sides.
//! - [`duplicates_across`] and [`require_disjoint`] find images that lie on two sides after all.
//! - [`ImageSet::save`] and [`ImageSet::open`] are the form stages exchange; [`export`] writes for other tools.
//!
//! ```
//! use standin_data::{Seed, Split, SplitOptions, digits, require_disjoint};
//!
//! let set = digits();
//! let split = Split::new(&set, &SplitOptions::default(), Seed::new(7))?;
//! let sides = split.sides(&set);
//! assert_eq!(sides.train.len() + sides.holdout.len() + sides.test.len(), set.len());
//! require_disjoint(&sides.named())?;
//! # Ok::<(), standin_data::Error>(())
//! ```
//!
//! [`Seed`] and [`Progress`] are here too because every stage takes them as arguments.

mod align;
mod datasets;
mod digits;
mod duplicates;
mod error;
mod export;
mod get;
mod image_set;
mod import;
mod info;
mod labels;
mod load;
mod parts;
mod progress;
mod saved;
mod seed;
mod sides;
mod sink;
mod skin_tone;
mod source;
mod split;

pub use align::{LANDMARK_COLUMNS, align_faces};
pub use datasets::{Checksum, DATASETS, Dataset, RemoteFile};
pub use digits::digits;
pub use duplicates::{Duplicate, duplicates_across, duplicates_within, require_disjoint, without_duplicates};
pub use error::{Error, Result};
pub use export::{ExportFormat, Exported, export, first_of_each_class, png_bytes, write_grid, write_png};
pub use get::get;
pub use image_set::{Column, ImageSet, Provenance, Shape, Skipped};
pub use import::{Alpha, Channels, Format, ImportOptions, Size, Window, import, import_to};
pub use info::{ClassCount, ColumnInfo, Info};
pub use labels::Labels;
pub use load::{load, load_to};
pub use parts::Parts;
pub use progress::{Progress, Silent};
pub use seed::Seed;
pub use sides::Sides;
pub use skin_tone::{SKIN_TONE, SkinTones};
pub use source::Source;
pub use split::{Amount, Split, SplitOptions};
