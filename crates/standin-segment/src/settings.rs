use serde::{Deserialize, Serialize};
use standin_nn::{Optimization, Optimizer, Schedule};

use crate::network::REDUCTION;
use crate::{Error, Preprocessing, Result};

/// How a network is trained, whatever the method. The defaults fit half an hour of two cores on volumes of about 90×70×45
/// voxels; docs/segmentation.md has the published ones beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// 3 for volumes; 2 for their slices along the third axis, each on its own.
    pub dimensions: usize,
    /// Channels at full resolution; every level below has twice as many.
    pub width: usize,
    /// Voxels of a patch along right–left, front–back and up–down, after preprocessing; multiples of 16. For slices the last
    /// is 1.
    pub patch: [usize; 3],
    /// Patches of a step.
    pub batch: usize,
    /// How many of them have labels, for methods that use others too.
    pub labelled_per_batch: usize,
    /// Steps.
    pub steps: usize,
    /// Turns gradients into steps; replaced as a whole.
    pub optimizer: Optimizer,
    /// Step length.
    pub learning_rate: f64,
    /// Changes the learning rate over the training.
    pub schedule: Schedule,
    /// Longest gradient; none for no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Share of the steps over which terms on volumes without labels gain their weight.
    pub ramp: f64,
    /// Temperature that sharpens what one decoder is to learn from another.
    pub temperature: f64,
    /// Decay of the teacher's moving average.
    pub teacher_decay: f64,
    /// Noisy passes of the teacher from which uncertainty is estimated.
    pub passes: usize,
    /// Deviation of the noise on what the teacher sees, where intensities have deviation 1.
    pub noise: f64,
    /// Steps between two looks at the validation volumes, where there are any.
    pub validate_every: usize,
    /// What is done to a volume first.
    pub preprocessing: Preprocessing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            dimensions: 3,
            width: 8,
            patch: [48, 48, 32],
            batch: 4,
            labelled_per_batch: 2,
            steps: 1000,
            optimizer: Optimizer::adam(1e-4),
            learning_rate: 2e-3,
            schedule: Schedule::cosine(0.05),
            clip_norm: Some(5.0),
            ramp: 0.4,
            temperature: 0.1,
            teacher_decay: 0.99,
            passes: 8,
            noise: 0.1,
            validate_every: 100,
            preprocessing: Preprocessing::default(),
        }
    }
}

impl Settings {
    /// The settings of a table, with defaults for what it leaves out. Two dimensions change the defaults of the patch and
    /// the batch.
    ///
    /// # Errors
    /// If a key is unknown, or a value of another type or outside its range.
    pub fn read(table: &toml::Table) -> Result<Self> {
        let planar = table.get("dimensions").and_then(toml::Value::as_integer) == Some(2);
        let mut complete = match toml::Value::try_from(Self::default()) {
            Ok(toml::Value::Table(complete)) => complete,
            _ => unreachable!("settings are a table of numbers and tables"),
        };
        if planar {
            complete.insert("patch".into(), toml::Value::from(vec![64, 64, 1]));
            complete.insert("batch".into(), 16.into());
            complete.insert("labelled_per_batch".into(), 8.into());
        }
        for (key, value) in table {
            match (complete.get_mut(key), value) {
                // Preprocessing is set key by key; schedule and optimiser are replaced as a whole.
                (Some(toml::Value::Table(own)), toml::Value::Table(given)) if key == "preprocessing" => {
                    own.extend(given.clone());
                }
                _ => {
                    complete.insert(key.clone(), value.clone());
                }
            }
        }
        let settings =
            Self::deserialize(complete).map_err(|error| Error::Settings { found: error.message().to_owned() })?;
        settings.check()?;
        Ok(settings)
    }

    /// Checks that every setting is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let number = |setting, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::setting(setting, value, format!("it must be from {low} to {high}")))
        };
        let at_least = |setting, value: usize, least: usize| {
            if value >= least { Ok(()) } else { Err(Error::setting(setting, value, format!("give at least {least}"))) }
        };
        if !(2..=3).contains(&self.dimensions) {
            return Err(Error::setting("dimensions", self.dimensions, "give 3 for volumes or 2 for slices"));
        }
        let [x, y, z] = self.patch;
        let whole = |length: usize| length > 0 && length.is_multiple_of(REDUCTION);
        if !(whole(x) && whole(y) && if self.dimensions == 2 { z == 1 } else { whole(z) }) {
            let expected = match self.dimensions {
                2 => format!("give multiples of {REDUCTION} in the plane and 1 across it, such as [64, 64, 1]"),
                _ => format!("give multiples of {REDUCTION}, such as [48, 48, 32]"),
            };
            return Err(Error::setting("patch", format!("{:?}", self.patch), expected));
        }
        at_least("width", self.width, 1)?;
        at_least("batch", self.batch, 1)?;
        at_least("steps", self.steps, 1)?;
        at_least("passes", self.passes, 1)?;
        at_least("validate_every", self.validate_every, 1)?;
        if !(1..=self.batch).contains(&self.labelled_per_batch) {
            let expected = format!("give 1 to {}, the patches of a batch", self.batch);
            return Err(Error::setting("labelled_per_batch", self.labelled_per_batch, expected));
        }
        number("ramp", self.ramp, 0.0, 1.0)?;
        number("temperature", self.temperature, 0.01, 1.0)?;
        number("noise", self.noise, 0.0, 10.0)?;
        self.optimization(false).check()?;
        self.preprocessing.check()
    }

    /// How the parameters are updated.
    pub(crate) fn optimization(&self, has_teacher: bool) -> Optimization {
        Optimization {
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            clip_norm: self.clip_norm,
            average_decay: has_teacher.then_some(self.teacher_decay),
        }
    }

    /// Depth, height and width of a patch: the order of tensors.
    pub(crate) fn patch_shape(&self) -> [usize; 3] {
        let [x, y, z] = self.patch;
        [z, y, x]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings> {
        Settings::read(&toml::from_str(text).unwrap())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(read("").unwrap(), Settings::default());
        let settings = read("steps = 7\n[preprocessing]\ncrop_to_body = false").unwrap();
        assert_eq!((settings.steps, settings.preprocessing.crop_to_body), (7, false));
        assert_eq!(read("dimensions = 2").unwrap().patch, [64, 64, 1]);
        let descent = read("optimizer = { name = \"sgd\", weight_decay = 1e-4 }").unwrap().optimizer;
        assert_eq!(descent, Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-4 });
        assert_eq!(read("schedule = { name = \"constant\" }").unwrap().schedule, Schedule::Constant);
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, says) in [
            ("stps = 7", "stps"),
            ("patch = [40, 48, 32]", "[40, 48, 32]"),
            ("dimensions = 2\npatch = [32, 32, 32]", "1 across it"),
            ("labelled_per_batch = 5", "give 1 to 4"),
            ("learning_rate = -1.0", "learning_rate"),
            ("temperature = 0.0", "temperature"),
            ("[preprocessing]\nspacing = [1.0, 1.0, 0.0]", "spacing"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(says), "{text}: {message}");
        }
    }
}
