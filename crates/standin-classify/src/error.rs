use std::path::{Path, PathBuf};

use standin_data::Shape;

/// What can go wrong with classifiers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image set could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// Features could not be computed.
    #[error(transparent)]
    Encode(#[from] standin_encode::Error),
    /// The privacy that is asked for cannot be had.
    #[error(transparent)]
    Privacy(#[from] standin_privacy::Error),
    /// Training or weights.
    #[error(transparent)]
    Network(#[from] standin_nn::Error),
    /// A configuration that does not fit the family.
    #[error("classifier `{classifier}`: {reason}")]
    Configuration {
        /// The classifier's name.
        classifier: &'static str,
        /// The key, what was found and what was expected.
        reason: String,
    },
    /// No classifier of that name.
    #[error("there is no classifier `{name}`; known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The registered names.
        known: String,
    },
    /// A training set that has nothing to tell apart.
    #[error(
        "{set} has {images} images of {present} of its {classes} classes; a classifier needs images of at least two \
         classes"
    )]
    TooFewClasses {
        /// The training set.
        set: String,
        /// Its number of images.
        images: usize,
        /// Classes with at least one image.
        present: usize,
        /// Classes named.
        classes: usize,
    },
    /// A test set whose classes are not those of training.
    #[error(
        "{set} has the classes {found}, the classifier was trained on {expected}; both need the same names in the same \
         order"
    )]
    OtherClasses {
        /// The test set.
        set: String,
        /// Its classes.
        found: String,
        /// The classes of training.
        expected: String,
    },
    /// Images of another shape than those of training.
    #[error("{set} has images of {found}, the classifier was trained on {expected}; resize them before")]
    OtherShape {
        /// The set.
        set: String,
        /// Its shape.
        found: Shape,
        /// The shape of training.
        expected: Shape,
    },
    /// Images too small to convolve, or of another kind than the classifier takes.
    #[error("classifier `{classifier}` cannot take images of {shape}; {remedy}")]
    Shape {
        /// The classifier's name.
        classifier: &'static str,
        /// The images' shape.
        shape: Shape,
        /// What it takes.
        remedy: &'static str,
    },
    /// A file could not be read or written.
    #[error("{}: {action} failed: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A saved classifier that is not what it should be.
    #[error("{}: {found}; it must be a classifier this program saved, unchanged: train it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
}

/// The result of fitting, using or storing a classifier.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { action, path, source }
    }

    pub(crate) fn damaged(path: &Path, found: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_path_buf(), found: found.into() }
    }
}
