//! Which images of one set lie in the balls of the other, for every size of ball up to a reach: after one search, the
//! statistics of any part of both sets.

use std::sync::Arc;

use standin_encode::{Boundary, Embedding, Holdings, Neighbours, count_around, count_within, held_both_ways};

use crate::{Convention, Result};

/// Neighbours of an image within its own set that are searched: among so many at least five are in its own half of the
/// set with probability 0.999. Where they are not, the ball reaches to the last one known.
pub(crate) const REACH: usize = 24;
/// Pairs held for every image, on average, before images are left out of what estimates the variance.
const PAIRS: usize = 4 * REACH;

/// A generated and a real set, each in the balls of the other.
pub(crate) struct Overlap {
    pub(crate) in_real: Balls,
    pub(crate) in_generated: Balls,
}

impl Overlap {
    /// From the neighbours within both sets. One pass over all pairs, O(g·r·d) time and O((g + r)·REACH) memory.
    pub(crate) fn of(
        generated: &Embedding,
        within_generated: &Arc<Neighbours>,
        real: &Embedding,
        within_real: &Arc<Neighbours>,
    ) -> Result<Self> {
        let reach = |own: &Neighbours| own.at_rank(own.k());
        let limit = PAIRS * generated.rows().max(real.rows());
        let [around_generated, around_real] =
            held_both_ways(generated, real, &reach(within_generated), &reach(within_real), limit)?;
        Ok(Self {
            in_real: Balls::of(within_real, generated.rows(), &around_real),
            in_generated: Balls::of(within_generated, real.rows(), &around_generated),
        })
    }
}

/// The balls around the images of one set, and the images of another (the points) that they hold.
pub(crate) struct Balls {
    own: Arc<Neighbours>,
    /// Which points were looked at: all, unless there were too many pairs.
    kept: Vec<bool>,
    complete: bool,
    /// Where a centre's points begin, and where the last one's end.
    starts: Vec<usize>,
    points: Vec<u32>,
    /// For each of these points, how many neighbours of the centre a ball must reach over so that the point is inside.
    open: Vec<u8>,
    closed: Vec<u8>,
}

/// What balls hold, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    /// Points.
    pub(crate) points: usize,
    /// Points in at least one ball.
    pub(crate) inside: usize,
    /// Pairs of a ball and a point in it.
    pub(crate) pairs: usize,
    /// Balls.
    pub(crate) centres: usize,
    /// Balls that hold a point.
    pub(crate) holding: usize,
}

impl Tally {
    /// Share of the points that are in a ball: precision, or recall with the sets exchanged.
    pub(crate) fn share_inside(&self) -> f64 {
        self.inside as f64 / self.points as f64
    }

    pub(crate) fn density(&self, k: usize) -> f64 {
        self.pairs as f64 / (k * self.points) as f64
    }

    pub(crate) fn coverage(&self) -> f64 {
        self.holding as f64 / self.centres as f64
    }
}

impl Balls {
    fn of(own: &Arc<Neighbours>, points: usize, holdings: &Holdings) -> Self {
        let held = &holdings.held;
        let starts = (0..=own.len()).map(|centre| held.partition_point(|pair| (pair.centre as usize) < centre));
        let rank = |at: usize, before: fn(f64, f64) -> bool| {
            let distances = own.distances(held[at].centre as usize);
            distances.partition_point(|&radius| before(radius, held[at].distance)) as u8
        };
        Self {
            starts: starts.collect(),
            kept: (0..points).map(|point| holdings.keeps(point)).collect(),
            complete: holdings.is_complete(),
            points: held.iter().map(|pair| pair.point).collect(),
            open: (0..held.len()).map(|at| rank(at, |radius, distance| radius <= distance)).collect(),
            closed: (0..held.len()).map(|at| rank(at, |radius, distance| radius < distance)).collect(),
            own: own.clone(),
        }
    }

    /// The numbers for all points and centres.
    pub(crate) fn whole(&self, points: &Embedding, centres: &Embedding, convention: Convention) -> Result<Tally> {
        if self.complete {
            return Ok(self.tally::<1>(convention, &vec![0; self.kept.len()], &vec![0; self.own.len()])[0]);
        }
        let radii = self.own.at_rank(convention.k());
        let within = count_within(points, centres, &radii, convention.boundary())?;
        let around = count_around(centres, points, &radii, convention.boundary())?;
        let some = |counts: &[usize]| counts.iter().filter(|&&count| count > 0).count();
        Ok(Tally {
            points: within.len(),
            inside: some(&within),
            pairs: within.iter().sum(),
            centres: around.len(),
            holding: some(&around),
        })
    }

    /// The numbers for both halves, each as if the other half had never been drawn.
    pub(crate) fn halves(&self, convention: Convention, points: &[u8], centres: &[u8]) -> [Tally; 2] {
        self.tally(convention, points, centres)
    }

