use std::ops::Range;

use rayon::prelude::*;

use crate::screen::{Screen, near, squared_distance};
use crate::{Embedding, Error, Metric, Result, hamming};

/// The nearest rows of a base set for each row of a query set.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    k: usize,
    indices: Vec<usize>,
    distances: Vec<f64>,
}

impl Neighbours {
    /// Neighbours per query.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of queries.
    pub fn len(&self) -> usize {
        self.indices.len() / self.k
    }

    /// Whether there was no query.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Base rows nearest to one query, nearest first.
    ///
    /// # Panics
    /// If `query` is not below [`Neighbours::len`].
    pub fn indices(&self, query: usize) -> &[usize] {
        &self.indices[query * self.k..(query + 1) * self.k]
    }

    /// Distances to those rows, in the same order.
    ///
    /// # Panics
    /// If `query` is not below [`Neighbours::len`].
    pub fn distances(&self, query: usize) -> &[f64] {
        &self.distances[query * self.k..(query + 1) * self.k]
    }

    /// For every query the distance to its neighbour of `rank`, counted from 1.
    ///
    /// # Panics
    /// If `rank` is 0 or above [`Neighbours::k`].
    pub fn at_rank(&self, rank: usize) -> Vec<f64> {
        assert!((1..=self.k).contains(&rank), "rank {rank} of {} neighbours", self.k);
        self.distances.iter().skip(rank - 1).step_by(self.k).copied().collect()
    }

    /// From squared distances and rows, `k` for each query.
    pub(crate) fn from_squared(k: usize, found: impl Iterator<Item = (f64, usize)>) -> Self {
        let (distances, indices) = found.map(|(squared, row)| (squared.sqrt(), row)).unzip();
        Self { k, indices, distances }
    }
}

/// The exact `k` nearest rows of `base` for each row of `queries`, by the distance of their stamp's [`Metric`].
///
/// Distances are those of double precision on the rows given, so a copy is at exactly 0; of equal distances the lower
/// index comes first. With `exclude_self` the query of index i never finds base row i: give one set as both.
///
/// Time O(q·b·d) in single-precision matrix products over all cores, half of it where `queries` and `base` are one object;
/// memory O(q·k) beyond the inputs and a few MiB per core. Where very many rows lie at nearly the same distance (thousands of copies of one row) they are all
/// measured in double precision, which is slower but still right. The result is the same for any number of threads.
///
/// # Errors
/// If the embeddings have different protocols, `k` is 0, or there are fewer than `k` rows to choose from.
pub fn nearest(queries: &Embedding, base: &Embedding, k: usize, exclude_self: bool) -> Result<Neighbours> {
    queries.require_same_protocol(base)?;
    let available = base.rows().saturating_sub(usize::from(exclude_self));
    if k == 0 || k > available {
        return Err(Error::TooFewNeighbours { k, available });
    }
    if base.stamp().metric == Metric::Hamming {
        let (distances, indices) = hamming::nearest(queries, base, k, exclude_self).into_iter().unzip();
        return Ok(Neighbours { k, indices, distances });
    }
    Ok(search(queries, base, k, |query, row| exclude_self && row == query))
}

/// For each row of a set the nearest row of another group, exact like [`nearest`] and at its cost.
///
/// # Errors
/// If there is only one group, or the stamp's metric is not Euclidean.
///
/// # Panics
/// If there is not one group for each row.
pub fn nearest_of_others(set: &Embedding, groups: &[usize]) -> Result<Neighbours> {
    assert_eq!(groups.len(), set.rows(), "one group for each row");
    if set.stamp().metric != Metric::Euclidean {
        return Err(Error::NoDirection { what: set.stamp().to_string(), row: None });
    }
    if groups.iter().all(|group| *group == groups[0]) {
        return Err(Error::TooFewNeighbours { k: 1, available: 0 });
    }
    Ok(search(set, set, 1, |query, row| groups[query] == groups[row]))
}

/// The `k` nearest base rows of each query but for those that are skipped; every query must have as many.
fn search(
    queries: &Embedding,
    base: &Embedding,
    k: usize,
    skipped: impl Fn(usize, usize) -> bool + Sync,
) -> Neighbours {
    let screen = Screen::new(queries, base);
    let start = |range: Range<usize>| (range.start, vec![Candidates::new(k); range.len()]);
    let visit = |(start, candidates): &mut (usize, Vec<Candidates<u32>>), query: usize, first: usize, lower: &[f32]| {
        candidates[query - *start].screen(lower, |offset| {
            let row = first + offset;
            (!skipped(query, row)).then(|| (narrow(row), screen.slack(query, row)))
        });
    };
    let finish = |(start, candidates): (usize, Vec<Candidates<u32>>)| {
        let exact = |(offset, found): (usize, Candidates<u32>)| {
            let query = queries.row(start + offset);
            found.closest(|&row| squared_distance(query, base.row(row as usize)))
        };
        candidates.into_iter().enumerate().flat_map(exact).collect::<Vec<_>>()
    };
    // What is closest does not depend on the order in which candidates come.
    let tiles = if std::ptr::eq(queries, base) {
        screen.stream_own(start, visit, finish)
    } else {
        screen.stream(start, visit, finish)
    };
    Neighbours::from_squared(k, tiles.into_iter().flatten().map(|(squared, row)| (squared, row as usize)))
}

