use serde::de::DeserializeOwned;
use standin_data::{ImageSet, Progress, Seed, Shape};
use standin_nn::{DeviceChoice, Plan, fit, loss};

use crate::classifier::require_classes;
use crate::input::{Input, Scattering};
use crate::mixup::Mixture;
use crate::network::{Architecture, Design, Network};
use crate::standardise::{Constants, Standardisation};
use crate::trained::{Description, TrainedNetwork};
use crate::{Classifier, Error, Recipe, Result, TrainedClassifier};

/// A network of some design and the way it is trained: the one path from a configuration to a [`TrainedNetwork`].
#[derive(Clone, Debug)]
pub(crate) struct NetworkClassifier<D: Design> {
    name: &'static str,
    design: D,
    settings: D::Settings,
    recipe: Recipe,
    sight: Sight,
}

/// What the network will see of an image.
#[derive(Clone, Debug)]
pub(crate) enum Sight {
    /// Pixels, standardised with the means and deviations of the training set or with constants.
    Pixels(Option<Constants>),
    /// Scattering features, normalised in this many groups of planes, or as many as divide them.
    Scattering {
        /// Most groups; at least 1.
        groups: usize,
    },
}

impl Sight {
    /// The key of its setting.
    fn key(&self) -> &'static str {
        match self {
            Self::Pixels(_) => "standardisation",
            Self::Scattering { .. } => "feature_groups",
        }
    }
}

impl<D: Design> NetworkClassifier<D> {
    /// The classifier where nothing is set.
    pub(crate) fn new(name: &'static str, design: D, recipe: Recipe, sight: Sight) -> Self {
        Self { name, settings: design.defaults(), design, recipe, sight }
    }

    /// The classifier with the settings of a table. A setting that is left out has its default; a table within it replaces
    /// the whole of its default.
    ///
    /// # Errors
    /// If a key is unknown, or a value of another type or outside its range.
    pub(crate) fn configured(self, table: &toml::Table) -> Result<Self> {
        let mut settings = self.table_of(&self.settings);
        let mut recipe = self.table_of(&self.recipe);
        let mut sight = self.sight.clone();
        for (key, value) in table {
            if D::KEYS.contains(&key.as_str()) {
                settings.insert(key.clone(), value.clone());
            } else if Recipe::KEYS.contains(&key.as_str()) {
                recipe.insert(key.clone(), value.clone());
            } else if key == sight.key() {
                sight = match sight {
                    Sight::Pixels(_) => Sight::Pixels(Some(self.read(value.clone())?)),
                    Sight::Scattering { .. } => Sight::Scattering { groups: self.read(value.clone())? },
                };
            } else {
                let known: Vec<&str> = D::KEYS.iter().chain(Recipe::KEYS).copied().chain([self.sight.key()]).collect();
                return Err(self.refused(format!("unknown key `{key}`; known are {}", known.join(", "))));
            }
        }
        let (settings, recipe) = (self.read(settings.into())?, self.read(recipe.into())?);
        Self { settings, recipe, sight, ..self }.checked()
    }

    fn checked(self) -> Result<Self> {
        self.design.check(&self.settings).map_err(|reason| self.refused(reason))?;
        self.recipe.check().map_err(|reason| self.refused(reason))?;
        match &self.sight {
            Sight::Pixels(constants) => {
                constants.iter().try_for_each(Constants::check).map_err(|reason| self.refused(reason))?;
            }
            Sight::Scattering { groups: 0 } => return Err(self.refused("`feature_groups` must be at least 1")),
            Sight::Scattering { .. } if !self.recipe.augmentation.is_none() => {
                let reason = "`augmentation` changes pixels, and scattering features are computed once; leave it out";
                return Err(self.refused(reason));
            }
            Sight::Scattering { .. } => {}
        }
        Ok(self)
    }

