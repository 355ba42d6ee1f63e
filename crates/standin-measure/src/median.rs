use statrs::distribution::{Binomial, DiscreteCDF};

use crate::Estimate;

/// Fewest values for which two order statistics enclose the median with 95 %.
pub(crate) const FEWEST: usize = 6;

/// The median of independent values with the interval between two order statistics, the same number from either end:
/// the number of values below the true median is binomial with ½, whatever their distribution (Thompson 1936).
///
/// # Panics
/// If there are fewer than [`FEWEST`] values.
pub(crate) fn median(values: &[f64]) -> Estimate {
    let n = values.len();
    assert!(n >= FEWEST, "a median of {n} values has no interval");
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let below = Binomial::new(0.5, n as u64).expect("½ is a probability");
    let rank = below.inverse_cdf(0.025) as usize;
    let (left, right) = (sorted[(n - 1) / 2], sorted[n / 2]);
    Estimate {
        value: if left == right { left } else { left + (right - left) / 2.0 },
        low: sorted[rank - 1],
        high: sorted[n - rank],
        n,
        method: "order statistics".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P(Bin(10, ½) ≤ 1) = 11/1024 ≤ 2.5 % < P(Bin(10, ½) ≤ 2): the second value from either end.
    #[test]
    fn ranks_by_hand() {
        let values: Vec<f64> = (1..=10).rev().map(f64::from).collect();
        let found = median(&values);
        assert_eq!((found.value, found.low, found.high), (5.5, 2.0, 9.0));
        let found = median(&values[..6]);
        assert_eq!((found.value, found.low, found.high), (7.5, 5.0, 10.0));
    }

    #[test]
    fn infinite_values_have_a_place() {
        let found = median(&[1.0, 2.0, f64::INFINITY, f64::INFINITY, f64::INFINITY, f64::INFINITY]);
        assert_eq!((found.value, found.low), (f64::INFINITY, 1.0));
    }
}
