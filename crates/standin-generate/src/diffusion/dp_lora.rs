use serde::{Deserialize, Serialize};
use standin_data::ImageSet;
use standin_nn::{DeviceChoice, Records};

use super::denoiser::ImageDiffusion;
use super::groups::{GroupOptions, Groups};
use super::low_rank::Adapters;
use super::objective::{GroupLabels, Objective};
use super::options::{LossOptions, NetworkOptions, PrivateOptions, TrainingOptions};
use super::training::{Account, public_classes, train, train_adapters_privately, trainable};
use crate::families::write_options;
use crate::generator::training_labels;
use crate::network::{Card, Network, TrainedNetwork};
use crate::options::at_least;
use crate::{Fit, Generator, Result, Trained};

/// The options of [`DpLora`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DpLoraOptions {
    /// The sizes of the network.
    pub network: NetworkOptions,
    /// The noise it learns to take off.
    pub loss: LossOptions,
    /// The condition beside the class, if there is one. Its `names` have to be given: which groups there are is not read off private
    /// images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupOptions>,
    /// Rank of the adapters.
    pub rank: usize,
    /// Whether the convolutions of the residual blocks have adapters.
    pub convolutions: bool,
    /// The training on public images.
    pub pretraining: TrainingOptions,
    /// The private training.
    pub private: PrivateOptions,
    /// Noise levels of a sampling that asks for no number: 2 · `steps` − 1 passes of the network with Heun's method.
    pub steps: usize,
}

impl Default for DpLoraOptions {
    fn default() -> Self {
        Self {
            network: NetworkOptions::default(),
            loss: LossOptions::default(),
            group: None,
            rank: 8,
            convolutions: true,
            pretraining: TrainingOptions::default(),
            private: PrivateOptions::default(),
            steps: 18,
        }
    }
}

/// A diffusion model trained on public images, beside which low-rank adapters are trained privately (Tsai et al. 2024,
/// DP-LoRA for diffusion models; Hu et al. 2022, LoRA).
///
/// Adapters lie beside the attention's linear layers and, as the network has only one attention, beside the convolutions of all
/// residual blocks unless said otherwise; the rows of the classes are trained too. They are folded into the network after
/// training, which then samples as fast as without.
#[derive(Clone, Debug)]
pub struct DpLora {
    options: DpLoraOptions,
}

impl DpLora {
    /// The registered name.
    pub const NAME: &'static str = "dp-lora";

    /// Checks the options.
    ///
    /// # Errors
    /// Names the first that is outside its range.
    pub fn new(options: DpLoraOptions) -> Result<Self> {
        options.network.check(Self::NAME)?;
        options.loss.check(Self::NAME)?;
        options.private.check(Self::NAME)?;
        at_least(Self::NAME, "steps", options.steps, 1)?;
        options.pretraining.check(Self::NAME)?;
        at_least(Self::NAME, "rank", options.rank, 1)?;
        if let Some(group) = &options.group {
            group.check(Self::NAME)?;
            at_least(Self::NAME, "the number of group.names", group.names.len(), 1)?;
        }
        Ok(Self { options })
    }
}

impl Generator for DpLora {
    fn fit(&self, train_set: &ImageSet, run: Fit<'_>) -> Result<Box<dyn Trained>> {
        let protection = run.protection(Self::NAME)?;
        let public = run.public(Self::NAME, train_set)?;
        let DpLoraOptions { network, loss, group, rank, convolutions, pretraining, private, steps } = &self.options;
        let labels = training_labels(Self::NAME, train_set)?;
        let records = Records::of(train_set, &protection.unit)?;
        let account = Account::open(protection, &records)?;
        let classes = labels.classes.len();
        let mut architecture = network.of_images(loss, *steps, train_set.shape(), classes);
        if let Some(group) = group {
            architecture =
                architecture.with_groups(Groups { column: group.column.clone(), names: group.names.clone() });
        }
        let numbers = |set| architecture.groups.as_ref().map(|groups| groups.numbers(set));
        let (of_public, of_private) = (numbers(public), numbers(train_set));
        let drop = group.as_ref().map_or(0.0, |group| group.drop);
        let told = |numbers| Option::map(numbers, |values| GroupLabels { values, drop });
        let device = DeviceChoice::chosen().training();
        let model = ImageDiffusion::new(&architecture, run.seed.derive("weights"), &device);

        let public_labels = public_classes(public, classes);
        let groups = told(of_public.as_deref());
        let objective = Objective { groups, ..loss.of_images(public, &public_labels, &architecture) };
        let learning = (&objective, public.len());
        let model = train(&run, "public", model, &architecture, learning, pretraining)?;

        let groups = told(of_private.as_deref());
        let objective = Objective { groups, ..loss.of_images(train_set, &labels.values, &architecture) };
        let unet = trainable(&model, &architecture).unet;
        let adapters = Adapters::new(&unet, *rank, *convolutions, run.seed.derive("adapters"), &device);
        let (unet, guarantee) = train_adapters_privately(&run, unet, adapters, &objective, &account, private)?;
        let card = Card::private(Self::NAME, train_set, labels, run.seed, self.options(), architecture, guarantee);
        Ok(Box::new(TrainedNetwork::new(ImageDiffusion { unet }, card)))
    }

    fn options(&self) -> toml::Table {
        write_options(&self.options)
    }
}
