//! PrivGAN (Mukherjee, Xu, Trivedi, Patowary & Ferres 2021, "privGAN: Protecting GANs from membership inference attacks at low
//! cost to utility").
//!
//! K pairs of generator and discriminator, each on a part Xᵢ of the images of its own, and an adversary D_p that tells which
//! generator made an image. With the loss ℓᵢ of generator i against its discriminator, generator i minimises
//!
//! ℓᵢ + λ · E[−ln D_p(Gᵢ(z))_j],    j ≠ i drawn for each image,
//!
//! and D_p minimises E[−ln D_p(Gᵢ(z))_i] over all i. A generator that draws what is particular to its part gives itself away;
//! what the parts have in common does not. It is a regularisation and no guarantee.

use rand::RngExt;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::layer::{Conv2d, Linear};
use standin_nn::loss::{cross_entropy, smoothed_targets};
use standin_nn::tensor::{Device, Tensor};
use standin_nn::{Batch, DeviceChoice, Learner, Module, PixelRange, Trainer, TrainerState, Watch, burn, pixels, show};

use super::contest::Contest;
use super::convolutional::{Architecture, ConvolutionalGenerator, Discriminator, Synthesis, features, halvings};
use super::mixture::{Mixture, MixtureArchitecture};
use crate::{Error, Result};

/// Pairs of networks on disjoint parts of the training images, against an adversary (Mukherjee et al. 2021, PrivGAN). It gives no
/// guarantee.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PrivacyGame {
    /// K, generators with a discriminator each, 2 to 8.
    pub generators: usize,
    /// λ, weight of the adversary in the loss of a generator; 0 for pairs that do not know of each other.
    pub weight: f64,
    /// Share of the steps before the adversary acts, at least 0 and below 1. Until then it learns to tell the parts of the training
    /// images apart.
    pub warm_up: f64,
}

impl Default for PrivacyGame {
    fn default() -> Self {
        Self { generators: 2, weight: 1.0, warm_up: 0.2 }
    }
}

impl PrivacyGame {
    /// Checks that every option is in its range.
    pub(crate) fn check(self, family: &'static str) -> Result<()> {
        let refuse = |reason: String| Err(Error::Options { family, reason });
        let Self { generators, weight, warm_up } = self;
        if !MixtureArchitecture::GENERATORS.contains(&generators) {
            return refuse(format!(
                "privacy_game.generators is {generators}; it must be 2 to 8, and for one generator leave privacy_game out"
            ));
        }
        if !(weight.is_finite() && weight >= 0.0) {
            return refuse(format!("privacy_game.weight is {weight}; it must be a finite number of at least 0"));
        }
        if !(0.0..1.0).contains(&warm_up) {
            return refuse(format!("privacy_game.warm_up is {warm_up}; it must be at least 0 and below 1"));
        }
        Ok(())
    }

    /// The images of each pair: dealt out class by class in random order, so that the parts differ by at most one image of each
    /// class, and by at most one in all.
    ///
    /// # Errors
    /// If a class has an image, but not one for each part.
    pub(crate) fn parts(
        self,
        family: &'static str,
        train: &ImageSet,
        labels: &Labels,
        seed: Seed,
    ) -> Result<Vec<Vec<usize>>> {
        let generators = self.generators;
        let lacking = |&(_, count): &(usize, usize)| (1..generators).contains(&count);
        if let Some((class, count)) = labels.counts().into_iter().enumerate().find(lacking) {
            let found = format!("its class \"{}\" has {count} images", labels.classes[class]);
            let remedy = format!(
                "each of the {generators} generators of privacy_game needs one of its own; give more images, leave the class out, \
                 or set fewer generators"
            );
            return Err(Error::Training { family, set: train.describe(), found, remedy });
        }
        let mut order: Vec<usize> = (0..train.len()).collect();
        order.shuffle(&mut seed.rng());
        order.sort_by_key(|&image| labels.values[image]);
        let part = |part: usize| order.iter().skip(part).step_by(generators).copied().collect();
        Ok((0..generators).map(part).collect())
    }
}

