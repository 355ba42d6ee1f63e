use rand::RngExt;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Labels, Seed};
use standin_nn::tensor::{Device, Tensor, TensorData};
use standin_nn::{
    Batch, DeviceChoice, Learner, Module, PrivateBatch, PrivateTrainer, Result, Trainer, TrainerState, Watch, show,
    states_of,
};

use super::convolutional::{Discriminator, Synthesis};
use super::objective::Objective;

/// How many discriminator steps go before each of the generator.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pace {
    /// Discriminator steps to the next of the generator.
    pub(crate) every: usize,
    /// Below this share of generated images recognised, `every` doubles; none to stay.
    pub(crate) floor: Option<f64>,
    /// Moving average of the share recognised.
    recognised: f64,
    /// Discriminator steps since the generator's last.
    waited: usize,
}

/// Decay of the moving average of [`Pace`].
const RECOGNITION_DECAY: f64 = 0.9;

impl Pace {
    pub(crate) fn new(every: usize, floor: Option<f64>) -> Self {
        Self { every, floor, recognised: 1.0, waited: 0 }
    }

    /// After a discriminator step: whether the generator has one now.
    fn due(&mut self) -> bool {
        self.waited += 1;
        let due = self.waited >= self.every;
        if due {
            self.waited = 0;
        }
        due
    }

    /// After a generator step, in which the discriminator recognised this share of the images as generated.
    ///
    /// A doubling forgets the average, so that the next waits until the discriminator had time to recover (Bie, Kamath &
    /// Zhang 2023, section 4.2). Generated images need no protection, and the network is covered by its guarantee: looking
    /// at both spends nothing.
    fn recognised(&mut self, share: f64) {
        self.recognised = RECOGNITION_DECAY * self.recognised + (1.0 - RECOGNITION_DECAY) * share;
        if self.floor.is_some_and(|floor| self.recognised < floor) {
            self.every *= 2;
            self.recognised = 1.0;
        }
    }
}

/// A generator against a discriminator that alone sees the private images, through clipped and noised gradients.
///
/// A row of the discriminator's loss is a real image or one generated for the same class, one of each for every image
/// sampled; the two are averaged before clipping, so that what they have in common cancels and is not clipped. Everything
/// the generator does is post-processing of the discriminators it has met.
pub(crate) struct PrivateContest<'a, G: Synthesis> {
    pub(crate) generator: Trainer<G>,
    pub(crate) discriminator: PrivateTrainer<Discriminator>,
    pub(crate) rows: Rows<'a>,
    pub(crate) pace: Pace,
    pub(crate) objective: Objective,
    /// Images of a generator step.
    pub(crate) generator_batch: usize,
    pub(crate) watch: Option<&'a mut dyn Watch<G>>,
}

/// What the rows of the discriminator's loss are made of.
#[derive(Debug)]
pub(crate) struct Rows<'a> {
    images: &'a ImageSet,
    labels: &'a Labels,
    /// Generated images, as many of each class, in order of the classes.
    generated: Vec<f32>,
    of_class: usize,
    device: Device,
}

impl<'a> Rows<'a> {
    /// With `of_class` generated images of each class at a time; none are there yet.
    pub(crate) fn new(images: &'a ImageSet, labels: &'a Labels, of_class: usize) -> Self {
        let device = DeviceChoice::chosen().training();
        Self { images, labels, generated: Vec::new(), of_class, device }
    }

    /// Generates anew, from the classes' names alone.
    pub(crate) fn refresh<G: Synthesis>(&mut self, generator: &G, seed: Seed) {
        let generator = generator.clone().valid();
        let device = DeviceChoice::chosen().inference();
        let classes = self.labels.classes.len() as u32;
        let labels: Vec<u32> = (0..classes).flat_map(|class| std::iter::repeat_n(class, self.of_class)).collect();
        self.generated.clear();
        for (part, labels) in labels.chunks(256).enumerate() {
            let images = generator.synthesise(labels, seed.derive(&format!("part {part}")), &device);
            self.generated.extend(images.into_data().iter::<f32>());
        }
    }

