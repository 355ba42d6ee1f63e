//! Segmentation of volumes with few labels: training, prediction, overlap and surface distances.
//!
//! A [`Volume`] is a three-dimensional image on a [`Grid`], which says where in the body each voxel lies. Intensities
//! and labels are volumes of `f32` and `u32`; both are read from and written to NIfTI-1 files, with the grid kept.
//!
//! How good a predicted segmentation is takes two kinds of numbers, because each is blind where the other sees:
//! - *overlap* ([`Overlap`]: Dice, Jaccard) counts voxels, so it hardly notices a thin spur that reaches far away;
//! - *surface distances* ([`SurfaceDistances`]: average, 95 % Hausdorff, in millimetres) measure how far the two
//!   surfaces lie apart, so they hardly notice how large the object is.
//!
//! [`evaluate`] scores a folder of predictions against a folder of references, one pair of files at a time.
//!
//! A [`Training`] teaches a network from few volumes with labels and many without, by one of the [`METHODS`]; a [`Model`]
//! predicts. Volumes that are held out are learnt from in no way: a [`Cohort`] refuses it.
//!
//! # Conventions
//! Published tables differ in conventions that are rarely stated. The ones here:
//! - Label 0 is background and is not scored.
//! - A label that is in neither volume of a pair is not scored there: 0/0 is no success. The number of such volumes is
//!   reported as `absent`.
//! - A label that is in exactly one of the two scores Dice 0 and Jaccard 0, and has no surface distance. Neither 0 nor
//!   any substitute enters the mean; the number of such volumes is reported as `without_distance`.
//! - The surface of an object is its voxels with a face neighbour outside the object; outside the volume counts as
//!   outside the object. This is the surface of MedPy and most published tables.
//! - *Average surface distance* without further words is the directed one, from the prediction's surface to the
//!   reference's, as in MedPy's `asd` and the left atrium tables that use it; the symmetric one stands beside it.
//!
//! ```no_run
//! use standin_data::Silent;
//! let evaluation = standin_segment::evaluate("predictions".as_ref(), "references".as_ref(), &Silent)?;
//! for label in &evaluation.labels {
//!     println!("label {}: Dice {}, 95HD {} mm", label.label, label.dice, label.hausdorff_95);
//! }
//! # Ok::<(), standin_data::Error>(())
//! ```

mod cohort;
mod comparison;
mod distance_transform;
mod error;
mod evaluation;
mod folds;
mod grid;
mod interval;
pub mod losses;
mod methods;
mod model;
mod names;
pub mod network;
mod overlap;
mod overlay;
mod patches;
mod predict;
mod preprocess;
mod settings;
mod surface;
mod train;
mod volume;

pub use cohort::{Case, Cohort, CohortNames, Division, Labelled, Unlabelled};
pub use comparison::{PairedScore, compare};
pub use distance_transform::squared_distance_transform;
pub use error::{Error, Result};
pub use evaluation::{Evaluation, LabelScores, LabelSummary, SurfaceScores, VolumeScores, evaluate, evaluate_only};
pub use folds::Fold;
pub use grid::Grid;
pub use interval::mean;
pub use methods::{METHODS, Method, method};
pub use model::{Description, Model, Selection};
pub use names::{Role, read_list, volumes};
pub use overlap::{Overlap, overlaps};
pub use overlay::{Overlay, Plane};
pub use predict::Sliding;
pub use preprocess::{Intensity, Prepared, Preprocessing, read_image};
pub use settings::Settings;
pub use surface::{SurfaceDistances, surface};
pub use train::{Examples, Trained, Training};
pub use volume::{IntensityVolume, LabelVolume, Volume};
