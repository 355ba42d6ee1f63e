use serde::Serialize;
use serde::de::DeserializeOwned;
use standin_data::{ImageSet, Labels, Progress, Seed, Shape};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{DeviceChoice, Plan, PrivatePlan, Records, fit, fit_private, loss};
use standin_privacy::Guarantee;

use crate::augment::Seeds;
use crate::classifier::require_classes;
use crate::input::{Examples, Input, Scattering};
use crate::mixup::Mixture;
use crate::network::{Architecture, Design, Network};
use crate::private::PrivateTraining;
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
    privacy: Option<PrivateTraining>,
}

/// A kind of network with its defaults.
#[derive(Clone, Debug)]
pub(crate) struct Defaults<D> {
    /// The registered name.
    pub(crate) name: &'static str,
    /// The network.
    pub(crate) design: D,
    /// What it sees.
    pub(crate) sight: Sight,
    /// How it is trained.
    pub(crate) recipe: Recipe,
    /// How it is trained with privacy.
    pub(crate) private_recipe: Recipe,
}

/// The key of the table of [`PrivateTraining`].
const PRIVACY: &str = "privacy";

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
    /// The classifier with the settings of a table. A setting that is left out has its default, which the presence of
    /// `privacy` may change; a table within it replaces the whole of its default.
    ///
    /// # Errors
    /// If a key is unknown, or a value of another type or outside its range.
    pub(crate) fn configured(defaults: Defaults<D>, table: &toml::Table) -> Result<Self> {
        let Defaults { name, design, sight, recipe, private_recipe } = defaults;
        let recipe = if table.contains_key(PRIVACY) { private_recipe } else { recipe };
        let default = Self { name, settings: design.defaults(), design, recipe, sight, privacy: None };
        let mut settings = table_of(&default.settings);
        let mut recipe = table_of(&default.recipe);
        let (mut sight, mut privacy) = (default.sight.clone(), None);
        for (key, value) in table {
            if D::KEYS.contains(&key.as_str()) {
                settings.insert(key.clone(), value.clone());
            } else if Recipe::KEYS.contains(&key.as_str()) {
                recipe.insert(key.clone(), value.clone());
            } else if key == PRIVACY {
                privacy = Some(default.read(key, value.clone())?);
            } else if key == sight.key() {
                sight = match sight {
                    Sight::Pixels(_) => Sight::Pixels(Some(default.read(key, value.clone())?)),
                    Sight::Scattering { .. } => Sight::Scattering { groups: default.read(key, value.clone())? },
                };
            } else {
                let own = D::KEYS.iter().chain(Recipe::KEYS).copied();
                let known: Vec<&str> = own.chain([default.sight.key(), PRIVACY]).collect();
                return Err(default.refused(format!("unknown key `{key}`; known are {}", known.join(", "))));
            }
        }
        let (settings, recipe) = (default.read("settings", settings.into())?, default.read("settings", recipe.into())?);
        Self { settings, recipe, sight, privacy, ..default }.checked()
    }

    fn checked(self) -> Result<Self> {
        self.design.check(&self.settings).map_err(|reason| self.refused(reason))?;
        self.recipe.check().map_err(|reason| self.refused(reason))?;
        if let Some(privacy) = &self.privacy {
            privacy.check().map_err(|reason| self.refused(reason))?;
            if self.recipe.mixup > 0.0 {
                let reason = "`mixup` mixes images of different people into one gradient, which cannot be clipped for each \
                              of them: leave it out with `privacy`, and use `augmentation` with `privacy.multiplicity`";
                return Err(self.refused(reason));
            }
        }
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
    pub(crate) fn settings(&self) -> toml::Table {
        let mut table = table_of(&self.settings);
        table.extend(table_of(&self.recipe));
        table.extend(self.privacy.iter().map(|privacy| (PRIVACY.to_owned(), table_of(privacy).into())));
        match &self.sight {
            Sight::Pixels(None) => {}
            Sight::Pixels(Some(constants)) => {
                table.insert(self.sight.key().into(), table_of(constants).into());
            }
            Sight::Scattering { groups } => {
                table.insert(self.sight.key().into(), toml::Value::Integer(*groups as i64));
            }
        }
        table
    }

    fn read<T: DeserializeOwned>(&self, key: &str, value: toml::Value) -> Result<T> {
        T::deserialize(value).map_err(|error| self.refused(format!("{key}: {}", error.message())))
    }

    fn refused(&self, reason: impl Into<String>) -> Error {
        Error::Configuration { classifier: self.name, reason: reason.into() }
    }

    /// Whether it is trained with privacy.
    pub(crate) fn is_private(&self) -> bool {
        self.privacy.is_some()
    }

    /// How these images will be seen. Means and deviations of private images are not private: constants take their place.
    fn input(&self, train: &ImageSet) -> Result<Input> {
        match &self.sight {
            Sight::Pixels(None) if self.privacy.is_none() => {
                Ok(Input::Standardisation(Standardisation::per_channel(train)))
            }
            Sight::Pixels(constants) => {
                let constants = constants.clone().unwrap_or_default();
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
        let device = DeviceChoice::chosen().training();
        let network = architecture.build(seen, classes, seed.derive("weights"), &device);
        let examples = input.examples(train, progress)?;
        let problem = Problem { examples: &examples, labels, recipe: &self.recipe, device: &device };
        let (network, guarantee) = match &self.privacy {
            None => (self.minimise(network, &problem, seed, progress)?, None),
            Some(privacy) => {
                let records = Records::of(train, &privacy.unit)?;
                let (network, guarantee) =
                    self.minimise_privately(network, &problem, privacy, &records, seed, progress)?;
                (network, Some(guarantee))
            }
        };
        let description =
            Description { shape: train.shape(), classes: labels.classes.clone(), input: input.clone(), architecture };
        Ok(TrainedNetwork::new(self.name, description, network, guarantee))
    }

    fn minimise<N: Network>(
        &self,
        network: N,
        problem: &Problem<'_>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<N> {
        let recipe = &self.recipe;
        let images = problem.labels.values.len();
        let plan = Plan::steps(images, recipe.batch_size, recipe.steps(images), seed.derive("order"));
        let fitted = fit(network, &recipe.optimization(), &plan, None, progress, |network: &N, batch| {
            let seeds = Seeds::One(batch.seed);
            let (mut x, mut targets) = problem.batch(batch.indices, seeds)?;
            if recipe.mixup > 0.0 {
                let mixture = Mixture::draw(recipe.mixup, batch.indices.len(), batch.seed.derive("mixup"));
                (x, targets) = (mixture.mix(x), mixture.mix(targets));
            }
            Ok(loss::cross_entropy(network.forward(x), targets).mean())
        })?;
        Ok(fitted.model)
    }

    fn minimise_privately<N: Network>(
        &self,
        network: N,
        problem: &Problem<'_>,
        privacy: &PrivateTraining,
        records: &Records,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(N, Guarantee)> {
        let units = records.units();
        let training = privacy.training(self.recipe.batch_size.min(units), self.recipe.steps(units));
        let budget = privacy.target().budget(units)?;
        let order = seed.derive("order");
        let changes = seed.derive("augmentation");
        let optimization = self.recipe.optimization();
        let fitted = fit_private(
            network,
            &optimization,
            PrivatePlan { privacy: &training, budget, records, before: None, seed: order },
            None,
            progress,
            |network: &N, batch| {
                let seeds = Seeds::Each(changes.derive(&format!("step {}", batch.step)));
                let (x, targets) = problem.batch(batch.indices, seeds)?;
                Ok(loss::cross_entropy(network.forward(x), targets))
            },
        )?;
        let mut guarantee = fitted.guarantee;
        guarantee.not_covered.push("the names of the classes and the shape of the images".into());
        Ok((fitted.model, guarantee))
    }
}

/// What a network is to learn.
struct Problem<'a> {
    examples: &'a Examples<'a>,
    labels: &'a Labels,
    recipe: &'a Recipe,
    device: &'a Device,
}

impl Problem<'_> {
    /// The images at `indices` as the network sees them, and their targets.
    fn batch(&self, indices: &[usize], seeds: Seeds) -> standin_nn::Result<(Tensor<4>, Tensor<2>)> {
        let Self { examples, labels, recipe, device } = self;
        let own: Vec<u32> = indices.iter().map(|&index| labels.values[index]).collect();
        let targets = loss::smoothed_targets(&own, labels.classes.len(), recipe.label_smoothing, device);
        let x = examples.batch(indices, recipe.augmentation, seeds, device);
        Ok((x.map_err(standin_nn::Error::objective)?, targets))
    }
}

fn table_of(settings: &impl Serialize) -> toml::Table {
    toml::Table::try_from(settings).expect("settings are numbers, words and tables of them")
}

impl<D: Design + 'static> Classifier for NetworkClassifier<D> {
    fn fit(&self, train: &ImageSet, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn TrainedClassifier>> {
        Ok(Box::new(self.train(train, seed, progress)?))
    }

    fn options(&self) -> toml::Table {
        self.settings()
    }
}
