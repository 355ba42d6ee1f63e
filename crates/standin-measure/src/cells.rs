use rand::RngExt;
use rayon::prelude::*;
use standin_data::Seed;
use standin_encode::{Embedding, Metric, nearest};

use crate::{Result, error::require_rows};

/// Lloyd's iterations at most; cells need not be the best ones, only the same for everyone.
const ITERATIONS: usize = 20;
/// Rows that one task adds up.
const ROWS: usize = 1024;

/// A partition of feature space: every image belongs to the cell whose centre is nearest, of equals the first.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    centres: Embedding,
}

impl Cells {
    /// k-means with the seeding of Arthur and Vassilvitskii ("k-means++", SODA 2007) and Lloyd's iterations; at most
    /// `count` cells, fewer if there are fewer different rows. Under the Hamming distance a cell's centre is the most
    /// frequent code of every place instead of the mean (k-modes, Huang 1998).
    ///
    /// O(iterations·n·count·d) time, O(count·d) memory. Results do not depend on the number of threads.
    pub(crate) fn of(rows: &Embedding, count: usize, seed: Seed) -> Result<Self> {
        require_rows("a partition", rows.rows(), 1)?;
        let mut cells = Self::scattered(rows, count.max(1), seed)?;
        let mut before = Vec::new();
        for _ in 0..ITERATIONS {
            let assigned = cells.assign(rows)?;
            if assigned == before {
                break;
            }
            cells.move_centres(rows, &assigned)?;
            before = assigned;
        }
        Ok(cells)
    }

    /// Centres drawn among the rows, each with probability proportional to its squared distance to those before.
    fn scattered(rows: &Embedding, count: usize, seed: Seed) -> Result<Self> {
        let mut rng = seed.rng();
        let mut chosen = vec![rng.random_range(0..rows.rows())];
        let mut squares = vec![f64::INFINITY; rows.rows()];
        while chosen.len() < count {
            let latest = rows.select(&chosen[chosen.len() - 1..]);
            for (square, distance) in squares.iter_mut().zip(nearest(rows, &latest, 1, false)?.at_rank(1)) {
                *square = square.min(distance * distance);
            }
            let total: f64 = squares.iter().sum();
            if total == 0.0 {
                break;
            }
            let mut left = rng.random_range(0.0..total);
            let reached = squares.iter().position(|square| {
                left -= square;
                left < 0.0
            });
            // Rounding may leave a rest after the last row; the farthest is then as good a choice as any.
            let farthest = || (0..rows.rows()).max_by(|&a, &b| squares[a].total_cmp(&squares[b]));
            chosen.extend(reached.or_else(farthest));
        }
        Ok(Self { centres: rows.select(&chosen) })
    }

    /// Number of cells.
    pub(crate) fn count(&self) -> usize {
        self.centres.rows()
    }

    /// The cell of every row.
    pub(crate) fn assign(&self, rows: &Embedding) -> Result<Vec<usize>> {
        let found = nearest(rows, &self.centres, 1, false)?;
        Ok((0..found.len()).map(|row| found.indices(row)[0]).collect())
    }

    /// Puts every centre in the middle of its rows; one that has none stays.
    fn move_centres(&mut self, rows: &Embedding, assigned: &[usize]) -> Result<()> {
        let d = rows.dimension();
        let mut values = match rows.stamp().metric {
            Metric::Euclidean => means(rows, assigned, self.count()),
            Metric::Hamming => modes(rows, assigned, self.count()),
        };
        for (cell, centre) in values.chunks_exact_mut(d).enumerate() {
            if !assigned.contains(&cell) {
                centre.copy_from_slice(self.centres.row(cell));
            }
        }
        self.centres = Embedding::new(values, d, rows.stamp().clone())?;
        Ok(())
    }
}

fn means(rows: &Embedding, assigned: &[usize], count: usize) -> Vec<f32> {
    let d = rows.dimension();
    let parts: Vec<Vec<f64>> = rows
        .values()
        .par_chunks(ROWS * d)
        .zip(assigned.par_chunks(ROWS))
        .map(|(part, assigned)| {
            let mut sums = vec![0.0; count * d];
            for (row, &cell) in part.chunks_exact(d).zip(assigned) {
                sums[cell * d..(cell + 1) * d].iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sums
        })
        .collect();
    let mut sizes = vec![0.0; count];
    assigned.iter().for_each(|&cell| sizes[cell] += 1.0);
    (0..count * d)
        .map(|at| (parts.iter().map(|part| part[at]).sum::<f64>() / f64::max(sizes[at / d], 1.0)) as f32)
        .collect()
}

fn modes(rows: &Embedding, assigned: &[usize], count: usize) -> Vec<f32> {
    let d = rows.dimension();
    let members: Vec<Vec<usize>> =
        (0..count).map(|cell| (0..assigned.len()).filter(|&row| assigned[row] == cell).collect()).collect();
    (0..count * d)
        .into_par_iter()
        .map(|at| {
            let mut codes: Vec<f32> = members[at / d].iter().map(|&row| rows.row(row)[at % d]).collect();
            codes.sort_unstable_by(f32::total_cmp);
            // `max_by_key` keeps the last of equals, which reversed is the smallest code.
            let runs = codes.chunk_by(|a, b| a == b).rev();
            runs.max_by_key(|run| run.len()).map_or(0.0, |run| run[0])
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use standin_encode::Stamp;

    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn groups_far_apart_become_cells() {
        let values = gaussian(90, 3, 1.0, 0.0, 1).values().to_vec();
        let shifted = values.iter().enumerate().map(|(at, x)| x + 50.0 * (at / 3 % 3) as f32).collect();
        let rows = embed(shifted, 3);
        let assigned = Cells::of(&rows, 3, Seed::new(1)).unwrap().assign(&rows).unwrap();
        for row in 3..90 {
            assert_eq!(assigned[row], assigned[row % 3]);
        }
        assert_ne!(assigned[0], assigned[1]);
        assert_ne!(assigned[1], assigned[2]);
        assert_ne!(assigned[0], assigned[2]);
    }

    #[test]
    fn there_are_no_more_cells_than_different_rows() {
        let rows = embed(vec![1.0, 1.0, 2.0, 2.0], 1);
        assert_eq!(Cells::of(&rows, 5, Seed::new(3)).unwrap().count(), 2);
    }

    #[test]
    fn cells_do_not_depend_on_the_number_of_threads() {
        let rows = gaussian(3000, 5, 1.0, 0.0, 2);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Cells::of(&rows, 7, Seed::new(4)).unwrap().centres)
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn the_centre_of_codes_is_their_most_frequent_one() {
        let stamp = Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") };
        let rows = Embedding::new(vec![7.0, 1.0, 7.0, 2.0, 3.0, 2.0, 3.0, 1.0, 7.0, 9.0], 2, stamp).unwrap();
        assert_eq!(modes(&rows, &[0; 5], 1), [7.0, 1.0]);
    }
}