/// From an image to a logit for each generator, with the layers of a [`Discriminator`].
#[derive(Module, Debug)]
struct Adversary {
    halvings: Vec<Conv2d>,
    features: Linear,
    out: Linear,
}

impl Adversary {
    fn initial(architecture: &Architecture, generators: usize, seed: Seed, device: &Device) -> Self {
        let width = 2 * architecture.width;
        let (halvings, inputs) = halvings(architecture, seed, device);
        Self {
            halvings,
            features: Linear::new(inputs, width, seed.derive("features"), device),
            out: Linear::new(width, generators, seed.derive("out"), device),
        }
    }

    /// The mean cross-entropy of images, values in [−1, 1], against the generators they are said to be from.
    fn loss(&self, images: Tensor<4>, origins: &[u32]) -> Tensor<1> {
        let device = images.device();
        let logits = self.out.forward(features(&self.halvings, &self.features, images));
        let generators = logits.dims()[1];
        cross_entropy(logits, smoothed_targets(origins, generators, 0.0, &device)).mean()
    }
}

/// The pairs and their adversary. A step is one of every discriminator and of the adversary; every so many, the generators have
/// one too.
pub(crate) struct Pairs<'a> {
    contests: Vec<Contest<'a, ConvolutionalGenerator>>,
    parts: Vec<Vec<usize>>,
    adversary: Trainer<Adversary>,
    game: PrivacyGame,
    images: &'a ImageSet,
    labels: &'a Labels,
    device: Device,
    watch: Option<&'a mut dyn Watch<Mixture>>,
}

/// The names of the trainers of each pair in a checkpoint, in the order of a contest's.
const NAMES: [[&str; 2]; *MixtureArchitecture::GENERATORS.end()] = [
    ["pair 1 discriminator", "pair 1 generator"],
    ["pair 2 discriminator", "pair 2 generator"],
    ["pair 3 discriminator", "pair 3 generator"],
    ["pair 4 discriminator", "pair 4 generator"],
    ["pair 5 discriminator", "pair 5 generator"],
    ["pair 6 discriminator", "pair 6 generator"],
    ["pair 7 discriminator", "pair 7 generator"],
    ["pair 8 discriminator", "pair 8 generator"],
];

/// What a checkpoint keeps: the memory of each contest.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    pairs: Vec<String>,
}

