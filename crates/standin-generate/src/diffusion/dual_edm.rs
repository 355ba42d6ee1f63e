use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Module};

use super::denoiser::ImageDiffusion;
use super::groups::{GroupOptions, Groups, balanced_rows};
use super::low_rank::Adapters;
use super::objective::{GroupLabels, Objective};
use super::options::{LossOptions, NetworkOptions, TrainingOptions};
use super::training::{public_classes, train_adapters, train_on, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Error, Fit, Generator, Result, Trained};

/// How the network comes to know the groups of the minority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adaptation {
    /// All images are learnt together.
    #[default]
    Joint,
    /// The network learns the other groups first; then the rows of the minority's groups alone are trained (Gal et al. 2023, textual
    /// inversion).
    Tokens,
    /// Low-rank adapters of attention and convolutions, and the rows of classes and groups (Hu et al. 2022).
    LowRank,
    /// Everything is trained on.
    Full,
}

/// How the minority is learnt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationOptions {
    /// What is trained.
    pub method: Adaptation,
    /// The training, where there is one of its own.
    pub training: TrainingOptions,
    /// Rank of the adapters.
    pub rank: usize,
    /// Whether the convolutions of the residual blocks have adapters beside the attention's.
    pub convolutions: bool,
}

impl Default for AdaptationOptions {
    fn default() -> Self {
        let training = TrainingOptions { epochs: 1.0, least_steps: 500, ..TrainingOptions::default() };
        Self { method: Adaptation::default(), training, rank: 8, convolutions: true }
    }
}

/// The options of [`DualEdm`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DualEdmOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// The condition beside the class.
    pub group: GroupOptions,
    /// The groups of the minority, which [`AdaptationOptions`] is about.
    pub minority: Vec<String>,
    /// How much more often images of small cells (a class in a group) are seen than they are there: with n images, where the largest cell
    /// has N, as N · (n / N)^(1 − `balance`) images. In [0, 1].
    pub balance: f64,
    /// The training: on public images, if there are some, and then on the images of all groups or of the majority.
    pub training: TrainingOptions,
    /// How the minority is learnt.
    pub adaptation: AdaptationOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for DualEdmOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::default(),
            loss: LossOptions::default(),
            group: GroupOptions::default(),
            minority: Vec::new(),
            balance: 0.5,
            training: TrainingOptions::default(),
            adaptation: AdaptationOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model that is told class and group, each with a dropout and a guidance of its own (Wang, Chung, Ding & Hamm 2024, "From Majority to
/// Minority", with embeddings in the place of a text encoder): it learns what a class looks like from the many images of a majority, what
/// a group looks like from few, and draws or [translates](crate::Trained::translate) images of both.
///
/// It knows the groups of which there is an image, here or among the public ones. Public images are learnt first, under their own
/// classes and groups.
#[derive(Clone, Debug)]
pub struct DualEdm {
    options: DualEdmOptions,
}

impl DualEdm {
    /// The registered name.
    pub const NAME: &'static str = "dual-edm";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DualEdmOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.group.check(Self::NAME)?;
        options.training.check(Self::NAME)?;
        options.adaptation.training.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        at_least(Self::NAME, "adaptation.rank", options.adaptation.rank, 1)?;
        let refused = |reason| Err(Error::Options { family: Self::NAME, reason });
        if !(0.0..=1.0).contains(&options.balance) {
            return refused(format!("balance is {}; it must be between 0 and 1", options.balance));
        }
        if options.adaptation.method != Adaptation::Joint && options.minority.is_empty() {
            return refused(
                "adaptation.method without a minority; name its groups, such as minority = [\"dark\"]".into(),
            );
        }
        Ok(Self { options })
    }
}

impl Generator for DualEdm {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        run.refuse_protection(Self::NAME)?;
        let public = run.maybe_public(train_set)?;
        let DualEdmOptions { network, loss, group, minority, balance, training, adaptation, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let classes = labels.classes.len();
        let sets: Vec<&ImageSet> = [train_set].into_iter().chain(public).collect();
        let groups = Groups::of(Self::NAME, group, &sets)?;
        let numbers = groups.numbers(train_set);
        let late: Vec<bool> = numbers
            .iter()
            .map(|&number| groups.names.get(number as usize).is_some_and(|name| minority.contains(name)))
            .collect();
        let architecture = network.of_images(loss, *steps, train_set.shape(), classes).with_groups(groups.clone());
        let device = DeviceChoice::chosen().training();
        let mut model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);

        if let Some(public) = public {
            let (of_class, of_group) = (public_classes(public, classes), groups.numbers(public));
            let objective = Objective {
                groups: Some(GroupLabels { values: &of_group, drop: group.drop }),
                ..loss.of_images(public, &of_class, &architecture)
            };
            let rows: Vec<usize> = (0..public.len()).collect();
            model = train_on(&run, "public", model, &architecture, (&objective, &rows), training)?;
            model = trainable(&model, &architecture);
        }

        let objective = Objective {
            groups: Some(GroupLabels { values: &numbers, drop: group.drop }),
            ..loss.of_images(train_set, &labels.values, &architecture)
        };
        let cell = |image: usize| numbers[image] as usize * classes + labels.values[image] as usize;
        let rows = |wanted: &dyn Fn(usize) -> bool, purpose| -> Vec<usize> {
            let images: Vec<usize> = (0..train_set.len()).filter(|&image| wanted(image)).collect();
            let cells: Vec<usize> = images.iter().map(|&image| cell(image)).collect();
            let rows = balanced_rows(&cells, *balance, run.seed.derive(purpose));
            rows.into_iter().map(|row| images[row]).collect()
        };
        let method = adaptation.method;
        let first = rows(&|image| method == Adaptation::Joint || !late[image], "rows");
        if first.is_empty() && public.is_none() {
            let found = "all its images are of the minority".to_owned();
            let remedy = "use adaptation.method = \"joint\", or give images of other groups".to_owned();
            return Err(Error::Training { family: Self::NAME, set: train_set.describe(), found, remedy });
        }
        if !first.is_empty() {
            model = train_on(&run, "dual-edm", model, &architecture, (&objective, &first), training)?;
        }

        let second = match method {
            Adaptation::Joint => Vec::new(),
            Adaptation::Tokens => rows(&|image| late[image], "adaptation rows"),
            Adaptation::LowRank | Adaptation::Full => rows(&|_| true, "adaptation rows"),
        };
        if !second.is_empty() && late.contains(&true) {
            let learning = (&objective, second.as_slice());
            let model_again = trainable(&model, &architecture);
            model = match method {
                Adaptation::Full => {
                    train_on(&run, "adaptation", model_again, &architecture, learning, &adaptation.training)?
                }
                _ => {
                    let unet = model_again.unet;
                    let adapters = match method {
                        Adaptation::LowRank => {
                            let seed = run.seed.derive("adapters");
                            Adapters::new(&unet, adaptation.rank, adaptation.convolutions, seed, &device)
                        }
                        _ => Adapters::tokens(&unet, &device),
                    };
                    ImageDiffusion { unet: train_adapters(&run, unet, adapters, learning, &adaptation.training)? }
                }
            };
        }
        let card = Card::new(Self::NAME, train_set, labels, run.seed, self.options(), architecture);
        Ok(Box::new(TrainedNetwork::new(model.valid(), card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
