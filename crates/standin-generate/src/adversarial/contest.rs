use rand::RngExt;
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{
    Batch, DeviceChoice, Learner, Module, Optimization, PixelRange, Result, Trainer, TrainerState, Watch, gradient,
    pixels, shapes, show, states_of, values, with_values,
};

use super::convolutional::{Discriminator, Synthesis};
use super::objective::Objective;
use super::penalty::{Penalty, of_discriminator};
use super::spectral::SpectralNorm;

/// What keeps the discriminator from leaving the generator no gradient.
#[derive(Clone, Debug)]
pub(crate) enum Bound {
    /// Weights divided by their largest singular value.
    Spectral(Box<SpectralNorm>),
    /// A penalty on the gradient at images between real and generated ones (Gulrajani et al. 2017, section 4).
    Between(Penalty),
    /// A penalty on the gradient at real images, in every so many discriminator steps with as many times the weight (lazy
    /// regularisation, Karras et al. 2020, section 3.1).
    AtReal(Penalty, usize),
}

/// A generator and a discriminator that learn against each other. A step is one of the discriminator; every so many, the
/// generator has one too.
pub(crate) struct Contest<'a, G: Synthesis> {
    pub(crate) generator: Trainer<G>,
    discriminator: Trainer<Discriminator>,
    rules: Rules,
    bound: Bound,
    images: &'a ImageSet,
    labels: &'a Labels,
    device: Device,
    watch: Option<&'a mut dyn Watch<G>>,
}

/// How a contest is played.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// What for.
    pub(crate) objective: Objective,
    /// Discriminator steps to each of the generator.
    pub(crate) discriminator_steps: usize,
    /// How the generator's parameters move.
    pub(crate) generator: Optimization,
    /// How the discriminator's parameters move.
    pub(crate) discriminator: Optimization,
}

