/// Which unit of privacy (an image, a patient) each sample of a batch belongs to.
///
/// Gradients of a unit are sums over its samples: augmented copies of one image, or all images of one patient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Units {
    of_sample: Vec<u32>,
    /// Samples in the order of their units, and where those of each unit start.
    members: Vec<u32>,
    starts: Vec<usize>,
}

impl Units {
    /// Samples with the unit of each, of `units` in all. A unit may have no sample: its gradient is zero.
    ///
    /// # Panics
    /// If a sample's unit is `units` or more.
    pub fn new(of_sample: Vec<u32>, units: usize) -> Self {
        let mut starts = vec![0; units + 1];
        for (sample, &unit) in of_sample.iter().enumerate() {
            assert!((unit as usize) < units, "sample {sample} is of unit {unit}, but there are only {units} units");
            starts[unit as usize + 1] += 1;
        }
        for unit in 0..units {
            starts[unit + 1] += starts[unit];
        }
        let mut next = starts.clone();
        let mut members = vec![0; of_sample.len()];
        for (sample, &unit) in of_sample.iter().enumerate() {
            members[next[unit as usize]] = sample as u32;
            next[unit as usize] += 1;
        }
        Self { of_sample, members, starts }
    }

    /// Each of `samples` samples its own unit.
    pub fn each(samples: usize) -> Self {
        Self::new((0..samples as u32).collect(), samples)
    }

    /// Number of units.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether there is no unit.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.of_sample.len()
    }

    /// The unit of each sample.
    pub fn of_sample(&self) -> &[u32] {
        &self.of_sample
    }

    /// The samples of a unit, in ascending order.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn members(&self, unit: usize) -> &[u32] {
        &self.members[self.starts[unit]..self.starts[unit + 1]]
    }

    /// The value of each sample's unit: a clipping factor per unit, made one per sample.
    ///
    /// # Panics
    /// If there are fewer values than units.
    pub fn spread(&self, of_unit: &[f32]) -> Vec<f32> {
        self.of_sample.iter().map(|&unit| of_unit[unit as usize]).collect()
    }
}
