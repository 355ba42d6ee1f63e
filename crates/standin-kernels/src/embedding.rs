use rayon::prelude::*;

use crate::units::Units;

/// The gradient of a table of rows that are looked up: y = table\[index], for each position of each sample.
///
/// Indices are `batch × positions`, output gradients `batch × positions × width`, the table `entries × width`. The functions
/// panic where a slice has not the length that the geometry says, or an index is `entries` or more. Each reads the output
/// gradients once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Embedding {
    /// Samples.
    pub batch: usize,
    /// Indices of a sample.
    pub positions: usize,
    /// Rows of the table.
    pub entries: usize,
    /// Numbers of a row.
    pub width: usize,
}

impl Embedding {
    /// Gradient of the table, `entries × width`, summed over samples, each times its factor where `weights` gives one.
    pub fn weight_gradient(&self, indices: &[u32], output_gradient: &[f32], weights: Option<&[f32]>) -> Vec<f32> {
        self.check(indices, output_gradient);
        if let Some(weights) = weights {
            assert_eq!(weights.len(), self.batch, "one factor for each sample of {self:?}");
        }
        let mut result = vec![0.0; self.entries * self.width];
        if self.width == 0 {
            return result;
        }
        let samples: Vec<u32> = (0..self.batch as u32).collect();
        let rows = self.by_entry(indices, &samples);
        // A row of the table is of one task, whichever samples have looked it up.
        result.par_chunks_mut(self.width).enumerate().for_each(|(entry, into)| {
            let first = rows.partition_point(|&(of, _)| (of as usize) < entry);
            for &(_, row) in rows[first..].iter().take_while(|(of, _)| *of as usize == entry) {
                let factor = weights.map_or(1.0, |weights| weights[row / self.positions]);
                self.add(output_gradient, row, factor, into);
            }
        });
        result
    }

    /// Gradient of the table for each unit, summed over its samples: `units × entries × width`.
    pub fn unit_gradients(&self, indices: &[u32], output_gradient: &[f32], units: &Units) -> Vec<f32> {
        self.check(indices, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        let mut result = vec![0.0; units.len() * self.entries * self.width];
        if result.is_empty() {
            return result;
        }
        result.par_chunks_mut(self.entries * self.width).enumerate().for_each(|(unit, into)| {
            for (entry, row) in self.by_entry(indices, units.members(unit)) {
                self.add(output_gradient, row, 1.0, &mut into[entry as usize * self.width..][..self.width]);
            }
        });
        result
    }

    /// Squared norm of each row of [`Embedding::unit_gradients`], of which only the entries that a unit looks up are made.
    pub fn unit_squared_norms(&self, indices: &[u32], output_gradient: &[f32], units: &Units) -> Vec<f64> {
        self.check(indices, output_gradient);
        assert_eq!(units.samples(), self.batch, "the units are of as many samples as the batch");
        let norm = |sum: &mut Vec<f32>, unit: usize| {
            let rows = self.by_entry(indices, units.members(unit));
            let of_entries = rows.chunk_by(|a, b| a.0 == b.0).map(|rows| {
                sum.clear();
                sum.resize(self.width, 0.0);
                for &(_, row) in rows {
                    self.add(output_gradient, row, 1.0, sum);
                }
                sum.iter().map(|&number| f64::from(number).powi(2)).sum::<f64>()
            });
            of_entries.sum()
        };
        (0..units.len()).into_par_iter().map_init(Vec::new, norm).collect()
    }

    fn check(&self, indices: &[u32], output_gradient: &[f32]) {
        let rows = self.batch * self.positions;
        assert_eq!(indices.len(), rows, "indices of {self:?}");
        assert_eq!(output_gradient.len(), rows * self.width, "output gradients of {self:?}");
        if let Some(index) = indices.iter().find(|&&index| index as usize >= self.entries) {
            panic!("index {index} is past the last of {} entries", self.entries);
        }
    }

    /// Entries that some samples look up, each with the row that does, in ascending order.
    fn by_entry(&self, indices: &[u32], samples: &[u32]) -> Vec<(u32, usize)> {
        let rows = samples.iter().flat_map(|&sample| {
            let first = sample as usize * self.positions;
            first..first + self.positions
        });
        let mut rows: Vec<_> = rows.map(|row| (indices[row], row)).collect();
        rows.sort_unstable();
        rows
    }

    fn add(&self, output_gradient: &[f32], row: usize, factor: f32, into: &mut [f32]) {
        for (into, number) in into.iter_mut().zip(&output_gradient[row * self.width..]) {
            *into += factor * number;
        }
    }
}
