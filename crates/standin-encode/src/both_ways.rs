use std::ops::Range;

use rayon::prelude::*;

use crate::screen::{Screen, near, squared_distance};
use crate::{Embedding, Error, Metric, Result, hamming};

/// A row inside a ball around a row of another set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Held {
    /// The row at the ball's centre.
    pub centre: u32,
    /// The row inside.
    pub point: u32,
    /// How far the two are from each other.
    pub distance: f64,
}

/// What the balls around the rows of one set hold of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Holdings {
    /// Ascending by centre, then distance, then point.
    pub held: Vec<Held>,
    /// Points are left out, half of them at every level.
    level: u32,
}

impl Holdings {
    /// Whether no point was left out.
    pub fn is_complete(&self) -> bool {
        self.level == 0
    }

    /// Whether a point was looked at: all are, unless there were more pairs than the limit.
    pub fn keeps(&self, point: usize) -> bool {
        keeps(self.level, point)
    }
}

/// A share 2^−level of all points, chosen by a fixed hash of their index (the finaliser of SplitMix64).
fn keeps(level: u32, point: usize) -> bool {
    let mut word = (point as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^= word >> 31;
    level == 0 || word >> (64 - level.min(63)) == 0
}

/// What the balls around the rows of `left` hold of `right`, and those around the rows of `right` of `left`, boundaries
/// inside, in one pass over all pairs. One radius per row.
///
/// Exact like [`crate::nearest`], at the same cost, and independent of the number of threads. Memory is 16 bytes for
/// every pair. Were it more than `limit` pairs on a side, points (not centres) are left out, chosen by a hash of their
/// index, half as many at a time: [`Holdings::keeps`] says which are left.
///
/// # Errors
/// If the embeddings have different protocols or there is not one radius per row.
///
/// # Panics
/// If a set has 2³² rows or more.
pub fn held_both_ways(
    left: &Embedding,
    right: &Embedding,
    left_radii: &[f64],
    right_radii: &[f64],
    limit: usize,
) -> Result<[Holdings; 2]> {
    left.require_same_protocol(right)?;
    for (radii, rows) in [(left_radii.len(), left.rows()), (right_radii.len(), right.rows())] {
        if radii != rows {
            return Err(Error::Radii { radii, rows });
        }
    }
    let rows = left.rows();
    // A tile may hold several times its share, because rows of one kind often come together.
    let start = |range: Range<usize>| {
        let limit = (limit.saturating_mul(4).saturating_mul(range.len()) / rows.max(1)).max(1024);
        [Gathered::new(limit), Gathered::new(limit)]
    };
    let visit =
        |[around_left, around_right]: &mut [Gathered; 2], query: usize, row: usize, distance: &dyn Fn() -> f64| {
            if !around_left.keeps(row) && !around_right.keeps(query) {
                return;
            }
            let distance = distance();
            if distance <= left_radii[query] {
                around_left.take(query, row, distance);
            }
            if distance <= right_radii[row] {
                around_right.take(row, query, distance);
            }
        };
    let tiles = if left.is_empty() || right.is_empty() {
        Vec::new()
    } else {
        match left.stamp().metric {
            Metric::Euclidean => {
                let screen = Screen::new(left, right);
                let ceiling = |radius: &f64| (screen.scaled(radius * radius) as f32).next_up();
                let left_ceilings: Vec<f32> = left_radii.iter().map(ceiling).collect();
                let right_ceilings: Vec<f32> = right_radii.iter().map(ceiling).collect();
                screen.stream(
                    start,
                    |gathered, query, first, lower| {
                        let ceilings = &right_ceilings[first..first + lower.len()];
                        let own = left_ceilings[query];
                        for offset in near(lower, own, Some(ceilings)).flatten() {
                            if lower[offset] <= ceilings[offset].max(own) {
                                let row = first + offset;
                                let distance = || squared_distance(left.row(query), right.row(row)).sqrt();
                                visit(gathered, query, row, &distance);
                            }
                        }
                    },
                    |gathered| gathered,
                )
            }
            Metric::Hamming => hamming::stream(
                left,
                right,
                start,
                |gathered, query, first, distances| {
                    for (row, &distance) in (first..).zip(distances) {
                        let distance = f64::from(distance);
                        if distance <= left_radii[query].max(right_radii[row]) {
                            visit(gathered, query, row, &|| distance);
                        }
                    }
                },
                |gathered| gathered,
            ),
        }
    };
    let (around_left, around_right): (Vec<_>, Vec<_>) = tiles.into_iter().map(|[left, right]| (left, right)).unzip();
    Ok([around_left, around_right].map(|tiles| Gathered::joined(tiles, limit)))
}

/// Pairs of one tile, thinned by points whenever there are too many.
struct Gathered {
    held: Vec<Held>,
    level: u32,
    limit: usize,
}

impl Gathered {
    fn new(limit: usize) -> Self {
        Self { held: Vec::new(), level: 0, limit }
    }

    fn keeps(&self, point: usize) -> bool {
        keeps(self.level, point)
    }

    fn take(&mut self, centre: usize, point: usize, distance: f64) {
        if !self.keeps(point) {
            return;
        }
        let narrow = |row| u32::try_from(row).expect("fewer than 2³² rows");
        self.held.push(Held { centre: narrow(centre), point: narrow(point), distance });
        while self.held.len() > self.limit && self.level < 63 {
            self.thin(self.level + 1);
        }
    }

    fn thin(&mut self, level: u32) {
        self.level = level;
        self.held.retain(|held| keeps(level, held.point as usize));
    }

    /// All tiles at the level of the one with most pairs, and further until there are at most `limit` in all.
    fn joined(mut tiles: Vec<Self>, limit: usize) -> Holdings {
        let mut level = tiles.iter().map(|tile| tile.level).max().unwrap_or(0);
        loop {
            tiles.par_iter_mut().filter(|tile| tile.level < level).for_each(|tile| tile.thin(level));
            if level == 63 || tiles.iter().map(|tile| tile.held.len()).sum::<usize>() <= limit {
                break;
            }
            level += 1;
        }
        let mut held: Vec<Held> = Vec::with_capacity(tiles.iter().map(|tile| tile.held.len()).sum());
        tiles.into_iter().for_each(|tile| held.extend(tile.held));
        held.par_sort_unstable_by(|a, b| {
            a.centre.cmp(&b.centre).then(a.distance.total_cmp(&b.distance)).then(a.point.cmp(&b.point))
        });
        Holdings { held, level }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, random};
    use crate::{Stamp, nearest};

    fn brute(centres: &Embedding, points: &Embedding, radii: &[f64], distance: fn(&[f32], &[f32]) -> f64) -> Vec<Held> {
        let mut held: Vec<Held> = Vec::new();
        for (centre, &radius) in radii.iter().enumerate() {
            let mut around: Vec<Held> = (0..points.rows())
                .map(|point| Held {
                    centre: centre as u32,
                    point: point as u32,
                    distance: distance(centres.row(centre), points.row(point)),
                })
                .filter(|held| held.distance <= radius)
                .collect();
            around.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.point.cmp(&b.point)));
            held.extend(around);
        }
        held
    }

    fn differing(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).filter(|(x, y)| x != y).count() as f64
    }

    fn euclidean(a: &[f32], b: &[f32]) -> f64 {
        squared_distance(a, b).sqrt()
    }

    #[test]
    fn both_directions_equal_brute_force() {
        let (a, b) = (embed(random(300, 5, 1), 5), embed(random(700, 5, 2), 5));
        let radii = |set| nearest(set, set, 9, true).unwrap().at_rank(9);
        let (left, right) = (radii(&a), radii(&b));
        let [around_left, around_right] = held_both_ways(&a, &b, &left, &right, usize::MAX).unwrap();
        assert_eq!(around_left.held, brute(&a, &b, &left, euclidean));
        assert_eq!(around_right.held, brute(&b, &a, &right, euclidean));
        assert!(around_left.is_complete() && around_right.is_complete());
    }

    #[test]
    fn codes_are_compared_by_the_places_in_which_they_differ() {
        let codes = |seed| random(90, 12, seed).iter().map(|x| ((x + 1.0) * 2.0).floor()).collect();
        let stamp = Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") };
        let [a, b] = [1, 2].map(|seed| Embedding::new(codes(seed), 12, stamp.clone()).unwrap());
        let radii = vec![6.0; 90];
        let [around_left, around_right] = held_both_ways(&a, &b, &radii, &radii, 1 << 20).unwrap();
        assert_eq!(around_left.held, brute(&a, &b, &radii, differing));
        assert_eq!(around_right.held.len(), around_left.held.len());
    }

    #[test]
    fn too_many_pairs_leave_points_out_and_nothing_else() {
        let (a, b) = (embed(random(2000, 3, 1), 3), embed(random(1500, 3, 2), 3));
        let (left, right) = (vec![0.7; 2000], vec![0.0; 1500]);
        let [all, _] = held_both_ways(&a, &b, &left, &right, 1 << 30).unwrap();
        let [few, _] = held_both_ways(&a, &b, &left, &right, 50_000).unwrap();
        assert!(!few.is_complete() && few.held.len() <= 50_000 && few.held.len() > 10_000, "{}", few.held.len());
        let expected: Vec<Held> = all.held.iter().filter(|held| few.keeps(held.point as usize)).copied().collect();
        assert_eq!(few.held, expected);
    }

    #[test]
    fn empty_sets_hold_nothing_and_radii_must_fit() {
        let (some, none) = (embed(random(4, 2, 1), 2), embed(Vec::new(), 2));
        let [one, other] = held_both_ways(&some, &none, &[1.0; 4], &[], 10).unwrap();
        assert!(one.held.is_empty() && other.held.is_empty());
        let error = held_both_ways(&some, &some, &[1.0; 4], &[1.0], 10);
        assert!(matches!(error, Err(Error::Radii { radii: 1, rows: 4 })));
    }
}
