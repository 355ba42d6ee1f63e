use std::path::{Path, PathBuf};

/// What can go wrong with generators and sampling, each with the finding and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An image set could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// A network could not be trained, saved or loaded.
    #[error(transparent)]
    Network(#[from] standin_nn::Error),
    /// Features could not be computed or compared.
    #[error(transparent)]
    Encode(#[from] standin_encode::Error),
    /// The privacy target cannot be met or is not one.
    #[error(transparent)]
    Privacy(#[from] standin_privacy::Error),
    /// No generator of that name is registered.
    #[error("there is no generator `{name}`; known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The registered names.
        known: String,
    },
    /// The options of a generator could not be read.
    #[error("options of the generator `{family}`: {reason}")]
    Options {
        /// The generator's name.
        family: &'static str,
        /// What is wrong with which option, and what was expected.
        reason: String,
    },
    /// A private generator without a privacy target.
    #[error(
        "the generator `{family}` is private and was given no privacy target; set epsilon (and delta), or choose a \
         generator without a guarantee"
    )]
    TargetMissing {
        /// The generator's name.
        family: &'static str,
    },
    /// A privacy target for a generator that cannot keep it.
    #[error(
        "the generator `{family}` gives no guarantee and cannot meet a privacy target; remove epsilon and delta, or \
         choose a private generator: {private}"
    )]
    TargetNotOffered {
        /// The generator's name.
        family: &'static str,
        /// The names of the private ones.
        private: String,
    },
    /// A unit of privacy that a generator cannot protect.
    #[error(
        "the generator `{family}` can protect single images alone, not all images that share a value of `{column}`; \
         leave the unit out if images are independent, or choose a generator trained by clipped gradients"
    )]
    UnitNotOffered {
        /// The generator's name.
        family: &'static str,
        /// The column that names the units.
        column: String,
    },
    /// Public images are missing.
    #[error(
        "the generator `{family}` learns from public images first and was given none; name some that need no protection"
    )]
    PublicMissing {
        /// The generator's name.
        family: &'static str,
    },
    /// Public images for a generator that cannot use them.
    #[error("the generator `{family}` has no use for public images, and was given {set}; leave them out")]
    PublicOfNoUse {
        /// The generator's name.
        family: &'static str,
        /// The public set.
        set: String,
    },
    /// Public images of another shape.
    #[error("the public images of {set} are {found}, and the private ones {expected}; resize them before")]
    PublicShape {
        /// The public set.
        set: String,
        /// The shape of its images.
        found: standin_data::Shape,
        /// The shape of the private images.
        expected: standin_data::Shape,
    },
    /// Public images, or what draws them, that have a guarantee: there were private images behind it.
    #[error(
        "{set} has a privacy guarantee ({guarantee}), so it was made from private images; what it tells of them is charged to no \
         budget here: give images that need no protection, or what was made from such"
    )]
    PublicWithGuarantee {
        /// The set or the generator.
        set: String,
        /// Its guarantee.
        guarantee: String,
    },
    /// A program that makes images does not.
    #[error("the command `{command}` {found}; docs/generators.md says what it is asked and how it answers")]
    Command {
        /// The program and its arguments.
        command: String,
        /// What it did.
        found: String,
    },
    /// A control that a generator does not have.
    #[error("the generator `{family}` has no {control}; {remedy}")]
    ControlNotOffered {
        /// The generator's name.
        family: String,
        /// What the request asked for.
        control: &'static str,
        /// What it has.
        remedy: String,
    },
    /// A folder for checkpoints or samples could not be made, or a picture not be written.
    #[error("{}: {action} failed: {source}", path.display())]
    Work {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The training set cannot be used by this generator.
    #[error("the generator `{family}` cannot train on {set}: {found}; {remedy}")]
    Training {
        /// The generator's name.
        family: &'static str,
        /// The training set.
        set: String,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// Images of another shape than those an encoder was trained on.
    #[error("the encoder `{family}` was trained on images of {trained}, and {found}; resize them before")]
    Encoding {
        /// The encoder's name.
        family: &'static str,
        /// The set and the shape of its images.
        found: String,
        /// The shape of training.
        trained: standin_data::Shape,
    },
    /// A request for samples that cannot be met.
    #[error("sampling: {found}; {remedy}")]
    Request {
        /// What was asked.
        found: String,
        /// What was expected and what to do.
        remedy: String,
    },
    /// A file is not what a saved generator consists of.
    #[error("{}: {found}; {remedy}", path.display())]
    Invalid {
        /// The file or folder.
        path: PathBuf,
        /// What was found.
        found: String,
        /// What was expected and what to do.
        remedy: &'static str,
    },
}

/// The result of generating.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn request(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Request { found: found.into(), remedy: remedy.into() }
    }

    pub(crate) fn invalid(path: &Path, found: impl Into<String>, remedy: &'static str) -> Self {
        Self::Invalid { path: path.to_path_buf(), found: found.into(), remedy }
    }
}
