//! The best matches between two sets, seen from both sides and as pairs, in one pass over all pairs.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use standin_data::Progress;

use crate::neighbours::{Candidates, narrow};
use crate::screen::{BLOCK, Bounds, Screen, near, squared_distance};
use crate::{Embedding, Error, Metric, Neighbours, Pair, Result, closest_pairs, nearest};

/// The best matches between two sets.
#[derive(Clone, Debug, PartialEq)]
pub struct Matches {
    /// For each row of the left set its nearest rows of the right one.
    pub of_left: Neighbours,
    /// For each row of the right set the nearest row of the left one.
    pub of_right: Neighbours,
    /// The closest of all pairs, closest first.
    pub pairs: Vec<Pair>,
}

/// The `k` nearest right rows of each left row, the nearest left row of each right row, and the closest `pairs` of all.
///
/// Each exact as [`nearest`] and [`closest_pairs`] find it, and together at the cost of one of them or less: O(l·r·d) time in
/// matrix products over all cores, of bytes where the processor multiplies these, else in single precision; memory O(l·k + r + pairs) beyond the inputs and a few MiB per core.
/// The result is the same for any number of threads. The progress counts left rows.
///
/// # Errors
/// If the embeddings have different protocols, `k` is 0 or above the right rows, or there is no left row.
pub fn matches(
    left: &Embedding,
    right: &Embedding,
    k: usize,
    pairs: usize,
    progress: &dyn Progress,
) -> Result<Matches> {
    left.require_same_protocol(right)?;
    if k == 0 || k > right.rows() || left.is_empty() {
        return Err(Error::TooFewNeighbours { k, available: right.rows().min(left.rows()) });
    }
    if left.stamp().metric == Metric::Hamming {
        let (of_left, of_right) = (nearest(left, right, k, false)?, nearest(right, left, 1, false)?);
        return Ok(Matches { of_left, of_right, pairs: closest_pairs(left, right, pairs)? });
    }
    progress.begin("comparing", left.rows() as u64);
    let search = Search { left, right, screen: Screen::new(left, right), columns: Columns::new(right.rows()) };
    let tiles = search.screen.stream_in_bytes(
        |rows| search.tile(rows, k, pairs),
        |tile, row, first, bounds| search.visit(tile, row, first, bounds),
        |tile| {
            let rows = tile.rows.len() as u64;
            let found = search.finish(tile);
            progress.advance(rows);
            found
        },
    );
    progress.end();
    let (of_left, of_pairs): (Vec<_>, Vec<_>) = tiles.into_iter().unzip();
    let of_left = of_left.into_iter().flatten().map(|(squared, row)| (squared, row as usize));
    Ok(Matches {
        of_left: Neighbours::from_squared(k, of_left),
        of_right: Neighbours::from_squared(1, search.columns.into_best()),
        pairs: Pair::closest(of_pairs.into_iter().flatten().collect(), pairs),
    })
}

struct Search<'a> {
    left: &'a Embedding,
    right: &'a Embedding,
    screen: Screen<'a>,
    columns: Columns,
}

/// A few left rows on their way through all right rows.
struct Tile {
    rows: Range<usize>,
    nearest: Vec<Candidates<u32>>,
    pairs: Candidates<(usize, usize)>,
    /// Where the block of right rows begins that is being compared; none before the first.
    first: Option<usize>,
    /// For each right row of the block a bound on the distance of its nearest left row: none beyond it can be that.
    bounds: Vec<f32>,
    /// Left rows that may be nearest: the lower bound of their distance, the offset in the block, the row.
    nearer: Vec<(f32, usize, usize)>,
}

type Squared<Id> = Vec<(f64, Id)>;

impl Search<'_> {
    fn tile(&self, rows: Range<usize>, k: usize, pairs: usize) -> Tile {
        Tile {
            nearest: vec![Candidates::new(k); rows.len()],
            rows,
            pairs: Candidates::new(pairs),
            first: None,
            bounds: Vec::new(),
            nearer: Vec::new(),
        }
    }

    /// Takes in the bounds of a row; how many pairs were measured for it.
    fn visit(&self, tile: &mut Tile, row: usize, first: usize, bounds: Bounds<'_>) -> usize {
        if tile.first != Some(first) {
            self.leave_block(tile);
            tile.first = Some(first);
            self.columns.copy_bounds(first, &mut tile.bounds);
        }
        let nearest = &mut tile.nearest[row - tile.rows.start];
        let mut measured = 0;
        let ceiling = nearest.threshold().max(tile.pairs.threshold());
        for offset in near(bounds.lower, ceiling, Some(&tile.bounds)).flatten() {
            let (lower, other) = (bounds.lower[offset], first + offset);
            if lower > nearest.threshold() && lower > tile.pairs.threshold() && lower > tile.bounds[offset] {
                continue;
            }
            let (lower, upper) = if bounds.coarse {
                measured += 1;
                self.screen.measured(row, other)
            } else {
                (lower, lower + self.screen.slack(row, other))
            };
            if lower <= nearest.threshold() {
                nearest.push(lower, upper, narrow(other));
            }
            if lower <= tile.pairs.threshold() {
                tile.pairs.push(lower, upper, (row, other));
            }
            if lower <= tile.bounds[offset] {
                tile.bounds[offset] = tile.bounds[offset].min(upper);
                tile.nearer.push((lower, offset, row));
            }
        }
        measured
    }

    /// Measures what may be nearest to the right rows of the block that ends.
    fn leave_block(&self, tile: &mut Tile) {
        let Some(first) = tile.first else { return };
        let bounds = &tile.bounds;
        let open = tile.nearer.drain(..).filter(|&(lower, offset, _)| lower <= bounds[offset]);
        let measured: Vec<_> = open
            .map(|(_, offset, row)| {
                let squared = squared_distance(self.left.row(row), self.right.row(first + offset));
                (offset, (squared, row), (self.screen.scaled(squared) as f32).next_up())
            })
            .collect();
        self.columns.offer(first, measured);
    }

    fn finish(&self, mut tile: Tile) -> (Squared<u32>, Squared<(usize, usize)>) {
        self.leave_block(&mut tile);
        let nearest = tile.rows.zip(tile.nearest).flat_map(|(row, found)| {
            let row = self.left.row(row);
            found.closest(|&other| squared_distance(row, self.right.row(other as usize)))
        });
        let pairs = tile.pairs.closest(|&(a, b)| squared_distance(self.left.row(a), self.right.row(b)));
        (nearest.collect(), pairs)
    }
}

