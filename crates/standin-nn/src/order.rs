use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use standin_data::Seed;

/// Which examples each step of a training sees.
///
/// Epochs are permutations derived from the seed, cut into batches whose sizes differ by at most one, so each example
/// is seen exactly once an epoch and no step rests on a few left over. Any step can be computed without the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Number of training examples.
    pub examples: usize,
    /// Examples of the largest batch.
    pub batch_size: usize,
    /// Number of steps.
    pub steps: usize,
    /// Decides the order of the examples and each step's noise.
    pub seed: Seed,
}

impl Plan {
    /// A plan of `steps` steps.
    pub fn steps(examples: usize, batch_size: usize, steps: usize, seed: Seed) -> Self {
        Self { examples, batch_size, steps, seed }
    }

    /// A plan in which every example is seen `epochs` times (rounded to whole steps).
    pub fn epochs(examples: usize, batch_size: usize, epochs: f64, seed: Seed) -> Self {
        let plan = Self { examples, batch_size, steps: 0, seed };
        Self { steps: (plan.steps_per_epoch() as f64 * epochs).round() as usize, ..plan }
    }

    /// Batches in one epoch.
    pub fn steps_per_epoch(&self) -> usize {
        self.examples.div_ceil(self.batch_size.max(1)).max(1)
    }

    /// The permutation of the examples in one epoch.
    pub fn permutation(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.examples).collect();
        order.shuffle(&mut self.seed.derive(&format!("epoch {epoch}")).rng());
        order
    }

    /// The part of an epoch's permutation that one step sees.
    pub(crate) fn range(&self, step: usize) -> std::ops::Range<usize> {
        let batches = self.steps_per_epoch();
        let batch = step % batches;
        batch * self.examples / batches..(batch + 1) * self.examples / batches
    }

    /// The seed of one step's noise.
    pub(crate) fn step_seed(&self, step: usize) -> Seed {
        self.seed.derive(&format!("step {step}"))
    }
}

/// What one step works on.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// The step, from 0.
    pub step: usize,
    /// All steps of the training.
    pub steps: usize,
    /// The epoch, from 0.
    pub epoch: usize,
    /// Steps in one epoch.
    pub steps_per_epoch: usize,
    /// The examples of this step.
    pub indices: &'a [usize],
    /// For this step's noise, augmentation and dropout.
    pub seed: Seed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_sees_each_example_once_in_even_batches() {
        let plan = Plan::epochs(103, 10, 2.0, Seed::new(5));
        assert_eq!((plan.steps_per_epoch(), plan.steps), (11, 22));
        let order = plan.permutation(1);
        let mut seen: Vec<usize> = (11..22).flat_map(|step| order[plan.range(step)].to_vec()).collect();
        assert!((0..22).all(|step| (9..=10).contains(&plan.range(step).len())));
        seen.sort_unstable();
        assert_eq!(seen, (0..103).collect::<Vec<_>>());
    }

    #[test]
    fn epochs_and_seeds_differ_in_order() {
        let plan = Plan::epochs(50, 10, 1.0, Seed::new(5));
        assert_eq!(plan.permutation(0), plan.permutation(0));
        assert_ne!(plan.permutation(0), plan.permutation(1));
        assert_ne!(plan.permutation(0), Plan { seed: Seed::new(6), ..plan }.permutation(0));
    }
}
