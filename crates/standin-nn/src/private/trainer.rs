use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_privacy::{Budget, Event, Guarantee, Ledger, NoiseSource, calibrate};

use super::adaptive::{NoiseShares, next_bound};
use super::clipping::norms;
use super::{Privacy, Records, independence};
use crate::per_sample::{Recording, Units};
use crate::{Batch, Error, Optimization, Result, Trainer, TrainerState};

/// The sum's noise is this much larger than its nominal value, so that what rounding in f32 adds to the norm of a clipped
/// gradient is covered: factors and products are each within 2⁻²³ of their value, relative.
const ROUNDING: f64 = 1.0 + 1e-5;

/// What the losses of one pass are computed on.
#[derive(Clone, Copy, Debug)]
pub struct PrivateBatch<'a> {
    /// The step, from 0.
    pub step: usize,
    /// The image of each row; an image has as many rows as [`Privacy::multiplicity`] says, one after the other.
    pub indices: &'a [usize],
    /// For this pass's augmentation and dropout, each row its own.
    pub seed: Seed,
}

/// A network in private training. [`fit_private`](super::fit_private) is the loop over it; a training of several networks
/// (a discriminator beside its generator) holds one for each network that sees private images.
#[derive(Clone, Debug)]
pub struct PrivateTrainer<M> {
    trainer: Trainer<M>,
    privacy: Privacy,
    budget: Budget,
    records: Records,
    sampling_rate: f64,
    noise_multiplier: f64,
    shares: NoiseShares,
    /// What was spent before the first step.
    before: Ledger,
    ledger: Ledger,
    bound: f64,
}

/// What a checkpoint keeps beside the network.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Memory {
    bound: f64,
    ledger: Ledger,
}

impl<M: Module> PrivateTrainer<M> {
    /// Calibrates the noise so that all steps, after what `before` holds, stay within `budget`.
    ///
    /// # Errors
    /// If a setting is outside its range, no noise can reach the budget, or `before` accounts for other units or calls noise
    /// secret that is not.
    pub fn new(
        model: M,
        optimization: &Optimization,
        privacy: &Privacy,
        budget: Budget,
        records: &Records,
        before: Ledger,
    ) -> Result<Self> {
        privacy.check(records.units())?;
        if before.unit() != records.unit() || before.noise() != privacy.noise {
            return Err(Error::OtherLedger {
                found: format!("{:?} with {:?} noise", before.unit(), before.noise()),
                expected: format!("{:?} with {:?} noise", records.unit(), privacy.noise),
            });
        }
        let sampling_rate = privacy.batch_size as f64 / records.units() as f64;
        let noise_multiplier = calibrate::noise_multiplier(budget, sampling_rate, privacy.steps as u64, &before)?;
        Ok(Self {
            trainer: Trainer::of_any(model, optimization)?,
            shares: NoiseShares::of(&privacy.clipping, noise_multiplier, privacy.batch_size)?,
            bound: privacy.clipping.bound(),
            privacy: privacy.clone(),
            budget,
            records: records.clone(),
            sampling_rate,
            noise_multiplier,
            ledger: before.clone(),
            before,
        })
    }

    /// The network as it is now.
    pub fn model(&self) -> &M {
        self.trainer.model()
    }

    /// The standard deviation of the noise on the sum of gradients, in multiples of the clipping bound, as accounted.
    pub fn noise_multiplier(&self) -> f64 {
        self.noise_multiplier
    }

    /// Everything that ran so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Refuses a network that mixes the examples of a batch.
    ///
    /// # Errors
    /// If it does, or as `losses`.
    pub fn check_independence(
        &self,
        mut losses: impl FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>,
        seed: Seed,
    ) -> Result<()> {
        independence::check(&self.records, seed, |batch| losses(self.trainer.model(), batch))
    }

