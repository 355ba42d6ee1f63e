use serde::{Deserialize, Serialize};

/// What one stage of a study cost. Kept out of the summary, whose bytes depend on the configuration and the data alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// The kind of stage, such as "train generator".
    pub stage: String,
    /// What it worked on, such as the generator's name and the seed.
    pub name: String,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Peak memory of the process during the stage in MiB, where it was measured.
    pub mebibytes: Option<f64>,
}
