use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::Seed;

/// Vectors that one task compares with the codebook.
const CHUNK: usize = 256;

/// A code that fewer vectors of a step than this choose, on the moving average, is moved to where vectors are.
const DEAD: f64 = 1.0;

/// What a code that was moved counts as at first: time enough to be chosen before it is dead again.
const REVIVED: f64 = 2.0 * DEAD;

/// Below this a code's moving sums are too small to divide.
const LEAST: f64 = 1e-9;

/// The code nearest to each vector and the squared distance to it; of equal distances the first code.
///
/// `codes` and `vectors` are row-major, `dimension` values each. Cost: vectors × codes × dimension.
pub(super) fn nearest(codes: &[f32], vectors: &[f32], dimension: usize) -> (Vec<u32>, Vec<f32>) {
    let count = codes.len() / dimension;
    // Transposed, so that one vector is compared with many codes at once.
    let columns: Vec<f32> = (0..codes.len()).map(|at| codes[at % count * dimension + at / count]).collect();
    let compare = |chunk: &[f32]| {
        let mut distances = vec![0.0_f32; count];
        let nearest = |vector: &[f32]| {
            distances.fill(0.0);
            for (&value, column) in vector.iter().zip(columns.chunks_exact(count)) {
                for (distance, &code) in distances.iter_mut().zip(column) {
                    let difference = value - code;
                    *distance += difference * difference;
                }
            }
            let first = |best: usize, code: usize| if distances[code] < distances[best] { code } else { best };
            let best = (1..count).fold(0, first);
            (best as u32, distances[best])
        };
        chunk.chunks_exact(dimension).map(nearest).collect::<Vec<_>>()
    };
    let found: Vec<Vec<(u32, f32)>> = vectors.par_chunks(CHUNK * dimension).map(compare).collect();
    found.into_iter().flatten().unzip()
}

/// A codebook in training: each code is the moving average of the vectors that chose it (van den Oord et al. 2017,
/// appendix A.1, equations 6 to 8).
///
/// The moving sums start at 0, so that the first steps count fully and codes keep up with an encoder that still moves
/// fast. What matters is their ratio; where a count is compared, it is divided by 1 − γᵗ as in Adam.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MovingCodebook {
    dimension: usize,
    decay: f64,
    /// 1 − γᵗ after t updates.
    weight: f64,
    /// Moving number of vectors of each code, N.
    counts: Vec<f64>,
    /// Moving sum of the vectors of each code, m.
    sums: Vec<f64>,
    /// m / N.
    codes: Vec<f32>,
}

impl MovingCodebook {
    /// Codes at vectors drawn far from each other: each with a probability proportional to its squared distance to the
    /// nearest code before (k-means++, Arthur & Vassilvitskii 2007). Where fewer vectors differ than there are codes,
    /// the rest repeat the first.
    pub(super) fn spread(vectors: &[f32], dimension: usize, count: usize, decay: f64, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let rows = vectors.len() / dimension;
        let row = |index: usize| &vectors[index * dimension..(index + 1) * dimension];
        let mut codes = row(rng.random_range(0..rows)).to_vec();
        let (_, mut distances) = nearest(&codes, vectors, dimension);
        while codes.len() < count * dimension {
            let chosen =
                draw(&distances, rng.random()).map_or_else(|| codes[..dimension].to_vec(), |at| row(at).to_vec());
            let (_, to_new) = nearest(&chosen, vectors, dimension);
            distances.iter_mut().zip(to_new).for_each(|(old, new)| *old = old.min(new));
            codes.extend(chosen);
        }
        Self { dimension, decay, weight: 0.0, counts: vec![0.0; count], sums: vec![0.0; codes.len()], codes }
    }

    /// Whether it is of so many codes of so many values.
    pub(super) fn fits(&self, count: usize, dimension: usize) -> bool {
        let Self { counts, sums, codes, .. } = self;
        self.dimension == dimension && counts.len() == count && [sums.len(), codes.len()] == [count * dimension; 2]
    }

    /// The codes, row-major.
    pub(super) fn codes(&self) -> &[f32] {
        &self.codes
    }

    /// Moves the codes towards the vectors that chose them.
    pub(super) fn update(&mut self, vectors: &[f32], chosen: &[u32]) {
        let mut counts = vec![0.0; self.counts.len()];
        let mut sums = vec![0.0; self.sums.len()];
        for (vector, &code) in vectors.chunks_exact(self.dimension).zip(chosen) {
            let code = code as usize;
            counts[code] += 1.0;
            let sum = &mut sums[code * self.dimension..][..self.dimension];
            sum.iter_mut().zip(vector).for_each(|(sum, &value)| *sum += f64::from(value));
        }
        self.weight = self.decay * self.weight + (1.0 - self.decay);
        let move_towards = |old: &mut f64, new: f64| *old = self.decay * *old + (1.0 - self.decay) * new;
        self.counts.iter_mut().zip(counts).for_each(|(old, new)| move_towards(old, new));
        self.sums.iter_mut().zip(sums).for_each(|(old, new)| move_towards(old, new));
        let parts = self.codes.chunks_exact_mut(self.dimension).zip(self.sums.chunks_exact(self.dimension));
        for ((code, sum), &count) in parts.zip(&self.counts) {
            if count > LEAST {
                code.iter_mut().zip(sum).for_each(|(value, sum)| *value = (sum / count) as f32);
            }
        }
    }

