//! One standalone report of a study: HTML for people, Markdown for a pull request, JSON for scripts.
//!
//! A study leaves a folder with `summary.json` (a [`standin_bench::summary::Summary`]) and the pictures it names.
//! [`Report::load`] reads and checks the folder; the report then renders without touching the disk again:
//!
//! ```no_run
//! # fn main() -> Result<(), standin_report::Error> {
//! use std::path::Path;
//! use standin_report::{Document, Report};
//!
//! let report = Report::load(Path::new("runs/3f2a"))?;
//! report.write(Path::new("report"), false)?;
//! # Ok(())
//! # }
//! ```
//!
//! The HTML is one file that opens offline: style, script and pictures are inside it, and it is complete without the
//! script, which only sorts tables and switches between light and dark. Plots are SVG drawn from pure functions of the
//! numbers, and each has a table with the same numbers.
//!
//! A section with nothing to show is left out, so the page of an audit of images made elsewhere has no questions about
//! generators, and that of a single set no ranking.
//!
//! What the report adds to the summary is what follows from its numbers alone: the strongest attack on each release,
//! the ceiling its guarantee puts on any attack, and contradictions between the two, which it prints before anything
//! else. It measures nothing itself, and the verdict is the summary's.
//!
//! A near-copy gallery shows private training images. [`Report::without_training_pictures`] leaves them out of a page
//! that is to be passed on.

mod augmentation;
mod cell;
mod compare;
mod document;
mod error;
mod fold;
mod glossary;
mod identities;
mod leakage;
mod markdown;
mod number;
mod picture;
mod plot;
mod reading;
mod report;
mod section;
mod segmentation;
mod timing;
mod words;

pub use augmentation::Augmentation;
pub use compare::{ComparedRelease, Comparison, Figure, Setting, Side};
pub use document::Document;
pub use error::{Error, Result};
pub use identities::{Identities, IdentitySet, ShownPair};
pub use plot::{BudgetPoint, budget_curve};
pub use report::Report;
pub use segmentation::{Segmentation, SegmentationRun, VolumePictures};
pub use timing::Timing;
