use standin_encode::Embedding;

use crate::manifold::{Divisions, Manifold, divisions, from_divisions, within};
use crate::overlap::Overlap;
use crate::{Convention, Estimate, Result};

/// Precision, recall, density and coverage of several generated sets against one real set.
#[derive(Clone, Debug)]
pub struct ManifoldComparison {
    each: Vec<Manifold>,
    divisions: Vec<Divisions>,
}

/// Searches every generated set and the real one once, and every generated set against the real one.
///
/// # Errors
/// If the protocols differ or a set has fewer than 2k + 2 images.
pub fn compare_manifolds(
    generated: &[&Embedding],
    real: &Embedding,
    convention: Convention,
) -> Result<ManifoldComparison> {
    let within_real = within(real, convention)?;
    let mut comparison = ManifoldComparison { each: Vec::new(), divisions: Vec::new() };
    for set in generated {
        let overlap = Overlap::of(set, &within(set, convention)?, real, &within_real)?;
        let divisions = divisions(&overlap, set.rows(), real.rows(), convention);
        comparison.each.push(from_divisions(&overlap, &divisions, set, real, convention)?);
        comparison.divisions.push(divisions);
    }
    Ok(comparison)
}

impl ManifoldComparison {
    /// The measures of each generated set, in the order given.
    pub fn each(&self) -> &[Manifold] {
        &self.each
    }

    /// By how much each measure of the first set exceeds that of the second.
    ///
    /// The real images are the same in both, so what their choice does to one it largely does to the other: of the
    /// variation of the two, the correlation over the same random halves of the real set is taken off. **Interval**: from
    /// the ends of both single intervals and this correlation (MOVER; Zou, Psychological Methods 12, 2007, eq. 15).
    ///
    /// # Panics
    /// If an index is not below the number of sets.
    pub fn difference(&self, first: usize, second: usize) -> Manifold {
        let (one, other) = (&self.each[first], &self.each[second]);
        let differ = |of: fn(&Manifold) -> &Estimate, at: usize| {
            difference(of(one), of(other), self.correlation(first, second, at))
        };
        Manifold {
            precision: differ(|of| &of.precision, 0),
            recall: differ(|of| &of.recall, 1),
            density: differ(|of| &of.density, 2),
            coverage: differ(|of| &of.coverage, 3),
        }
    }

    /// Correlation of one measure of two sets over samples; 0 where one does not vary.
    fn correlation(&self, first: usize, second: usize, at: usize) -> f64 {
        let differences = |set: usize| self.divisions[set].iter().map(move |halves| halves[at][0] - halves[at][1]);
        let product = |a, b| differences(a).zip(differences(b)).map(|(x, y)| x * y).sum::<f64>();
        let scale = (product(first, first) * product(second, second)).sqrt();
        if scale > 0.0 { product(first, second) / scale } else { 0.0 }
    }
}

fn difference(one: &Estimate, other: &Estimate, correlation: f64) -> Estimate {
    let value = one.value - other.value;
    let reach = |up: f64, down: f64| (up * up + down * down - 2.0 * correlation * up * down).max(0.0).sqrt();
    Estimate {
        value,
        low: value - reach(one.value - one.low, other.high - other.value),
        high: value + reach(one.high - one.value, other.value - other.low),
        n: one.n.min(other.n),
        method: format!("paired on the real images (MOVER); each: {}", one.method),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifold;
    use crate::testing::gaussian;

    #[test]
    fn a_set_does_not_differ_from_itself_and_differences_change_sign() {
        let (real, a, b) = (gaussian(80, 4, 1.0, 0.0, 1), gaussian(90, 4, 0.8, 0.0, 2), gaussian(70, 4, 1.0, 0.3, 3));
        let found = compare_manifolds(&[&a, &a, &b], &real, Convention::Prdc).unwrap();
        assert_eq!(found.each()[2], manifold(&b, &real, Convention::Prdc).unwrap());
        let none = found.difference(0, 1);
        assert_eq!((none.recall.value, none.density.value), (0.0, 0.0));
        assert!(none.recall.low <= 0.0 && none.recall.high >= 0.0);
        let (one, other) = (found.difference(0, 2), found.difference(2, 0));
        assert!((one.density.low + other.density.high).abs() < 1e-12);
        assert!((one.coverage.value + other.coverage.value).abs() < 1e-12);
    }
}
