use std::ops::Range;

use rayon::prelude::*;

use crate::{Embedding, Pair};

/// Base rows that one query is compared with at a time; their codes at one place fill a few vector registers.
const STRIP: usize = 64;
/// Query rows of a tile, at most: between them a strip of the base stays in the first-level cache.
const TILE: usize = 64;

/// The number of places in which two rows of codes differ.
pub(crate) fn hamming_distance(a: &[f32], b: &[f32]) -> usize {
    a.iter().zip(b).filter(|(x, y)| x != y).count()
}

/// Visits every pair once, in the manner of [`crate::screen::Screen::stream`] but with the distances themselves: for each
/// query of a tile `visit(state, query, first, distances)` sees those to the base rows `first..first + distances.len()`,
/// ascending. Results are in the order of the queries.
///
/// O(q·b·d) comparisons of integers, 16 at a time on any x86-64 processor; memory one or two bytes per value of both sets.
pub(crate) fn stream<State, T: Send>(
    queries: &Embedding,
    base: &Embedding,
    start: impl Fn(Range<usize>) -> State + Sync,
    visit: impl Fn(&mut State, usize, usize, &[u32]) + Sync,
    finish: impl Fn(State) -> T + Sync,
) -> Vec<T> {
    let small = |set: &Embedding| set.values().par_iter().all(|&code| code <= f32::from(u8::MAX));
    if small(queries) && small(base) {
        stream_codes::<u8, _, _>(queries, base, start, visit, finish)
    } else {
        stream_codes::<u16, _, _>(queries, base, start, visit, finish)
    }
}

/// An integer that holds codes, and counts of at most [`Code::MOST`] places.
trait Code: Copy + Default + PartialEq + Send + Sync {
    const MOST: usize;
    /// From a value that [`Embedding::new`] has checked.
    fn of(value: f32) -> Self;
    fn count_if(self, differs: bool) -> Self;
    fn total(self) -> u32;
}

macro_rules! code {
    ($integer:ty) => {
        impl Code for $integer {
            const MOST: usize = <$integer>::MAX as usize;
            fn of(value: f32) -> Self {
                value as $integer
            }
            fn count_if(self, differs: bool) -> Self {
                self.wrapping_add(<$integer>::from(differs))
            }
            fn total(self) -> u32 {
                u32::from(self)
            }
        }
    };
}
code!(u8);
code!(u16);

fn stream_codes<C: Code, State, T: Send>(
    queries: &Embedding,
    base: &Embedding,
    start: impl Fn(Range<usize>) -> State + Sync,
    visit: impl Fn(&mut State, usize, usize, &[u32]) + Sync,
    finish: impl Fn(State) -> T + Sync,
) -> Vec<T> {
    let d = base.dimension();
    let rows: Vec<C> = queries.values().par_iter().map(|&value| C::of(value)).collect();
    let strips: Vec<Vec<[C; STRIP]>> =
        (0..base.rows().div_ceil(STRIP)).into_par_iter().map(|strip| by_place(base, strip * STRIP)).collect();
    (0..queries.rows().div_ceil(TILE))
        .into_par_iter()
        .map(|tile| {
            let range = tile * TILE..queries.rows().min((tile + 1) * TILE);
            let mut state = start(range.clone());
            for (strip, codes) in strips.iter().enumerate() {
                let first = strip * STRIP;
                let width = STRIP.min(base.rows() - first);
                for query in range.clone() {
                    let distances = differing(&rows[query * d..(query + 1) * d], codes);
                    visit(&mut state, query, first, &distances[..width]);
                }
            }
            finish(state)
        })
        .collect()
}

/// The codes of some rows at each place side by side; rows past the end are filled up.
fn by_place<C: Code>(base: &Embedding, first: usize) -> Vec<[C; STRIP]> {
    let mut places = vec![[C::default(); STRIP]; base.dimension()];
    for (lane, row) in (first..base.rows().min(first + STRIP)).enumerate() {
        for (place, &value) in places.iter_mut().zip(base.row(row)) {
            place[lane] = C::of(value);
        }
    }
    places
}

fn differing<C: Code>(query: &[C], places: &[[C; STRIP]]) -> [u32; STRIP] {
    let mut totals = [0; STRIP];
    // Counts are as narrow as the codes, which compares and counts in the same vector lanes.
    for (query, places) in query.chunks(C::MOST).zip(places.chunks(C::MOST)) {
        let mut counts = [C::default(); STRIP];
        for (&code, others) in query.iter().zip(places) {
            for (count, &other) in counts.iter_mut().zip(others) {
                *count = count.count_if(code != other);
            }
        }
        totals.iter_mut().zip(counts).for_each(|(total, count)| *total += count.total());
    }
    totals
}

/// The k nearest base rows of each query as (distance, row), ties by lower row, one query after the other.
pub(crate) fn nearest(queries: &Embedding, base: &Embedding, k: usize, exclude_self: bool) -> Vec<(f64, usize)> {
    let tiles = stream(
        queries,
        base,
        |range| (range.start, vec![Vec::with_capacity(k + 1); range.len()]),
        |(start, found), query, first, distances| {
            let found: &mut Vec<(u32, usize)> = &mut found[query - *start];
            for (row, &distance) in (first..).zip(distances) {
                // Rows come in ascending order, so of equal distances those found first stay.
                let full = found.len() == k;
                if full && distance >= found[k - 1].0 || exclude_self && row == query {
                    continue;
                }
                found.truncate(k - usize::from(full));
                let at = found.partition_point(|&(other, _)| other <= distance);
                found.insert(at, (distance, row));
            }
        },
        |(_, found)| found,
    );
    tiles.into_iter().flatten().flatten().map(|(distance, row)| (f64::from(distance), row)).collect()
}

