use serde::{Deserialize, Serialize};
use standin_nn::{Clipping, Privacy};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

/// How a network is trained with differential privacy (DP-SGD, Abadi et al. 2016): the table `privacy` of a classifier.
///
/// The length of the training and the size of its batches are those of the [`Recipe`](crate::Recipe), whose defaults are
/// others with privacy than without.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrivateTraining {
    /// Privacy loss ε to stay within; above 0.
    pub epsilon: f64,
    /// Failure probability; `"auto"` is 1/(N ln N) for N units.
    #[serde(default)]
    pub delta: Delta,
    /// Accept δ ≥ 1/N.
    #[serde(default)]
    pub allow_large_delta: bool,
    /// Whose presence is protected: `"image"`, or `{ group = "patient" }` for all images that share a value in that column.
    #[serde(default = "image")]
    pub unit: Unit,
    /// Where sampling and noise come from: `"secret"`, or `"reproducible"`, which is stamped "not private".
    #[serde(default = "secret")]
    pub noise: NoiseOrigin,
    /// Bounds the influence of one unit.
    #[serde(default)]
    pub clipping: Clipping,
    /// Differently augmented copies of each image in a step, averaged inside its gradient (De et al. 2022); at least 1.
    #[serde(default = "one")]
    pub multiplicity: usize,
    /// Most rows computed at once; at least 1. Memory, and nothing else.
    #[serde(default = "physical_batch")]
    pub physical_batch: usize,
}

fn image() -> Unit {
    Unit::Image
}
fn secret() -> NoiseOrigin {
    NoiseOrigin::Secret
}
fn one() -> usize {
    1
}
fn physical_batch() -> usize {
    256
}

impl PrivateTraining {
    /// Checks everything that can be checked before the training set is known.
    ///
    /// # Errors
    /// Names the first value that is outside its range, and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return Err(format!("`privacy.epsilon` is {}; it must be a number above 0, such as 3.0", self.epsilon));
        }
        if let Delta::Value(delta) = self.delta
            && !(delta > 0.0 && delta < 1.0)
        {
            return Err(format!(
                "`privacy.delta` is {delta}; it must be above 0 and below 1, such as 1e-5, or \"auto\""
            ));
        }
        // A sampling rate and a number of steps that are within their range for any set.
        self.training(1, 1).check(1).map_err(|error| error.to_string())
    }

    /// What is asked for, to be checked against the number of units.
    pub(crate) fn target(&self) -> PrivacyTarget {
        PrivacyTarget { epsilon: self.epsilon, delta: self.delta, allow_large_delta: self.allow_large_delta }
    }

    /// The training of `steps` steps of `batch_size` expected units.
    pub(crate) fn training(&self, batch_size: usize, steps: usize) -> Privacy {
        Privacy {
            clipping: self.clipping,
            batch_size,
            steps,
            noise: self.noise,
            physical_batch: self.physical_batch,
            multiplicity: self.multiplicity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<PrivateTraining, String> {
        let training: PrivateTraining = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        training.check().map(|()| training)
    }

    #[test]
    fn epsilon_is_all_that_must_be_given() {
        let training = read("epsilon = 3").unwrap();
        assert_eq!(training.target(), PrivacyTarget { epsilon: 3.0, delta: Delta::Auto, allow_large_delta: false });
        assert_eq!((&training.unit, training.noise), (&Unit::Image, NoiseOrigin::Secret));
        assert!(read("delta = 1e-5").unwrap_err().contains("epsilon"));
        let training = read("epsilon = 1\nunit = { group = \"patient\" }\nnoise = \"reproducible\"").unwrap();
        assert_eq!(training.unit, Unit::Group("patient".into()));
        assert_eq!(training, toml::Table::try_from(&training).unwrap().try_into().unwrap());
    }

    #[test]
    fn values_outside_their_range_are_named() {
        for (text, word) in [
            ("epsilon = 0.0", "privacy.epsilon"),
            ("epsilon = 1.0\ndelta = 1.5", "privacy.delta"),
            ("epsilon = 1.0\ndelta = \"small\"", "small"),
            ("epsilon = 1.0\nmultiplicity = 0", "multiplicity"),
            ("epsilon = 1.0\nphysical_batch = 0", "physical_batch"),
            ("epsilon = 1.0\nclipping = { name = \"flat\", bound = -1.0 }", "clipping.bound"),
            ("epsilon = 1.0\nsampler = \"shuffled\"", "sampler"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
