//! The variance of an estimator from random halves of its samples.
//!
//! Two halves of an independent sample, drawn without replacement, are independent, so half the squared difference of
//! their statistics is an unbiased estimate of the variance at half the size. Averaged over many divisions it loses the
//! chance of the division (it is the U-statistic of McCarthy's half-samples, Review of the International Statistical
//! Institute 37, 1969), and halved it is the variance at full size, as far as that falls with 1/n (Politis and Romano,
//! Annals of Statistics 22, 1994).
//!
//! For neighbour measures this is better than leaving one image out at a time. Balls to the k-th neighbour change with
//! every image by a jump, which the jackknife counts several times: it is biased upwards without limit in the order of
//! the statistic (Efron and Stein 1981), disjoint halves are not. All sets are halved together, so that the number of
//! neighbours of one set in a ball of the other stays what it was.

use rand::seq::SliceRandom;
use rayon::prelude::*;
use standin_data::Seed;

/// Divisions into halves. The variance they estimate has a relative error of √(2/100) = 14 % on their account.
pub(crate) const DIVISIONS: usize = 100;

/// For every set, which half each of its images is in: 0 or 1.
pub(crate) type Halves<const SETS: usize> = [Vec<u8>; SETS];

/// N statistics of the first and of the second halves, for every division. `statistics` gives them for one.
///
/// The divisions are the same for the same sizes, those of the first set whatever the others' sizes: an interval is a
/// function of the data alone, and statistics of several sets beside one first set can be compared division by division.
/// They are looked at in parallel; the result does not depend on the number of threads.
pub(crate) fn divide<const SETS: usize, const N: usize>(
    sizes: [usize; SETS],
    statistics: impl Fn(&Halves<SETS>) -> [[f64; 2]; N] + Sync,
) -> Vec<[[f64; 2]; N]> {
    let divided = |division| {
        let mut rng = Seed::new(0).derive(&format!("halves {division}")).rng();
        let halves = sizes.map(|size| {
            let mut halves: Vec<u8> = (0..size).map(|at| u8::from(2 * at >= size)).collect();
            halves.shuffle(&mut rng);
            halves
        });
        statistics(&halves)
    };
    (0..DIVISIONS).into_par_iter().map(divided).collect()
}

/// How a statistic varies over samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// Its mean over all halves: the expected value at half the size, which may differ from that at full size.
    pub(crate) half_mean: f64,
    /// Its variance at full size.
    pub(crate) variance: f64,
    /// Degrees of freedom of this variance.
    pub(crate) degrees: f64,
}

impl Spread {
    /// From a statistic of both halves in every division. `neighbourhoods` is how many groups of images that share their
    /// fate there are: the variance is as uncertain as if it came from so many values, and from so many divisions.
    pub(crate) fn of(halves: impl Iterator<Item = [f64; 2]>, neighbourhoods: f64) -> Self {
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for [first, second] in halves {
            sum += (first + second) / 2.0;
            squares += (first - second).powi(2) / 4.0;
            count += 1.0;
        }
        let degrees = 1.0 / (1.0 / neighbourhoods + 1.0 / count);
        Self { half_mean: sum / count, variance: squares / count, degrees }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence_variance;
    use crate::uncertainty::average;

    #[test]
    fn a_mean_has_its_usual_variance() {
        let values: Vec<f64> = (0..500).map(|x| f64::from(x * x % 97)).collect();
        let divisions = divide([500], |[halves]| {
            let mean = |half| {
                let chosen = values.iter().zip(halves).filter(|&(_, &own)| own == half).map(|(&value, _)| value);
                average(&chosen.collect::<Vec<_>>())
            };
            [[mean(0), mean(1)]]
        });
        let spread = Spread::of(divisions.into_iter().map(|[halves]| halves), 500.0);
        let expected = influence_variance(&values);
        assert!((spread.variance / expected - 1.0).abs() < 0.3, "{} for {expected}", spread.variance);
        assert!((spread.half_mean - average(&values)).abs() < 1e-9);
    }

    #[test]
    fn a_set_is_halved_alike_beside_sets_of_any_size() {
        let first = |other| divide([9, other], |[first, _]| [[0, 1].map(|at| f64::from(first[at]))]);
        assert_eq!(first(4), first(1000));
        assert!(
            divide([9], |[halves]| [[halves.iter().map(|&half| f64::from(half)).sum(), 4.0]])
                .iter()
                .all(|[[a, b]]| a == b)
        );
    }
}
