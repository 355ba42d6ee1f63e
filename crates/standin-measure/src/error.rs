use std::path::PathBuf;

use standin_encode::{Embedding, Metric};

/// What can go wrong while measuring. Too few images is no error: see [`crate::Outcome::NotMeasurable`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Embeddings that do not fit together, or an impossible search.
    #[error(transparent)]
    Encode(#[from] standin_encode::Error),
    /// An image set could not be used, or a file not be read or written.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// The measure needs features in which sums and products mean something, not codes.
    #[error(
        "{measure} of {stamp}: codes that compare by the Hamming distance have no means or products; use an encoder with \
         continuous features"
    )]
    NeedsEuclidean {
        /// The measure.
        measure: &'static str,
        /// The features' stamp.
        stamp: String,
    },
    /// No measure of that name is registered.
    #[error("there is no measure `{name}`; did you mean `{nearest}`? Known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The registered name most like it.
        nearest: &'static str,
        /// The registered names.
        known: String,
    },
    /// No convention has that name.
    #[error("there is no convention `{name}`; choose one of {known}")]
    UnknownConvention {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The tool that a convention is named after takes no such measure.
    #[error(
        "`{measure}` is not taken by the convention `{convention}`, which has {taken}; name one of these, or choose `prdc`"
    )]
    NotInConvention {
        /// The measure asked for.
        measure: &'static str,
        /// The convention.
        convention: &'static str,
        /// The measures it has.
        taken: String,
    },
    /// A set is too small for the definition of a measure.
    #[error("{measure} of {rows} images; it is defined for at least {needed}")]
    TooFew {
        /// The measure.
        measure: &'static str,
        /// Images given.
        rows: usize,
        /// Images needed.
        needed: usize,
    },
    /// An order of the Vendi score that is not defined.
    #[error("the Vendi score of order {order}; the order must be a number above 0, such as 0.5, 1, 2 or inf")]
    Order {
        /// The order asked for.
        order: f64,
    },
    /// Sets that must have one size have two.
    #[error("{measure} with {train} training and {holdout} holdout images; it needs equally many, so trim one set")]
    Unequal {
        /// The measure.
        measure: &'static str,
        /// Training images.
        train: usize,
        /// Holdout images.
        holdout: usize,
    },
    /// Probabilities that do not fill whole rows.
    #[error("{values} probabilities of {classes} classes; give one value per class for every image")]
    RaggedProbabilities {
        /// Values given.
        values: usize,
        /// Classes.
        classes: usize,
    },
    /// An image's class probabilities are none.
    #[error(
        "the probabilities of image {image} sum to {sum}{}; give the classifier's softmax output, not its logits",
        .worst.map(|value| format!(" and one is {value}")).unwrap_or_default()
    )]
    NoDistribution {
        /// The image, counted from 0.
        image: usize,
        /// Their sum.
        sum: f64,
        /// A value that is negative or not finite, if there is one.
        worst: Option<f64>,
    },
    /// A score over more splits than the images allow.
    #[error("a class score over {splits} splits of {images} images; take at least 1 split, of at least 2 images each")]
    Splits {
        /// Splits asked for.
        splits: usize,
        /// Images given.
        images: usize,
    },
    /// No cell of the partition can be tested for copies.
    #[error(
        "the data-copying statistic: none of {cells} cells holds 20 of the {synthetic} synthetic and one of the \
         {holdout} holdout images; ask for fewer cells or give more images"
    )]
    NoCell {
        /// Cells of the partition.
        cells: usize,
        /// Synthetic images.
        synthetic: usize,
        /// Holdout images.
        holdout: usize,
    },
    /// A share of false matches that is none.
    #[error("a false-match rate of {rate}; it is the share of holdout images taken for copies: above 0 and below 1")]
    FalseMatchRate {
        /// The rate asked for.
        rate: f64,
    },
    /// A table could not be written.
    #[error("{}: writing the table failed: {source}; check that the folder exists and has space left", path.display())]
    Write {
        /// The table's file.
        path: PathBuf,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// An iterative decomposition did not converge.
    #[error("the {decomposition} of a {rows}×{columns} matrix did not converge; check the features for extreme values")]
    NoConvergence {
        /// The decomposition.
        decomposition: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
}

/// The result of measuring.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Fails if a set is smaller than a measure's definition allows.
pub(crate) fn require_rows(measure: &'static str, rows: usize, needed: usize) -> Result<()> {
    if rows < needed { Err(Error::TooFew { measure, rows, needed }) } else { Ok(()) }
}

/// Fails on codes that compare by the Hamming distance, for measures that compute with the values themselves.
pub(crate) fn require_euclidean(measure: &'static str, set: &Embedding) -> Result<()> {
    match set.stamp().metric {
        Metric::Euclidean => Ok(()),
        Metric::Hamming => Err(Error::NeedsEuclidean { measure, stamp: set.stamp().to_string() }),
    }
}