    /// Every setting with its value, as [`NetworkClassifier::configured`] takes them.
    pub(crate) fn options(&self) -> toml::Table {
        let mut table = self.table_of(&self.settings);
        table.extend(self.table_of(&self.recipe));
        match &self.sight {
            Sight::Pixels(None) => {}
            Sight::Pixels(Some(constants)) => {
                table.insert(self.sight.key().into(), self.table_of(constants).into());
            }
            Sight::Scattering { groups } => {
                table.insert(self.sight.key().into(), toml::Value::Integer(*groups as i64));
            }
        }
        table
    }

    fn table_of(&self, settings: &impl serde::Serialize) -> toml::Table {
        toml::Table::try_from(settings).expect("settings are numbers, words and tables of them")
    }

    fn read<T: DeserializeOwned>(&self, value: toml::Value) -> Result<T> {
        T::deserialize(value).map_err(|error| self.refused(error.message()))
    }

    fn refused(&self, reason: impl Into<String>) -> Error {
        Error::Configuration { classifier: self.name, reason: reason.into() }
    }

    /// How these images will be seen.
    fn input(&self, train: &ImageSet) -> Result<Input> {
        match &self.sight {
            Sight::Pixels(None) => Ok(Input::Standardisation(Standardisation::per_channel(train))),
            Sight::Pixels(Some(constants)) => {
                let standardisation = constants.standardisation(train.shape().channels);
                Ok(Input::Standardisation(standardisation.map_err(|reason| self.refused(reason))?))
            }
            Sight::Scattering { groups } => {
                let planes = standin_encode::scattering_planes(train.shape())?.channels;
                let groups = (1..=*groups).rev().find(|groups| planes.is_multiple_of(*groups)).unwrap_or(1);
                Ok(Input::Scattering(Scattering { groups }))
            }
        }
    }

    fn architecture(&self, seen: Shape, images: Shape) -> Result<D::Architecture> {
        let refused = |remedy| Error::Shape { classifier: self.name, shape: images, remedy };
        self.design.architecture(&self.settings, seen).map_err(refused)
    }

    /// As [`Classifier::fit`], with the concrete type.
    ///
    /// # Errors
    /// As [`Classifier::fit`].
    pub(crate) fn train(
        &self,
        train: &ImageSet,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<TrainedNetwork<D::Architecture>> {
        let labels = require_classes(train)?;
        let classes = labels.classes.len();
        let input = self.input(train)?;
        let seen = input.shape(train.shape())?;
        let architecture = self.architecture(seen, train.shape())?;
        let device = DeviceChoice::Cpu.training();
        let network = architecture.build(seen, classes, seed.derive("weights"), &device);
        let recipe = &self.recipe;
        let plan = Plan::steps(train.len(), recipe.batch_size, recipe.steps(train.len()), seed.derive("order"));
        let examples = input.examples(train, progress)?;
        let fitted = fit(network, &recipe.optimization(), &plan, None, progress, |network: &NetworkOf<D>, batch| {
            let own: Vec<u32> = batch.indices.iter().map(|&index| labels.values[index]).collect();
            let mut targets = loss::smoothed_targets(&own, classes, recipe.label_smoothing, &device);
            let mut x = examples
                .batch(batch.indices, recipe.augmentation, batch.seed, &device)
                .map_err(standin_nn::Error::objective)?;
            if recipe.mixup > 0.0 {
                let mixture = Mixture::draw(recipe.mixup, own.len(), batch.seed.derive("mixup"));
                (x, targets) = (mixture.mix(x), mixture.mix(targets));
            }
            Ok(loss::cross_entropy(network.forward(x), targets).mean())
        })?;
        drop(examples);
        let description = Description { shape: train.shape(), classes: labels.classes.clone(), input, architecture };
        Ok(TrainedNetwork::new(self.name, description, fitted.model, None))
    }
}

/// The network of a design.
type NetworkOf<D> = <<D as Design>::Architecture as Architecture>::Network;

impl<D: Design + 'static> Classifier for NetworkClassifier<D> {
    fn fit(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>> {
        Ok(Box::new(self.train(train, seed, progress)?))
    }
}