    /// One loss for each row of a batch in which every image has two rows: the first is the image, the second one
    /// generated for its class. Each depends on its own image, its label, the seed and the generated images alone.
    pub(crate) fn losses(&self, objective: Objective, model: &Discriminator, batch: &PrivateBatch<'_>) -> Tensor<1> {
        let shape = self.images.shape();
        let (n, volume) = (batch.indices.len(), shape.volume());
        let choices = batch.seed.derive("choice");
        let mut values = Vec::with_capacity(n * volume);
        let mut signs = Vec::with_capacity(n);
        for (row, &index) in batch.indices.iter().enumerate() {
            if row % 2 == 0 {
                values.extend(self.images.image(index).iter().map(|&value| f32::from(value) / 127.5 - 1.0));
            } else {
                let mut rng = choices.rng();
                rng.set_stream(index as u64);
                let at = self.labels.values[index] as usize * self.of_class + rng.random_range(0..self.of_class);
                values.extend(&self.generated[at * volume..(at + 1) * volume]);
            }
            signs.push(if row % 2 == 0 { 1.0 } else { 0.0 });
        }
        let labels: Vec<u32> = batch.indices.iter().map(|&index| self.labels.values[index]).collect();
        let images = TensorData::new(values, [n, shape.channels, shape.height, shape.width]);
        let scores = model.score(Tensor::from_data(images, &self.device), &labels);
        let real = Tensor::<1>::from_data(TensorData::new(signs, [n]), &self.device);
        let generated = -real.clone() + 1.0;
        objective.real(scores.clone()) * real + objective.generated(scores) * generated
    }
}

impl<G: Synthesis> PrivateContest<'_, G> {
    /// One step of the generator, with classes drawn uniformly.
    fn generate(&mut self, batch: &Batch<'_>) -> Result<()> {
        let device = DeviceChoice::chosen().training();
        let seed = batch.seed.derive("generator");
        let mut rng = seed.derive("classes").rng();
        let classes = self.rows.labels.classes.len() as u32;
        let labels: Vec<u32> = (0..self.generator_batch).map(|_| rng.random_range(0..classes)).collect();
        let discriminator = self.discriminator.model().clone().no_grad();
        let images = self.generator.model().synthesise(&labels, seed, &device);
        let scores = discriminator.score(images, &labels);
        let recognised = scores.clone().into_data().iter::<f32>().filter(|&score| score < 0.0).count();
        self.pace.recognised(recognised as f64 / labels.len() as f64);
        self.generator.step(&self.objective.generator(scores).mean(), batch)?;
        Ok(())
    }
}

/// What a checkpoint keeps beside the networks.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    discriminator: String,
    pace: Pace,
}

impl<G: Synthesis> Learner for PrivateContest<'_, G> {
    fn learn(&mut self, batch: &Batch<'_>) -> Result<f64> {
        self.rows.refresh(self.generator.model(), batch.seed.derive("generated"));
        let (rows, objective) = (&self.rows, self.objective);
        let loss = self.discriminator.step(batch, |model, batch| Ok(rows.losses(objective, model, batch)))?;
        if self.pace.due() {
            self.generate(batch)?;
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

    fn promise(&self) -> Option<String> {
        Some(self.discriminator.promise())
    }

    fn memory(&self) -> Option<String> {
        let memory = Memory { discriminator: self.discriminator.memory(), pace: self.pace };
        Some(toml::to_string(&memory).expect("texts and numbers have a TOML form"))
    }

    fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        let Memory { discriminator, pace } =
            toml::from_str(memory).map_err(|error| format!("its ledger is not readable ({error})"))?;
        self.discriminator.recall(&discriminator)?;
        self.pace = pace;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_waits_longer_once_its_images_are_no_longer_recognised() {
        let mut pace = Pace::new(3, Some(0.6));
        let due: Vec<bool> = (0..6).map(|_| pace.due()).collect();
        assert_eq!(due, [false, false, true, false, false, true]);
        (0..100).for_each(|_| pace.recognised(0.7));
        assert_eq!(pace.every, 3, "0.7 of the images are recognised");
        let mut steps = 0;
        while pace.every == 3 {
            pace.recognised(0.3);
            steps += 1;
        }
        assert!((2..=5).contains(&steps), "{steps}");
        assert_eq!(pace.every, 6);
        pace.recognised(0.3);
        assert_eq!(pace.every, 6, "the discriminator is given time after a doubling");
        let mut fixed = Pace::new(3, None);
        (0..100).for_each(|_| fixed.recognised(0.0));
        assert_eq!(fixed.every, 3);
    }
}