    /// One step: samples units, sums their clipped gradients, adds noise, records the step, and moves the parameters. Of
    /// `batch`, the units are not used: who takes part is part of the mechanism. Returns the mean loss of the rows, which is
    /// *not* private.
    ///
    /// # Errors
    /// If `losses` does not give one loss per row, a parameter was used outside the layers of this crate, or the noisy
    /// gradient is not finite.
    pub fn step(
        &mut self,
        batch: &Batch<'_>,
        mut losses: impl FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>,
    ) -> Result<f64> {
        let mut noise = NoiseSource::of(self.privacy.noise, batch.seed)?;
        let sampled = noise.sample(self.sampling_rate, self.records.units())?;
        let mut sum = vec![0f64; self.trainer.parameters()];
        let (mut loss, mut rows, mut within) = (0.0, 0, 0);
        for (pass, units) in self.passes(&sampled).into_iter().enumerate() {
            let pass = self.pass(batch, pass, units, &mut losses)?;
            loss += pass.loss;
            rows += pass.rows;
            within += pass.within;
            sum.iter_mut().zip(pass.sum).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let deviation = self.shares.gradients * self.bound * ROUNDING;
        noise.add_gaussian(deviation, &mut sum)?;
        let (rate, multiplier) = (self.sampling_rate, self.noise_multiplier);
        self.ledger
            .record(Event::PoissonSubsampledGaussian { sampling_rate: rate, noise_multiplier: multiplier }, 1)?;
        if let Some(count) = self.shares.count {
            let counts = (within, sampled.len());
            let batch_size = self.privacy.batch_size;
            self.bound = next_bound(&self.privacy.clipping, self.bound, counts, batch_size, count, &mut noise)?;
        }
        let scale = 1.0 / self.privacy.batch_size as f64;
        let gradient = sum.into_iter().map(|value| (value * scale) as f32).collect();
        self.trainer.apply_noised(gradient, (deviation * scale).powi(2), batch)?;
        Ok(if rows == 0 { 0.0 } else { loss / rows as f64 })
    }

    /// The sampled units, cut into passes of at most as many rows as asked for; a unit is never cut.
    fn passes<'a>(&self, sampled: &'a [usize]) -> Vec<&'a [usize]> {
        let rows = |unit: &usize| self.records.members(*unit).len() * self.privacy.multiplicity;
        let mut passes = Vec::new();
        let (mut start, mut size) = (0, 0);
        for (at, unit) in sampled.iter().enumerate() {
            if at > start && size + rows(unit) > self.privacy.physical_batch {
                passes.push(&sampled[start..at]);
                (start, size) = (at, 0);
            }
            size += rows(unit);
        }
        if start < sampled.len() {
            passes.push(&sampled[start..]);
        }
        passes
    }

    /// The sum of the clipped gradients of some units.
    fn pass(
        &self,
        batch: &Batch<'_>,
        number: usize,
        units: &[usize],
        losses: &mut impl FnMut(&M, &PrivateBatch<'_>) -> Result<Tensor<1>>,
    ) -> Result<Pass> {
        let (mut indices, mut of_row, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        for (place, &unit) in units.iter().enumerate() {
            let members = self.records.members(unit);
            let rows = members.len() * self.privacy.multiplicity;
            for &image in members {
                indices.extend(std::iter::repeat_n(image, self.privacy.multiplicity));
            }
            of_row.extend(std::iter::repeat_n(place as u32, rows));
            // The unit's loss is the mean over its rows.
            weights.extend(std::iter::repeat_n(1.0 / rows as f32, rows));
        }
        let rows = indices.len();
        let seed = batch.seed.derive(&format!("pass {number}"));
        let private = PrivateBatch { step: batch.step, indices: &indices, seed };
        let recording = Recording::new(Units::new(of_row, units.len()));
        let of_rows = recording.during(|| losses(self.trainer.model(), &private))?;
        if of_rows.dims() != [rows] {
            return Err(Error::Losses { found: of_rows.dims()[0], rows });
        }
        let loss = f64::from(of_rows.clone().sum().into_scalar::<f32>());
        let weights = Tensor::<1>::from_data(TensorData::new(weights, [rows]), &of_rows.device());
        let gradients = recording.finish(self.trainer.model(), (of_rows * weights).sum().backward())?;
        let squared = gradients.squared_norms();
        let within = norms(&squared).into_iter().filter(|&norm| norm <= self.bound).count();
        let factors = self.privacy.clipping.factors(&squared, self.bound);
        Ok(Pass { sum: gradients.weighted_sum(&factors), loss, rows, within })
    }

    /// What ran, and what it promises.
    ///
    /// # Errors
    /// If the accountant fails.
    pub fn guarantee(&self) -> Result<Guarantee> {
        let not_covered = [
            "the number of units",
            "the choice of hyper-parameters",
            "losses and other figures shown during training",
            "the loss of a unit whose gradient is no number, which is left out",
        ];
        let not_covered = not_covered.iter().map(|&part| part.to_owned()).collect();
        Ok(self.ledger.guarantee(self.budget.delta, not_covered)?)
    }

    /// The network to use, on the inference device.
    pub fn finished(&self) -> M {
        self.trainer.finished()
    }

    /// What a checkpoint keeps of the network.
    pub fn state(&self) -> TrainerState {
        self.trainer.state()
    }

    /// Continues from a state.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn restore(&mut self, state: TrainerState) -> std::result::Result<(), String> {
        self.trainer.restore(state)
    }

    /// The guarantee this training is to give, in words: a checkpoint of another is refused.
    pub fn promise(&self) -> String {
        let Privacy { batch_size, steps, .. } = self.privacy;
        let (units, Budget { epsilon, delta }) = (self.records.units(), self.budget);
        format!(
            "ε = {epsilon}, δ = {delta:e} for each of {units} units ({:?}), batches of {batch_size}, {steps} steps, \
             noise multiplier {}, {:?} noise, {:?} clipping",
            self.records.unit(),
            self.noise_multiplier,
            self.privacy.noise,
            self.privacy.clipping,
        )
    }

    /// The ledger and the bound, for a checkpoint.
    pub fn memory(&self) -> String {
        let memory = Memory { bound: self.bound, ledger: self.ledger.clone() };
        serde_json::to_string(&memory).expect("numbers and names have a JSON form")
    }

    /// Continues with the ledger and the bound of a checkpoint.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn recall(&mut self, memory: &str) -> std::result::Result<(), String> {
        let Memory { bound, ledger } =
            serde_json::from_str(memory).map_err(|error| format!("its ledger is not readable ({error})"))?;
        let steps = self.trainer.state().optimizer.steps;
        let mut expected = self.before.clone();
        let (sampling_rate, noise_multiplier) = (self.sampling_rate, self.noise_multiplier);
        let event = Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier };
        expected.record(event, steps).map_err(|error| error.to_string())?;
        if ledger != expected {
            return Err(format!("its ledger does not hold {steps} steps of this training"));
        }
        (self.bound, self.ledger) = (bound, ledger);
        Ok(())
    }
}

/// What one pass adds to a step.
struct Pass {
    sum: Vec<f32>,
    /// The sum of the rows' losses.
    loss: f64,
    rows: usize,
    /// Units whose gradient is within the bound.
    within: usize,
}
