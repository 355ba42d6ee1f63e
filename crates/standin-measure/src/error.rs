/// What can go wrong while measuring. Too few images is no error: see [`crate::Outcome::NotMeasurable`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Embeddings that do not fit together, or an impossible search.
    #[error(transparent)]
    Encode(#[from] standin_encode::Error),
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