/// The nearest left row of every right row so far, by blocks of right rows.
struct Columns {
    blocks: Vec<Mutex<Block>>,
}

struct Block {
    /// Bounds in the unit of the screen.
    bounds: Vec<f32>,
    /// Squared distance and row.
    best: Vec<(f64, usize)>,
}

impl Columns {
    fn new(rows: usize) -> Self {
        let block = |first: usize| {
            let rows = BLOCK.min(rows - first);
            Mutex::new(Block { bounds: vec![f32::INFINITY; rows], best: vec![(f64::INFINITY, usize::MAX); rows] })
        };
        Self { blocks: (0..rows).step_by(BLOCK).map(block).collect() }
    }

    fn copy_bounds(&self, first: usize, to: &mut Vec<f32>) {
        // A panic elsewhere ends the whole search, so a poisoned block is never looked at in earnest.
        let block = self.blocks[first / BLOCK].lock().unwrap_or_else(PoisonError::into_inner);
        to.clone_from(&block.bounds);
    }

    /// Takes the nearest, and of equally near ones the lower row, whatever the order in which they come.
    fn offer(&self, first: usize, measured: Vec<(usize, (f64, usize), f32)>) {
        let mut block = self.blocks[first / BLOCK].lock().unwrap_or_else(PoisonError::into_inner);
        for (offset, found, bound) in measured {
            if found < block.best[offset] {
                block.best[offset] = found;
                block.bounds[offset] = block.bounds[offset].min(bound);
            }
        }
    }

    fn into_best(self) -> impl Iterator<Item = (f64, usize)> {
        self.blocks.into_iter().flat_map(|block| block.into_inner().unwrap_or_else(PoisonError::into_inner).best)
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Silent;

    use super::*;
    use crate::Stamp;
    use crate::testing::{embed, random};

    fn assert_equals_single_searches(left: &Embedding, right: &Embedding, k: usize, pairs: usize) {
        let found = matches(left, right, k, pairs, &Silent).unwrap();
        assert_eq!(found.of_left, nearest(left, right, k, false).unwrap());
        assert_eq!(found.of_right, nearest(right, left, 1, false).unwrap());
        assert_eq!(found.pairs, closest_pairs(left, right, pairs).unwrap());
    }

    #[test]
    fn one_pass_finds_what_three_searches_find() {
        let (a, b) = (embed(random(700, 19, 1), 19), embed(random(1300, 19, 2), 19));
        assert_equals_single_searches(&a, &b, 5, 100);
        assert_equals_single_searches(&b, &a, 1, 0);
        assert_equals_single_searches(&embed(random(3, 4, 1), 4), &embed(random(2, 4, 2), 4), 2, 50);
    }

    #[test]
    fn near_rows_and_ties_are_resolved_exactly() {
        // Distances of 10⁻⁵ of the norms, and every row three times.
        let cluster = |seed| {
            let noise = random(400, 7, seed);
            let far = |at: usize| if (at / 7).is_multiple_of(2) { 900.0 } else { -900.0 };
            let values: Vec<f32> = noise.iter().enumerate().map(|(at, x)| far(at) + 0.01 * x).collect();
            embed([&values[..], &values[..], &values[..]].concat(), 7)
        };
        assert_equals_single_searches(&cluster(3), &cluster(4), 4, 30);
        assert_equals_single_searches(&cluster(3), &cluster(3), 4, 30);
    }

    #[test]
    fn what_bytes_cannot_tell_apart_is_looked_at_more_closely() {
        // Two heaps far from each other, of rows that differ by less than a step of a byte.
        let heaps = |seed| {
            let noise = random(2500, 8, seed);
            let side = |at: usize| if (at / 8).is_multiple_of(2) { 1.0 } else { -1.0 };
            embed(noise.iter().enumerate().map(|(at, x)| side(at) + 1e-4 * x).collect(), 8)
        };
        assert_equals_single_searches(&heaps(5), &heaps(6), 3, 50);
    }

    #[test]
    fn codes_are_compared_by_the_places_in_which_they_differ() {
        let codes = |seed| random(90, 12, seed).iter().map(|x| ((x + 1.0) * 2.0).floor()).collect();
        let stamp = Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") };
        let [a, b] = [1, 2].map(|seed| Embedding::new(codes(seed), 12, stamp.clone()).unwrap());
        assert_equals_single_searches(&a, &b, 2, 10);
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let (a, b) = (embed(random(900, 40, 11), 40), embed(random(1200, 40, 12), 40));
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| matches(&a, &b, 3, 30, &Silent).unwrap())
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn impossible_requests_are_errors() {
        let (a, b, none) = (embed(random(3, 2, 1), 2), embed(random(3, 3, 2), 3), embed(Vec::new(), 2));
        let refused = |left, right, k| matches(left, right, k, 1, &Silent).is_err();
        assert!(refused(&a, &b, 1) && refused(&a, &a, 4) && refused(&a, &a, 0) && refused(&none, &a, 1));
    }
}
