use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Outcome;

/// What a measure says something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Do synthetic images look like real ones?
    Fidelity,
    /// Are all kinds of real images there?
    Variety,
    /// Are synthetic images nearer to training images than new real ones are?
    Copying,
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fidelity => "fidelity",
            Self::Variety => "variety",
            Self::Copying => "copying",
        })
    }
}

/// The real images that synthetic ones are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// Those the generator saw.
    Train,
    /// Those it did not see: a copy gains nothing here.
    Holdout,
    /// None: the measure looks at the synthetic images alone.
    Nothing,
}

impl fmt::Display for Against {
    /// "train", "holdout", or nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Holdout => "holdout",
            Self::Nothing => "",
        })
    }
}

/// One measure of one set of synthetic images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// The measure's registered name.
    pub measure: String,
    /// What it is about.
    pub aspect: Aspect,
    /// The real images compared with.
    pub against: Against,
    /// The value, or why there is none.
    pub outcome: Outcome,
    /// The same with holdout images in the place of the synthetic ones, where that makes sense: what a perfect
    /// generator would get.
    pub reference: Option<Outcome>,
    /// Which way is better: "higher", "lower", or the best value.
    pub better: String,
    /// Parameters and sizes; the embedding's stamp is not repeated.
    pub parameters: String,
}
