use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_nn::{Optimization, Optimizer, Plan, Schedule};

use crate::Augmentation;

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019).
    Adam,
    /// Stochastic gradient descent with Nesterov's momentum (Sutskever et al. 2013).
    Sgd,
}

/// How a network is trained; the same for every network, with or without privacy.
///
/// Every classifier has its own defaults, and others for private training. The length is fixed before training begins:
/// nothing stops early, so no image outside the training set has a say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// How gradients become steps.
    pub optimizer: Method,
    /// Momentum of [`Method::Sgd`], in [0, 1); 0.9 if absent. Refused beside another optimiser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Largest learning rate; above 0.
    pub learning_rate: f64,
    /// Weight decay, at least 0: decoupled with Adam, added to the gradient with SGD.
    pub weight_decay: f64,
    /// How the learning rate changes over the training.
    pub schedule: Schedule,
    /// Passes over the training set, as far as the bounds on steps allow; above 0.
    pub epochs: f64,
    /// Fewest steps, so that small sets are learnt too; at least 1.
    pub fewest_steps: usize,
    /// Most steps; at least `fewest_steps`.
    pub most_steps: usize,
    /// Images a step; at least 1. With privacy the number of units (images or groups of images) expected in a step, all
    /// of them where there are fewer.
    pub batch_size: usize,
    /// Probability spread evenly over all classes, in [0, 1) (Szegedy et al. 2016, section 7).
    pub label_smoothing: f64,
    /// α of MixUp (Zhang et al. 2018); 0 for none.
    pub mixup: f64,
    /// Decay of the moving average of weights that is used in the end, in [0, 1); none for the last step's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_decay: Option<f64>,
    /// Random changes of training images.
    pub augmentation: Augmentation,
}

impl Recipe {
    /// The names of its fields, as they stand in a configuration.
    pub(crate) const KEYS: &[&str] = &[
        "optimizer",
        "momentum",
        "learning_rate",
        "weight_decay",
        "schedule",
        "epochs",
        "fewest_steps",
        "most_steps",
        "batch_size",
        "label_smoothing",
        "mixup",
        "average_decay",
        "augmentation",
    ];

    /// Adam at 2 · 10⁻³ with a cosine schedule and weight decay 0.01, 6 epochs in 200 to 6000 steps of 64 images, nothing
    /// else: small networks without normalisation.
    pub(crate) fn adam() -> Self {
        Self {
            optimizer: Method::Adam,
            momentum: None,
            learning_rate: 2e-3,
            weight_decay: 0.01,
            schedule: Schedule::cosine(0.05),
            epochs: 6.0,
            fewest_steps: 200,
            most_steps: 6000,
            batch_size: 64,
            label_smoothing: 0.0,
            mixup: 0.0,
            average_decay: None,
            augmentation: Augmentation::default(),
        }
    }

    /// Gradient descent with Nesterov's momentum at 0.1, a cosine schedule and weight decay 5 · 10⁻⁴ (Zagoruyko and
    /// Komodakis 2016, section 3), 30 epochs in 400 to 20 000 steps of 128 images: residual networks.
    pub(crate) fn nesterov() -> Self {
        Self {
            optimizer: Method::Sgd,
            learning_rate: 0.1,
            weight_decay: 5e-4,
            epochs: 30.0,
            fewest_steps: 400,
            most_steps: 20_000,
            batch_size: 128,
            ..Self::adam()
        }
    }

    /// With privacy: large batches, so that noise is small beside what many images agree on, at a constant rate, and the
    /// moving average of the weights, which costs no privacy (De et al. 2022, section 3). 20 epochs in 100 to 5000 steps of
    /// 4096 units, rate 2 on gradients clipped to norm 1: the best of a few tried on Fashion-MNIST, which is public.
    pub(crate) fn private() -> Self {
        Self {
            optimizer: Method::Sgd,
            learning_rate: 2.0,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            epochs: 20.0,
            fewest_steps: 100,
            most_steps: 5000,
            batch_size: 4096,
            average_decay: Some(0.99),
            ..Self::adam()
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first that is outside its range, and what is allowed.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.batch_size == 0 || self.fewest_steps == 0 {
            return Err("`batch_size` and `fewest_steps` must be at least 1".into());
        }
        if self.most_steps < self.fewest_steps {
            return Err(format!("`most_steps` is {}, below `fewest_steps` = {}", self.most_steps, self.fewest_steps));
        }
        if !(self.epochs.is_finite() && self.epochs > 0.0) {
            return Err(format!("`epochs` is {}; it must be a number above 0", self.epochs));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(format!("`label_smoothing` is {}; it must be at least 0 and below 1", self.label_smoothing));
        }
        if !(self.mixup.is_finite() && self.mixup >= 0.0) {
            return Err(format!("`mixup` is {}; it must be a number of at least 0", self.mixup));
        }
        if self.optimizer != Method::Sgd && self.momentum.is_some() {
            return Err("`momentum` belongs to `optimizer` = \"sgd\"; leave it out, or choose that".into());
        }
        self.augmentation.check()?;
        self.optimization().check().map_err(|error| error.to_string())
    }

    /// The part that turns gradients into weights.
    pub(crate) fn optimization(&self) -> Optimization {
        let optimizer = match self.optimizer {
            Method::Adam => Optimizer::adam(self.weight_decay),
            Method::Sgd => {
                let momentum = self.momentum.unwrap_or(0.9);
                Optimizer::Sgd { momentum, nesterov: true, weight_decay: self.weight_decay }
            }
        };
        Optimization {
            optimizer,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            clip_norm: None,
            average_decay: self.average_decay,
        }
    }

    /// Steps for a training set of `examples` images (or units).
    pub(crate) fn steps(&self, examples: usize) -> usize {
        let epochs = Plan::epochs(examples, self.batch_size, self.epochs, Seed::new(0));
        epochs.steps.clamp(self.fewest_steps, self.most_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_a_known_key() {
        let full = Recipe { momentum: Some(0.5), average_decay: Some(0.5), ..Recipe::adam() };
        let table = toml::Table::try_from(full).unwrap();
        assert_eq!(table.len(), Recipe::KEYS.len());
        assert!(Recipe::KEYS.iter().all(|key| table.contains_key(*key)));
        assert_eq!(Recipe::deserialize(table).unwrap(), full);
    }

    #[test]
    fn small_sets_get_the_fewest_steps_and_large_ones_the_most() {
        let steps = [700, 60_000, 10_000_000].map(|images| Recipe::adam().steps(images));
        assert_eq!(steps, [200, 5628, 6000]);
    }

    #[test]
    fn values_outside_their_range_are_named() {
        for (recipe, word) in [
            (Recipe { epochs: f64::NAN, ..Recipe::adam() }, "epochs"),
            (Recipe { mixup: -0.1, ..Recipe::adam() }, "mixup"),
            (Recipe { momentum: Some(0.9), ..Recipe::adam() }, "sgd"),
            (Recipe { momentum: Some(1.0), ..Recipe::nesterov() }, "momentum"),
            (Recipe { most_steps: 1, ..Recipe::adam() }, "fewest_steps"),
            (Recipe { schedule: Schedule::Step { every: 2.0, factor: 0.1 }, ..Recipe::adam() }, "schedule.every"),
        ] {
            let message = recipe.check().unwrap_err();
            assert!(message.contains(word), "{message}");
        }
    }
}