/// A pair of rows, one of each set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Row of the first set.
    pub left: usize,
    /// Row of the second set.
    pub right: usize,
    /// Their distance.
    pub distance: f64,
}

/// A row in half the memory: a search keeps the candidates of many queries at one time.
pub(crate) fn narrow(row: usize) -> u32 {
    u32::try_from(row).expect("2³² rows of features fill the memory of no machine")
}

impl Pair {
    /// The `k` closest of those with these squared distances, ties by lower indices.
    pub(crate) fn closest(mut found: Vec<(f64, (usize, usize))>, k: usize) -> Vec<Self> {
        found.par_sort_unstable_by(|(d, pair), (e, other)| d.total_cmp(e).then(pair.cmp(other)));
        found.truncate(k);
        let pair = |(squared, (left, right)): (f64, _)| Self { left, right, distance: squared.sqrt() };
        found.into_iter().map(pair).collect()
    }
}

/// The `k` closest of all pairs between two sets, closest first, ties by lower indices; fewer if there are fewer pairs.
///
/// Exact like [`nearest`], at the same cost, with O(k) memory per tile of rows.
///
/// # Errors
/// If the embeddings have different protocols.
pub fn closest_pairs(left: &Embedding, right: &Embedding, k: usize) -> Result<Vec<Pair>> {
    left.require_same_protocol(right)?;
    if k == 0 || left.is_empty() || right.is_empty() {
        return Ok(Vec::new());
    }
    if left.stamp().metric == Metric::Hamming {
        return Ok(hamming::closest_pairs(left, right, k));
    }
    let screen = Screen::new(left, right);
    let tiles = screen.stream(
        |_| Candidates::new(k),
        |candidates, query, first, lower| {
            candidates.screen(lower, |offset| Some(((query, first + offset), screen.slack(query, first + offset))));
        },
        |candidates| candidates.closest(|&(a, b)| squared_distance(left.row(a), right.row(b))),
    );
    Ok(Pair::closest(tiles.into_iter().flatten().collect(), k))
}

/// Everything that may be among the k closest, given bounds.
#[derive(Clone)]
pub(crate) struct Candidates<Id> {
    k: usize,
    /// The k smallest upper bounds so far, ascending: none above the last can belong to the answer.
    uppers: Vec<f32>,
    found: Vec<(f32, Id)>,
    compact_at: usize,
}

impl<Id: Ord + Copy> Candidates<Id> {
    pub(crate) fn new(k: usize) -> Self {
        Self { k, uppers: Vec::with_capacity(k), found: Vec::new(), compact_at: (2 * k + 16).next_power_of_two() }
    }

    /// A lower bound above this is none of the k closest.
    pub(crate) fn threshold(&self) -> f32 {
        match self.k {
            0 => f32::NEG_INFINITY,
            k => self.uppers.get(k - 1).copied().unwrap_or(f32::INFINITY),
        }
    }

    /// Takes in a row of lower bounds; `identify` names the pair at an offset and its slack, or nothing to skip it.
    fn screen(&mut self, lower: &[f32], identify: impl Fn(usize) -> Option<(Id, f32)>) {
        for offset in near(lower, self.threshold(), None).flatten() {
            let value = lower[offset];
            if value <= self.threshold()
                && let Some((id, slack)) = identify(offset)
            {
                self.push(value, value + slack, id);
            }
        }
    }

    pub(crate) fn push(&mut self, lower: f32, upper: f32, id: Id) {
        let at = self.uppers.partition_point(|&present| present <= upper);
        if at < self.k {
            self.uppers.truncate(self.k - 1);
            self.uppers.insert(at, upper);
        }
        self.found.push((lower, id));
        if self.found.len() >= self.compact_at {
            let threshold = self.threshold();
            self.found.retain(|&(lower, _)| lower <= threshold);
            self.compact_at = self.compact_at.max(2 * self.found.len());
        }
    }

    /// The k closest by exact squared distance, ties by identity.
    pub(crate) fn closest(self, exact: impl Fn(&Id) -> f64) -> Vec<(f64, Id)> {
        let threshold = self.threshold();
        let mut found: Vec<_> =
            self.found.into_iter().filter(|&(lower, _)| lower <= threshold).map(|(_, id)| (exact(&id), id)).collect();
        found.sort_unstable_by(|(d, id), (e, other)| d.total_cmp(e).then(id.cmp(other)));
        found.truncate(self.k);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, random};