    /// The numbers for each of several parts of both sets: `points` and `centres` say which part each image is in.
    fn tally<const PARTS: usize>(&self, convention: Convention, points: &[u8], centres: &[u8]) -> [Tally; PARTS] {
        let k = convention.k();
        let ranks = match convention.boundary() {
            Boundary::Open => &self.open,
            Boundary::Closed => &self.closed,
        };
        let mut tallies = [Tally::default(); PARTS];
        let mut inside = vec![false; points.len()];
        for (centre, &part) in centres.iter().enumerate() {
            let tally = &mut tallies[usize::from(part)];
            let own = self.own.indices(centre);
            let of_part = own.iter().enumerate().filter(|&(_, &neighbour)| centres[neighbour] == part);
            let radius = of_part.map(|(rank, _)| rank).nth(k - 1).unwrap_or(own.len() - 1);
            let held = self.starts[centre]..self.starts[centre + 1];
            let before = tally.pairs;
            for (&point, &rank) in self.points[held.clone()].iter().zip(&ranks[held]) {
                if usize::from(rank) > radius {
                    break;
                }
                if points[point as usize] == part {
                    inside[point as usize] = true;
                    tally.pairs += 1;
                }
            }
            tally.centres += 1;
            tally.holding += usize::from(tally.pairs > before);
        }
        for ((&part, &kept), &inside) in points.iter().zip(&self.kept).zip(&inside) {
            let tally = &mut tallies[usize::from(part)];
            tally.points += usize::from(kept);
            tally.inside += usize::from(inside);
        }
        tallies
    }
}

/// Precision, recall, density and coverage of both halves of a generated and a real set.
pub(crate) fn of_halves(overlap: &Overlap, convention: Convention, generated: &[u8], real: &[u8]) -> [[f64; 2]; 4] {
    let in_real = overlap.in_real.halves(convention, generated, real);
    let in_generated = overlap.in_generated.halves(convention, real, generated);
    [
        in_real.map(|tally| tally.share_inside()),
        in_generated.map(|tally| tally.share_inside()),
        in_real.map(|tally| tally.density(convention.k())),
        in_real.map(|tally| tally.coverage()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold::within;
    use crate::testing::gaussian;

    fn overlap(generated: &Embedding, real: &Embedding) -> Overlap {
        let own = |set| within(set, Convention::Prdc).unwrap();
        Overlap::of(generated, &own(generated), real, &own(real)).unwrap()
    }

    #[test]
    fn halves_are_those_of_searching_again() {
        let (generated, real) = (gaussian(40, 3, 0.8, 0.3, 1), gaussian(44, 3, 1.0, 0.0, 2));
        let found = overlap(&generated, &real);
        for division in 0..20 {
            let halves = |rows: usize, step: usize| {
                (0..rows).map(|at| u8::from((at * step + division) % rows * 2 < rows)).collect()
            };
            let (in_generated, in_real): (Vec<u8>, Vec<u8>) = (halves(40, 7), halves(44, 13));
            let select = |set: &Embedding, halves: &[u8], half| {
                set.select(&(0..set.rows()).filter(|&at| halves[at] == half).collect::<Vec<_>>())
            };
            for convention in Convention::ALL {
                let by_lists = of_halves(&found, convention, &in_generated, &in_real);
                for half in [0, 1] {
                    let (g, r) = (select(&generated, &in_generated, half), select(&real, &in_real, half));
                    let again = overlap(&g, &r);
                    let (in_r, in_g) = (
                        again.in_real.whole(&g, &r, convention).unwrap(),
                        again.in_generated.whole(&r, &g, convention).unwrap(),
                    );
                    let k = convention.k();
                    let expected = [in_r.share_inside(), in_g.share_inside(), in_r.density(k), in_r.coverage()];
                    assert_eq!(by_lists.map(|halves| halves[usize::from(half)]), expected);
                }
            }
        }
    }

    /// Copies of one image are in each other's balls without exception.
    #[test]
    fn more_pairs_than_are_held_change_no_value() {
        let (generated, real) = (crate::testing::embed(vec![1.0; 900], 1), crate::testing::embed(vec![1.0; 800], 1));
        let found = overlap(&generated, &real);
        assert!(!found.in_real.complete);
        let whole = found.in_real.whole(&generated, &real, Convention::TorchFidelity).unwrap();
        assert_eq!(whole, Tally { points: 900, inside: 900, pairs: 720_000, centres: 800, holding: 800 });
        let halves = of_halves(&found, Convention::TorchFidelity, &[[0, 1]; 450].concat(), &[[0, 1]; 400].concat());
        assert_eq!((halves[0], halves[1], halves[3]), ([1.0; 2], [1.0; 2], [1.0; 2]));
    }
}
