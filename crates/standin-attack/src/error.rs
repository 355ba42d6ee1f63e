use standin_data::Shape;

use crate::{Access, Need};

/// What can go wrong with attacks and their evaluation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Embeddings could not be used together.
    #[error(transparent)]
    Encode(#[from] standin_encode::Error),
    /// Features could not be described by their moments.
    #[error(transparent)]
    Measure(#[from] standin_measure::Error),
    /// A density that cannot be estimated.
    #[error(
        "{reason} cannot be computed from the features of released and reference images; use another encoder or attack"
    )]
    Density {
        /// What was to be computed.
        reason: &'static str,
    },
    /// An image set could not be used.
    #[error(transparent)]
    Data(#[from] standin_data::Error),
    /// A bound on ε could not be computed.
    #[error(transparent)]
    Privacy(#[from] standin_privacy::Error),
    /// A classifier could not be trained or asked.
    #[error(transparent)]
    Classify(#[from] standin_classify::Error),
    /// An attack that trains on images, without images.
    #[error("the attack `{attack}` trains a network on the images and was given features of them; give images")]
    NoPictures {
        /// The attack's registered name.
        attack: &'static str,
    },
    /// Images that are not those whose features were given.
    #[error("{found} {what} images for {expected} rows of features; there must be one image for each row")]
    Pictures {
        /// Which set.
        what: &'static str,
        /// Images found.
        found: usize,
        /// Rows of features.
        expected: usize,
    },
    /// A generator could not be asked.
    #[error(transparent)]
    Generate(#[from] standin_generate::Error),
    /// A generator that lacks what the attack works on.
    #[error("the attack needs {need}, which a released {family} is not or does not hold; choose another attack")]
    Release {
        /// The generator's family.
        family: String,
        /// What is missing.
        need: Need,
    },
    /// Images that cannot have anything to do with each other.
    #[error("there are images of {found} where {expected} is expected; give candidates of the shape of the release")]
    Shape {
        /// Shape of some images.
        found: Shape,
        /// Shape that others have, or that a generator draws.
        expected: Shape,
    },
    /// Canaries that cannot be made.
    #[error(
        "{count} canaries were asked for, of {images} images with {classes} classes; there must be at least one canary, no more \
         than images, and two classes for a label to be wrong"
    )]
    Canaries {
        /// How many were asked for.
        count: usize,
        /// Images of the set.
        images: usize,
        /// Classes of the set.
        classes: usize,
    },
    /// Images that cannot be canaries in a set.
    #[error(
        "{count} canaries of {expected} were asked for, and the other set has {images} images of {found}; give at least as many, of \
         the shape of the training images"
    )]
    Foreign {
        /// How many were asked for.
        count: usize,
        /// Images of the other set.
        images: usize,
        /// Their shape.
        found: Shape,
        /// The shape of the training images.
        expected: Shape,
    },
    /// No attack of that name is registered.
    #[error("there is no attack `{name}`; known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The registered names.
        known: String,
    },
    /// The attack cannot use what it was given.
    #[error("the attack needs access to {needed} and was given {given}; choose an attack for {given}")]
    Access {
        /// What the attack works on.
        needed: Access,
        /// What it was given.
        given: Access,
    },
    /// A set without images.
    #[error("there are no {what}; an attack needs at least one")]
    Empty {
        /// Which set.
        what: &'static str,
    },
    /// A calibrated attack without reference images.
    #[error(
        "the attack `{attack}` compares with real reference images and was given none; give real images that are \
         neither members nor candidates, or use the attack without calibration"
    )]
    NoReference {
        /// The attack's registered name.
        attack: &'static str,
    },
    /// Things that should have one entry per candidate and do not.
    #[error("{found} {what} for {expected} candidates; there must be exactly one for each, in the same order")]
    Length {
        /// What was counted.
        what: String,
        /// How many there are.
        found: usize,
        /// How many candidates there are.
        expected: usize,
    },
    /// Logits that do not fill whole rows, or too few classes.
    #[error("{values} logits for rows of {classes} classes; whole rows of at least 2 classes are needed")]
    Ragged {
        /// Number of values.
        values: usize,
        /// Classes per row.
        classes: usize,
    },
    /// Classifiers that disagree about the number of classes.
    #[error("shadow {shadow} has {found} classes and the target {expected}; a shadow must be trained on the same task")]
    Classes {
        /// Index of the shadow.
        shadow: usize,
        /// Its classes.
        found: usize,
        /// The target's classes.
        expected: usize,
    },
    /// A logit that is no number.
    #[error("logit of candidate {candidate}, class {class} is {value}; the classifier diverged, train it again")]
    NotFinite {
        /// Index of the candidate.
        candidate: usize,
        /// Index of the class.
        class: usize,
        /// The value found.
        value: f32,
    },
    /// A label beyond the model's classes.
    #[error("candidate {candidate} has label {label}; the model knows labels 0 to {last}", last = classes - 1)]
    Label {
        /// Index of the candidate.
        candidate: usize,
        /// Its label.
        label: u32,
        /// The number of classes.
        classes: usize,
    },
    /// Shadows whose training sets do not serve every candidate.
    #[error(
        "candidate {candidate} is {side} the training set of {found} of {shadows} shadows; {reason} needs at least \
         {needed}: train more shadows, and assign each candidate to half of them"
    )]
    Shadows {
        /// Index of the candidate.
        candidate: usize,
        /// "in" or "out of".
        side: &'static str,
        /// Shadows on that side.
        found: usize,
        /// All shadows.
        shadows: usize,
        /// Shadows needed on that side.
        needed: usize,
        /// The form of the attack.
        reason: &'static str,
    },
    /// A deviation shared by all candidates, with nothing to estimate it from.
    #[error(
        "no candidate is {side} the training sets of two shadows, so a common deviation cannot be estimated; \
         train more shadows, and assign each candidate to half of them"
    )]
    NoSpread {
        /// "in" or "out of".
        side: &'static str,
    },
    /// Too few scores to evaluate.
    #[error("{found} scores of {what}; the evaluation needs at least 2, so give more candidates")]
    TooFewScores {
        /// "members" or "non-members".
        what: &'static str,
        /// How many there are.
        found: usize,
    },
    /// A score that has no place in any order.
    #[error("score {index} of the {what} is not a number; an attack must rank every candidate")]
    NanScore {
        /// "members" or "non-members".
        what: &'static str,
        /// Index of the score.
        index: usize,
    },
    /// A failure probability outside its range.
    #[error("delta is {delta}; it must be at least 0 and less than 1")]
    Delta {
        /// The value found.
        delta: f64,
    },
    /// An image without an identity.
    #[error("image {image} of {what} has no identity; name one for every image, or leave that image out")]
    Unnamed {
        /// Which set.
        what: &'static str,
        /// Index of the image.
        image: usize,
    },
    /// An identity of which it cannot be told whether it was trained on.
    #[error(
        "identity \"{identity}\"{} in the training and in the holdout set; give holdout identities that the generator never saw",
        if *count == 1 { " is".to_owned() } else { format!(" and {} more are", count - 1) }
    )]
    BothSides {
        /// The first one.
        identity: String,
        /// How many there are.
        count: usize,
    },
    /// A rate outside its range.
    #[error("the false-match rate is {rate}; it must be greater than 0 and less than 1, such as 0.01")]
    FalseMatchRate {
        /// The value found.
        rate: f64,
    },
    /// A quantile outside its range.
    #[error("the quantile of distances is {quantile}; it must be greater than 0 and at most 1, such as 0.001")]
    Quantile {
        /// The value found.
        quantile: f64,
    },
}

/// The result of an attack.
pub type Result<T, E = Error> = std::result::Result<T, E>;