    /// Moves each code that hardly any vector chooses to a vector that is badly served, drawn with a probability
    /// proportional to its squared distance to its code (random restarts, Dhariwal et al. 2020, section 3.2, with the
    /// draw of k-means++ in the place of an even one). Returns how many were moved. Belongs after an update.
    pub(super) fn revive(&mut self, vectors: &[f32], distances: &[f32], seed: Seed) -> usize {
        let mut rng = seed.rng();
        let mut moved = 0;
        for code in 0..self.counts.len() {
            if self.counts[code] >= DEAD * self.weight {
                continue;
            }
            let Some(at) = draw(distances, rng.random()) else { return moved };
            let vector = &vectors[at * self.dimension..][..self.dimension];
            let count = REVIVED * self.weight;
            self.counts[code] = count;
            let place = code * self.dimension..(code + 1) * self.dimension;
            self.codes[place.clone()].copy_from_slice(vector);
            self.sums[place].iter_mut().zip(vector).for_each(|(sum, &value)| *sum = count * f64::from(value));
            moved += 1;
        }
        moved
    }
}

/// An index drawn with probability proportional to its weight, from a uniform number in [0, 1); none if all are 0.
pub(super) fn draw(weights: &[f32], uniform: f64) -> Option<usize> {
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut rest = uniform * total;
    let positive = || weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
    for (index, &weight) in positive() {
        rest -= f64::from(weight);
        if rest < 0.0 {
            return Some(index);
        }
    }
    // Rounding may leave a rest after the last.
    positive().next_back().map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_code_is_found_and_the_first_of_equals_taken() {
        let codes = [0.0, 0.0, 2.0, 0.0, 0.0, 2.0];
        let (chosen, distances) = nearest(&codes, &[0.1, 0.0, 1.9, 0.5, 1.0, 1.0], 2);
        assert_eq!(chosen, [0, 1, 0]);
        assert!((distances[0] - 0.01).abs() < 1e-7 && (distances[2] - 2.0).abs() < 1e-7);
    }

    /// N and m by their recursions, started at 0.
    #[test]
    fn a_code_is_the_moving_average_of_its_vectors() {
        let mut codebook = MovingCodebook::spread(&[0.0, 4.0], 1, 1, 0.9, Seed::new(1));
        let (mut count, mut sum) = (0.0, 0.0);
        for step in 0..40 {
            let vectors = [1.0 + step as f32, 3.0, 5.0];
            codebook.update(&vectors, &[0, 0, 0]);
            (count, sum) = (0.9 * count + 0.1 * 3.0, 0.9 * sum + 0.1 * (9.0 + f64::from(step)));
            assert!((f64::from(codebook.codes()[0]) - sum / count).abs() < 1e-5);
        }
    }

    #[test]
    fn spread_codes_reach_every_cluster() {
        // Ten clusters, one of which holds nine tenths of the vectors.
        let vectors: Vec<f32> =
            (0..1000).map(|at| if at % 10 > 0 { 0.0 } else { 10.0 * ((at / 10 % 9) + 1) as f32 }).collect();
        let codebook = MovingCodebook::spread(&vectors, 1, 10, 0.99, Seed::new(2));
        let mut codes = codebook.codes().to_vec();
        codes.sort_by(f32::total_cmp);
        assert_eq!(codes, (0..10).map(|cluster| 10.0 * cluster as f32).collect::<Vec<_>>());
    }

    #[test]
    fn a_dead_code_moves_to_the_vectors_that_are_badly_served() {
        let mut codebook = MovingCodebook::spread(&[0.0, 1.0], 1, 2, 0.9, Seed::new(1));
        codebook.codes.copy_from_slice(&[0.0, -100.0]);
        let vectors = [0.0, 0.0, 0.0, 7.0];
        let mut moved = 0;
        for step in 0..20 {
            let (chosen, distances) = nearest(codebook.codes(), &vectors, 1);
            codebook.update(&vectors, &chosen);
            moved += codebook.revive(&vectors, &distances, Seed::new(step));
        }
        let (chosen, _) = nearest(codebook.codes(), &vectors, 1);
        assert!(moved > 0 && chosen[0] != chosen[3], "moved {moved}, codes {:?}", codebook.codes());
    }

    #[test]
    fn equal_vectors_leave_nothing_to_revive() {
        let mut codebook = MovingCodebook::spread(&[3.0; 8], 2, 4, 0.5, Seed::new(1));
        let vectors = [3.0; 8];
        for step in 0..50 {
            let (chosen, distances) = nearest(codebook.codes(), &vectors, 2);
            assert_eq!(chosen, [0; 4]);
            codebook.update(&vectors, &chosen);
            assert_eq!(codebook.revive(&vectors, &distances, Seed::new(step)), 0);
        }
        assert!(codebook.codes().iter().all(|value| value.is_finite()));
    }
}
