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