/// The `k` > 0 closest pairs, closest first, ties by lower indices.
pub(crate) fn closest_pairs(left: &Embedding, right: &Embedding, k: usize) -> Vec<Pair> {
    let tiles = stream(
        left,
        right,
        |_| std::collections::BinaryHeap::new(),
        |found, left, first, distances| {
            for (right, &distance) in (first..).zip(distances) {
                let pair = (distance, left, right);
                if found.len() < k {
                    found.push(pair);
                } else if let Some(mut worst) = found.peek_mut()
                    && pair < *worst
                {
                    *worst = pair;
                }
            }
        },
        std::collections::BinaryHeap::into_vec,
    );
    let mut pairs: Vec<_> = tiles.into_iter().flatten().collect();
    pairs.par_sort_unstable();
    pairs.truncate(k);
    pairs.into_iter().map(|(distance, left, right)| Pair { left, right, distance: f64::from(distance) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;
    use crate::{Boundary, Error, Metric, Stamp, closest_pairs, count_around, count_within, holding, nearest};

    fn codes(rows: usize, places: usize, kinds: u32, seed: u64) -> Embedding {
        let kind = |x: f32| ((x + 1.0) / 2.0 * kinds as f32).floor();
        embed(random(rows, places, seed).into_iter().map(kind).collect(), places).unwrap()
    }

    fn embed(values: Vec<f32>, dimension: usize) -> Result<Embedding, Error> {
        Embedding::new(values, dimension, Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") })
    }

    fn table(a: &Embedding, b: &Embedding) -> Vec<Vec<f64>> {
        let to = |row| (0..b.rows()).map(|other| Metric::Hamming.distance(a.row(row), b.row(other))).collect();
        (0..a.rows()).map(to).collect()
    }

    /// Few and many places, codes of one and of two bytes, and more places than a byte counts.
    fn cases() -> [(Embedding, Embedding); 3] {
        [(49, 8), (7, 60_000), (600, 3)]
            .map(|(places, kinds)| (codes(150, places, kinds, 1), codes(130, places, kinds, 2)))
    }

    #[test]
    fn nearest_codes_equal_the_sorted_table() {
        for (a, b) in cases() {
            for (base, exclude) in [(&b, false), (&a, true)] {
                let found = nearest(&a, base, 4, exclude).unwrap();
                for (query, distances) in table(&a, base).into_iter().enumerate() {
                    let mut order: Vec<usize> = (0..base.rows()).filter(|&row| !(exclude && row == query)).collect();
                    order.sort_by(|&x, &y| distances[x].total_cmp(&distances[y]).then(x.cmp(&y)));
                    assert_eq!(found.indices(query), &order[..4]);
                    let expected: Vec<f64> = order[..4].iter().map(|&row| distances[row]).collect();
                    assert_eq!(found.distances(query), expected);
                }
            }
        }
    }

    #[test]
    fn closest_pairs_of_codes_equal_the_sorted_table() {
        for (a, b) in cases() {
            let mut all: Vec<Pair> = table(&a, &b)
                .into_iter()
                .enumerate()
                .flat_map(|(left, row)| (0..).zip(row).map(move |(right, distance)| Pair { left, right, distance }))
                .collect();
            all.sort_by(|x, y| x.distance.total_cmp(&y.distance).then((x.left, x.right).cmp(&(y.left, y.right))));
            assert_eq!(closest_pairs(&a, &b, 100).unwrap(), all[..100]);
        }
    }

    #[test]
    fn balls_of_codes_hold_what_the_table_says() {
        for (a, b) in cases() {
            let radii = nearest(&b, &b, 3, true).unwrap().at_rank(3);
            let distances = table(&a, &b);
            for boundary in [Boundary::Open, Boundary::Closed] {
                let holds = |query: usize, row: usize| boundary.holds(distances[query][row], radii[row]);
                let lists = holding(&a, &b, &radii, boundary).unwrap();
                let counts = count_within(&a, &b, &radii, boundary).unwrap();
                for query in 0..a.rows() {
                    let expected: Vec<usize> = (0..b.rows()).filter(|&row| holds(query, row)).collect();
                    assert_eq!((counts[query], &lists[query]), (expected.len(), &expected));
                }
                let around: Vec<usize> =
                    (0..b.rows()).map(|row| (0..a.rows()).filter(|&query| holds(query, row)).count()).collect();
                assert_eq!(count_around(&b, &a, &radii, boundary).unwrap(), around);
            }
        }
    }

    #[test]
    fn renaming_codes_changes_no_distance() {
        let rows = codes(90, 20, 8, 3);
        let renamed = embed(rows.values().iter().map(|code| 60_000.0 - 7.0 * code).collect(), 20).unwrap();
        assert_eq!(nearest(&rows, &rows, 5, true).unwrap(), nearest(&renamed, &renamed, 5, true).unwrap());
    }

    #[test]
    fn what_is_no_code_is_an_error() {
        for value in [0.5, -1.0, 65_536.0] {
            let error = embed(vec![1.0, 2.0, 3.0, value], 2).unwrap_err();
            assert!(matches!(error, Error::NotACode { row: 1, column: 1, .. }), "{error}");
        }
        assert!(embed(vec![0.0, 65_535.0], 2).is_ok());
    }
}