    fn brute(queries: &Embedding, base: &Embedding, k: usize, exclude_self: bool) -> Vec<Vec<(f64, usize)>> {
        (0..queries.rows())
            .map(|q| {
                let mut all: Vec<_> = (0..base.rows())
                    .filter(|&b| !(exclude_self && b == q))
                    .map(|b| (squared_distance(queries.row(q), base.row(b)).sqrt(), b))
                    .collect();
                all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                all.truncate(k);
                all
            })
            .collect()
    }

    fn assert_equals_brute_force(queries: &Embedding, base: &Embedding, k: usize, exclude_self: bool) {
        let found = nearest(queries, base, k, exclude_self).unwrap();
        for (query, expected) in brute(queries, base, k, exclude_self).into_iter().enumerate() {
            let (distances, indices): (Vec<f64>, Vec<usize>) = expected.into_iter().unzip();
            assert_eq!(found.indices(query), indices, "query {query}");
            assert_eq!(found.distances(query), distances, "query {query}");
        }
    }

    #[test]
    fn nearest_equals_brute_force_across_tiles_and_blocks() {
        let (a, b) = (embed(random(150, 19, 1), 19), embed(random(1100, 19, 2), 19));
        assert_equals_brute_force(&a, &b, 5, false);
        assert_equals_brute_force(&b, &a, 1, false);
        assert_equals_brute_force(&a, &a, 3, true);
    }

    #[test]
    fn far_clusters_of_near_rows_are_resolved_exactly() {
        // Within a cluster distances are 10⁻⁵ of the norms, far below what one f32 product resolves.
        let noise = random(600, 7, 3);
        let values =
            noise.iter().enumerate().map(|(at, x)| if at / 7 % 2 == 0 { 900.0 } else { -900.0 } + 0.01 * x).collect();
        let rows = embed(values, 7);
        assert_equals_brute_force(&rows, &rows, 4, true);
    }

    #[test]
    fn copies_are_at_exactly_zero_and_ties_go_to_the_lower_index() {
        let mut values = random(700, 33, 4);
        let copy = values[33 * 5..33 * 6].to_vec();
        for row in [17, 640, 699] {
            values[33 * row..33 * (row + 1)].copy_from_slice(&copy);
        }
        let rows = embed(values, 33);
        let found = nearest(&rows, &rows, 4, true).unwrap();
        assert_eq!(found.indices(640)[..3], [5, 17, 699]);
        assert_eq!(found.distances(640)[..3], [0.0; 3]);
        assert!(found.distances(640)[3] > 0.0);
    }

    #[test]
    fn extreme_values_neither_overflow_nor_vanish() {
        for factor in [3e37, 1e-36] {
            let rows = embed(random(200, 5, 5).into_iter().map(|x| x * factor).collect(), 5);
            assert_equals_brute_force(&rows, &rows, 2, true);
        }
        let mut values = random(200, 5, 6);
        values[0] = 3e38;
        let rows = embed(values, 5);
        assert_equals_brute_force(&rows, &rows, 2, true);
    }

    #[test]
    fn closest_pairs_equal_the_sorted_table_of_all_pairs() {
        let (a, b) = (embed(random(80, 6, 9), 6), embed(random(70, 6, 10), 6));
        let mut all: Vec<Pair> = (0..80)
            .flat_map(|left| (0..70).map(move |right| (left, right)))
            .map(|(left, right)| Pair { left, right, distance: squared_distance(a.row(left), b.row(right)).sqrt() })
            .collect();
        all.sort_by(|x, y| x.distance.total_cmp(&y.distance));
        assert_eq!(closest_pairs(&a, &b, 20).unwrap(), all[..20]);
        assert_eq!(closest_pairs(&a, &b, 10_000).unwrap().len(), 5600);
        assert_eq!(closest_pairs(&a, &b, 0).unwrap(), []);
    }

    #[test]
    fn the_nearest_of_another_group_equals_brute_force() {
        let rows = embed(random(700, 6, 13), 6);
        let groups: Vec<usize> = (0..700).map(|row| row / 3).collect();
        let found = nearest_of_others(&rows, &groups).unwrap();
        for query in 0..700 {
            let others = (0..700).filter(|&row| groups[row] != groups[query]);
            let distance = |&row: &usize| squared_distance(rows.row(query), rows.row(row));
            let expected = others.min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap();
            assert_eq!(found.indices(query), [expected]);
        }
        assert!(nearest_of_others(&rows, &[5; 700]).is_err());
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let rows = embed(random(900, 40, 11), 40);
        let with = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| (nearest(&rows, &rows, 5, true).unwrap(), closest_pairs(&rows, &rows, 30).unwrap()))
        };
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn impossible_requests_are_errors() {
        let (a, b) = (embed(random(3, 2, 12), 2), embed(random(3, 3, 13), 3));
        assert!(matches!(nearest(&a, &b, 1, false), Err(Error::Protocol { .. })));
        assert!(matches!(nearest(&a, &a, 3, true), Err(Error::TooFewNeighbours { k: 3, available: 2 })));
        assert!(matches!(nearest(&a, &a, 0, true), Err(Error::TooFewNeighbours { .. })));
    }
}