impl<'a, G: Synthesis> Contest<'a, G> {
    /// Both networks must be made on the training device.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub(crate) fn new(
        (generator, discriminator): (G, Discriminator),
        rules: Rules,
        bound: Bound,
        images: &'a ImageSet,
        labels: &'a Labels,
        watch: Option<&'a mut dyn Watch<G>>,
    ) -> Result<Self> {
        Ok(Self {
            generator: Trainer::new(generator, &rules.generator)?,
            discriminator: Trainer::new(discriminator, &rules.discriminator)?,
            rules,
            bound,
            images,
            labels,
            device: DeviceChoice::chosen().training(),
            watch,
        })
    }

    /// How it is played.
    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The discriminator as it is now.
    pub(crate) fn discriminator(&self) -> Discriminator {
        let network = self.discriminator.finished();
        match &self.bound {
            Bound::Spectral(norm) => {
                let normalised = norm.normalised(&values(&network));
                with_values(network, &normalised)
            }
            Bound::Between(_) | Bound::AtReal(..) => network,
        }
    }

    /// One step of the discriminator; returns its loss.
    pub(super) fn discriminate(&mut self, batch: &Batch<'_>) -> Result<f64> {
        let labels: Vec<u32> = batch.indices.iter().map(|&index| self.labels.values[index]).collect();
        let n = labels.len();
        let real = pixels(self.images, batch.indices, PixelRange::Symmetric, &self.device);
        let seed = batch.seed.derive("generated for the discriminator");
        let generated = self.generator.model().clone().no_grad().synthesise(&labels, seed, &self.device).detach();
        let objective = self.rules.objective;
        let loss_of = |model: &Discriminator| {
            let both = Tensor::cat(vec![real.clone(), generated.clone()], 0);
            let scores = model.score(both, &[labels.as_slice(), &labels].concat());
            let of_real = objective.real(scores.clone().narrow(0, 0, n)).mean();
            of_real + objective.generated(scores.narrow(0, n, n)).mean()
        };
        let model = self.discriminator.model().clone();
        let penalised = |penalty, at: Tensor<4>| {
            let (surrogate, value) = of_discriminator(penalty, &model, at, &labels);
            let loss = loss_of(&model);
            let shown = f64::from(loss.clone().into_scalar::<f32>()) + value;
            (gradient(&model, &(loss + surrogate)), shown)
        };
        let (gradient, shown) = match &mut self.bound {
            Bound::Spectral(norm) => {
                let before = values(&model);
                norm.iterate(&before);
                let normalised = norm.normalised(&before);
                let network = with_values(model, &normalised);
                let loss = loss_of(&network);
                let gradient = norm.pull_back(&normalised, gradient(&network, &loss));
                (gradient, f64::from(loss.into_scalar::<f32>()))
            }
            Bound::Between(penalty) => {
                let mut rng = batch.seed.derive("between").rng();
                let shares: Vec<f32> = (0..n).map(|_| rng.random()).collect();
                let shares = Tensor::<1>::from_data(shares.as_slice(), &self.device).reshape([n, 1, 1, 1]);
                let between = generated.clone() + (real.clone() - generated.clone()) * shares;
                penalised(*penalty, between)
            }
            Bound::AtReal(penalty, every) if batch.step.is_multiple_of(*every) => {
                let weighted = match *penalty {
                    Penalty::UnitNorm(weight) => Penalty::UnitNorm(weight * *every as f64),
                    Penalty::R1(weight) => Penalty::R1(weight * *every as f64),
                };
                penalised(weighted, real.clone())
            }
            Bound::AtReal(..) => {
                let loss = loss_of(&model);
                (gradient(&model, &loss), f64::from(loss.into_scalar::<f32>()))
            }
        };
        self.discriminator.apply(gradient, batch)?;
        Ok(shown)
    }

    /// One step of the generator, with the classes of the batch. `total` makes the loss to minimise from the generated images
    /// and the loss against the discriminator.
    pub(super) fn generate(
        &mut self,
        batch: &Batch<'_>,
        total: impl FnOnce(Tensor<4>, Tensor<1>) -> Tensor<1>,
    ) -> Result<()> {
        let labels: Vec<u32> = batch.indices.iter().map(|&index| self.labels.values[index]).collect();
        let discriminator = self.discriminator.model().clone().no_grad();
        let discriminator = match &self.bound {
            Bound::Spectral(norm) => {
                let normalised = norm.normalised(&values(&discriminator));
                with_values(discriminator, &normalised)
            }
            Bound::Between(_) | Bound::AtReal(..) => discriminator,
        };
        let seed = batch.seed.derive("generated for the generator");
        let images = self.generator.model().synthesise(&labels, seed, &self.device);
        let loss = self.rules.objective.generator(discriminator.score(images.clone(), &labels)).mean();
        self.generator.step(&total(images, loss), batch)?;
        Ok(())
    }
}

/// Spectral normalisation of a discriminator that is about to be trained.
pub(crate) fn spectral(discriminator: &Discriminator, seed: Seed) -> Bound {
    Bound::Spectral(Box::new(SpectralNorm::new(&shapes(discriminator), &values(discriminator), seed)))
}

impl<G: Synthesis> Learner for Contest<'_, G> {
    fn learn(&mut self, batch: &Batch<'_>) -> Result<f64> {
        let loss = self.discriminate(batch)?;
        if (batch.step + 1).is_multiple_of(self.rules.discriminator_steps) {
            self.generate(batch, |_, loss| loss)?;
        }
        show(self.watch.as_deref_mut(), batch, || self.generator.finished())?;
        Ok(loss)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        vec![("discriminator", self.discriminator.state()), ("generator", self.generator.state())]
    }

    fn restore(&mut self, states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let [discriminator, generator] = states_of(states)?;
        self.discriminator.restore(discriminator)?;
        self.generator.restore(generator)
    }

    fn memory(&self) -> Option<String> {
        match &self.bound {
            Bound::Spectral(norm) => Some(norm.memory()),
            Bound::Between(_) | Bound::AtReal(..) => None,
        }
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        match &mut self.bound {
            Bound::Spectral(norm) => norm.recall(memory),
            Bound::Between(_) | Bound::AtReal(..) => Err("it is of a training with spectral normalisation".to_owned()),
        }
    }
}
