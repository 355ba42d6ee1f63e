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

/// Divisions into halves. The variance they estimate has a relative error of √(2/200) = 10 %, so its root one of 5 %.
pub(crate) const DIVISIONS: usize = 200;

/// For every set, which half each of its images is in: 0 or 1.
pub(crate) type Halves<const SETS: usize> = [Vec<u8>; SETS];

/// How N statistics vary over samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread<const N: usize> {
    /// Their means over all halves: the expected values at half the size, which may differ from those at full size.
    pub(crate) half_means: [f64; N],
    /// Their covariance matrix at full size.
    pub(crate) covariance: [[f64; N]; N],
}

/// The spread of N statistics of samples of the given sizes. `statistics` gives each for the first halves of all sets
/// and for the second halves.
///
/// The divisions are the same for the same sizes: an interval is a function of the data alone. They are looked at in
/// parallel; the result does not depend on the number of threads.
pub(crate) fn spread<const SETS: usize, const N: usize>(
    sizes: [usize; SETS],
    statistics: impl Fn(&Halves<SETS>) -> [[f64; 2]; N] + Sync,
) -> Spread<N> {
    let found: Vec<[[f64; 2]; N]> = (0..DIVISIONS)
        .into_par_iter()
        .map(|division| {
            let mut rng = Seed::new(0).derive(&format!("halves {division}")).rng();
            let halves = sizes.map(|size| {
                let mut halves: Vec<u8> = (0..size).map(|at| u8::from(2 * at >= size)).collect();
                halves.shuffle(&mut rng);
                halves
            });
            statistics(&halves)
        })
        .collect();
    let mut spread = Spread { half_means: [0.0; N], covariance: [[0.0; N]; N] };
    for pairs in &found {
        let difference = pairs.map(|[first, second]| first - second);
        for (at, [first, second]) in pairs.iter().enumerate() {
            spread.half_means[at] += (first + second) / (2 * DIVISIONS) as f64;
            for (sum, other) in spread.covariance[at].iter_mut().zip(&difference) {
                *sum += difference[at] * other / (4 * DIVISIONS) as f64;
            }
        }
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::influence_variance;
    use crate::uncertainty::average;

    #[test]
    fn a_mean_has_its_usual_variance() {
        let values: Vec<f64> = (0..500).map(|x| f64::from(x * x % 97)).collect();
        let found = spread([500], |[halves]| {
            let mean = |half| {
                let chosen = values.iter().zip(halves).filter(|&(_, &own)| own == half).map(|(&value, _)| value);
                average(&chosen.collect::<Vec<_>>())
            };
            let means = [mean(0), mean(1)];
            [means, means.map(|mean| -mean)]
        });
        let expected = influence_variance(&values);
        let [[variance, against], [_, negative]] = found.covariance;
        assert!((variance / expected - 1.0).abs() < 0.2, "{variance} for {expected}");
        assert!((found.half_means[0] - average(&values)).abs() < 1e-9);
        assert_eq!((against, negative), (-variance, variance));
    }

    #[test]
    fn what_the_data_do_not_change_has_no_variance() {
        let found = spread([10, 7], |_| [[0.5; 2]]);
        assert_eq!(found.covariance, [[0.0]]);
        assert!((found.half_means[0] - 0.5).abs() < 1e-12);
    }
}
