/// Exponential moving average of parameters: a smoother network than the last step's, at the cost of one more copy.
///
/// The decay of step t is min(d, (1 + t) / (10 + t)): a constant decay would keep the random start in the average for
/// about 1 / (1 − d) steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Average {
    decay: f64,
    steps: u64,
    values: Vec<f32>,
}

impl Average {
    /// Starts from `values` with a final decay in [0, 1).
    pub fn new(decay: f64, values: &[f32]) -> Self {
        Self { decay, steps: 0, values: values.to_vec() }
    }

    /// Continues an average that was interrupted after `steps` updates.
    pub fn resume(decay: f64, steps: u64, values: Vec<f32>) -> Self {
        Self { decay, steps, values }
    }

    /// Moves the average towards the parameters after a step.
    ///
    /// # Panics
    /// If the number of parameters changed.
    pub fn update(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.values.len(), "the average and the network have the same parameters");
        self.steps += 1;
        let t = self.steps as f64;
        let rest = (1.0 - self.decay.min((1.0 + t) / (10.0 + t))) as f32;
        for (average, &value) in self.values.iter_mut().zip(values) {
            *average += rest * (value - *average);
        }
    }

    /// The averaged parameters.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Updates so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_average_of_a_constant_is_the_constant() {
        let mut average = Average::new(0.999, &[0.5]);
        (0..100).for_each(|_| average.update(&[0.5]));
        assert_eq!(average.values(), [0.5]);
    }

    #[test]
    fn weights_equal_the_written_out_recursion() {
        let mut average = Average::new(0.5, &[8.0]);
        let mut expected = 8.0f64;
        for t in 1..=20 {
            let value = f64::from(t * t);
            average.update(&[value as f32]);
            let decay = 0.5f64.min(f64::from(1 + t) / f64::from(10 + t));
            expected = decay * expected + (1.0 - decay) * value;
        }
        assert!((f64::from(average.values()[0]) - expected).abs() < 1e-4, "{:?} for {expected}", average.values());
    }

    #[test]
    fn the_start_is_forgotten_early() {
        let mut average = Average::new(0.9999, &[100.0]);
        (0..100).for_each(|_| average.update(&[0.0]));
        assert!(average.values()[0] < 0.01, "a constant decay would leave {}", 100.0 * 0.9999f64.powi(100));
    }
}