impl<'a> Pairs<'a> {
    /// A contest for each part of the images, which learns from that part alone.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub(crate) fn new(
        game: PrivacyGame,
        contests: Vec<Contest<'a, ConvolutionalGenerator>>,
        parts: Vec<Vec<usize>>,
        (images, labels): (&'a ImageSet, &'a Labels),
        architecture: &Architecture,
        seed: Seed,
        watch: Option<&'a mut dyn Watch<Mixture>>,
    ) -> Result<Self> {
        let device = DeviceChoice::chosen().training();
        let adversary = Adversary::initial(architecture, contests.len(), seed, &device);
        let adversary = Trainer::new(adversary, &contests[0].rules().discriminator)?;
        Ok(Self { contests, parts, adversary, game, images, labels, device, watch })
    }

    /// The generators as a training that ended here would give them.
    pub(crate) fn mixture(&self) -> Mixture {
        Mixture::of(self.contests.iter().map(|contest| contest.generator.finished()).collect())
    }

    /// The discriminators as they are now.
    pub(crate) fn discriminators(&self) -> Vec<Discriminator> {
        self.contests.iter().map(Contest::discriminator).collect()
    }

    /// One step of the adversary: on training images before it acts, on generated ones afterwards.
    fn accuse(&mut self, batches: &[Batch<'_>], acts: bool) -> standin_nn::Result<()> {
        let images_of = |(contest, batch): (&Contest<'_, ConvolutionalGenerator>, &Batch<'_>)| {
            if !acts {
                return pixels(self.images, batch.indices, PixelRange::Symmetric, &self.device);
            }
            let labels: Vec<u32> = batch.indices.iter().map(|&index| self.labels.values[index]).collect();
            let seed = batch.seed.derive("generated for the adversary");
            contest.generator.model().clone().no_grad().synthesise(&labels, seed, &self.device).detach()
        };
        let images = Tensor::cat(self.contests.iter().zip(batches).map(images_of).collect(), 0);
        let origin = |(pair, batch): (usize, &Batch<'_>)| vec![pair as u32; batch.indices.len()];
        let origins: Vec<u32> = batches.iter().enumerate().flat_map(origin).collect();
        let loss = self.adversary.model().loss(images, &origins);
        self.adversary.step(&loss, &batches[0])?;
        Ok(())
    }

    /// One step of every generator.
    fn generate(&mut self, batches: &[Batch<'_>], acts: bool) -> standin_nn::Result<()> {
        let adversary = self.adversary.model().clone().no_grad();
        let (generators, weight) = (self.contests.len(), self.game.weight);
        for (pair, (contest, batch)) in self.contests.iter_mut().zip(batches).enumerate() {
            contest.generate(batch, |images, loss| {
                if !acts {
                    return loss;
                }
                let mut rng = batch.seed.derive("said to be from").rng();
                let other = || ((pair + rng.random_range(1..generators)) % generators) as u32;
                let others: Vec<u32> = std::iter::repeat_with(other).take(batch.indices.len()).collect();
                loss + adversary.loss(images, &others) * weight
            })?;
        }
        Ok(())
    }
}

impl Learner for Pairs<'_> {
    /// The batch is one of places in a part; the last place of a part that is shorter by one is its first image again.
    fn learn(&mut self, batch: &Batch<'_>) -> standin_nn::Result<f64> {
        let of_part = |part: &Vec<usize>| batch.indices.iter().map(|&place| part[place % part.len()]).collect();
        let indices: Vec<Vec<usize>> = self.parts.iter().map(of_part).collect();
        let of_pair = |(pair, indices)| Batch { indices, seed: batch.seed.derive(&format!("pair {pair}")), ..*batch };
        let batches: Vec<Batch<'_>> = indices.iter().map(Vec::as_slice).enumerate().map(of_pair).collect();
        let mut loss = 0.0;
        for (contest, batch) in self.contests.iter_mut().zip(&batches) {
            loss += contest.discriminate(batch)?;
        }
        let acts = batch.step as f64 >= self.game.warm_up * batch.steps as f64;
        self.accuse(&batches, acts)?;
        if (batch.step + 1).is_multiple_of(self.contests[0].rules().discriminator_steps) {
            self.generate(&batches, acts)?;
        }
        if let Some(watch) = self.watch.take() {
            show(Some(&mut *watch), batch, || self.mixture())?;
            self.watch = Some(watch);
        }
        Ok(loss / batches.len() as f64)
    }

    fn states(&self) -> Vec<(&'static str, TrainerState)> {
        let of_pair = |(contest, names): (&Contest<'_, _>, [&'static str; 2])| {
            names.into_iter().zip(contest.states()).map(|(name, (_, state))| (name, state)).collect::<Vec<_>>()
        };
        let mut states = vec![("adversary", self.adversary.state())];
        states.extend(self.contests.iter().zip(NAMES).flat_map(of_pair));
        states
    }

    fn restore(&mut self, mut states: Vec<(String, TrainerState)>) -> std::result::Result<(), String> {
        let trained = 1 + 2 * self.contests.len();
        if states.len() != trained {
            return Err(format!("it holds {} networks where {trained} are trained", states.len()));
        }
        let of_pairs = states.split_off(1);
        states.into_iter().try_for_each(|(_, state)| self.adversary.restore(state))?;
        let mut pairs = self.contests.iter_mut().zip(of_pairs.chunks_exact(2));
        pairs.try_for_each(|(contest, states)| contest.restore(states.to_vec()))
    }

    fn memory(&self) -> Option<String> {
        let pairs: Option<Vec<String>> = self.contests.iter().map(Learner::memory).collect();
        pairs.map(|pairs| toml::to_string(&Memory { pairs }).expect("a list of texts has a TOML form"))
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        let Memory { pairs } =
            toml::from_str(memory).map_err(|error| format!("its memory of the pairs is not readable ({error})"))?;
        if pairs.len() != self.contests.len() {
            return Err(format!("it remembers {} pairs where {} are trained", pairs.len(), self.contests.len()));
        }
        self.contests.iter_mut().zip(&pairs).try_for_each(|(contest, memory)| contest.recall(memory))
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Shape, digits};
    use standin_nn::initial::normal;

    use super::*;

    fn game(generators: usize) -> PrivacyGame {
        PrivacyGame { generators, ..PrivacyGame::default() }
    }

    #[test]
    fn the_parts_are_disjoint_and_have_as_many_of_each_class() {
        let train = digits().select(&(0..103).collect::<Vec<_>>());
        let labels = train.labels().unwrap();
        let parts = |seed| game(4).parts("gan", &train, labels, Seed::new(seed)).unwrap();
        let found = parts(1);
        let mut all = found.concat();
        all.sort_unstable();
        assert_eq!(all, (0..103).collect::<Vec<_>>());
        for class in 0..10 {
            let of_class = |part: &Vec<usize>| part.iter().filter(|&&image| labels.values[image] == class).count();
            let counts: Vec<usize> = found.iter().map(of_class).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "class {class}: {counts:?}");
        }
        let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
        assert_eq!(sizes, [26, 26, 26, 25]);
        assert_ne!(parts(2), found);
    }

    #[test]
    fn a_class_that_cannot_be_shared_is_refused_by_name() {
        let classes = ["a", "b", "c"].map(str::to_owned).to_vec();
        let labels = Labels { values: vec![0, 0, 0, 2, 2], classes };
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let train = ImageSet::new(shape, vec![0; 5]).unwrap();
        let message = game(3).parts("gan", &train, &labels, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("\"c\" has 2 images") && message.contains("3 generators"), "{message}");
        // A class without images is never drawn.
        assert_eq!(game(2).parts("gan", &train, &labels, Seed::new(1)).unwrap().concat().len(), 5);
    }

    /// −ln softmax of equal logits is ln K whatever is said; of others it is less for what is true.
    #[test]
    fn the_adversary_learns_who_drew_an_image() {
        let device = DeviceChoice::chosen().training();
        let shape = Shape { channels: 1, height: 8, width: 8 };
        let architecture = Architecture { latent: 2, width: 4, classes: 2, shape };
        let optimization = standin_nn::Optimization { learning_rate: 3e-3, ..Default::default() };
        let mut adversary =
            Trainer::new(Adversary::initial(&architecture, 3, Seed::new(1), &device), &optimization).unwrap();
        let origins: Vec<u32> = (0..60).map(|image| image % 3).collect();
        let images = |seed| {
            let shifts: Vec<f32> = origins.iter().map(|&origin| origin as f32 - 1.0).collect();
            let shifts = Tensor::<1>::from_data(shifts.as_slice(), &device).reshape([60, 1, 1, 1]);
            normal::<4>([60, 1, 8, 8], 0.3, Seed::new(seed), &device) + shifts
        };
        let value = |loss: Tensor<1>| f64::from(loss.into_scalar::<f32>());
        assert!((value(adversary.model().loss(images(0), &origins)) - 3f64.ln()).abs() < 0.5);
        for step in 0..100 {
            let loss = adversary.model().loss(images(1 + step as u64), &origins);
            let seed = Seed::new(2);
            let batch = Batch { step, steps: 100, epoch: 0, steps_per_epoch: 1, indices: &[], seed };
            adversary.step(&loss, &batch).unwrap();
        }
        assert!(value(adversary.model().loss(images(0), &origins)) < 0.1);
        let wrong: Vec<u32> = origins.iter().map(|origin| (origin + 1) % 3).collect();
        assert!(value(adversary.model().loss(images(0), &wrong)) > 2.0);
    }
}
