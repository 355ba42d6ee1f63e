use crate::uncertainty::{Z, average, influence_variance, mean};
use crate::{Error, Estimate, Result};

/// The Inception Score (Salimans et al., NeurIPS 2016) of any classifier's probabilities: exp E KL(p(y|x) ‖ p(y)), from 1
/// (every image gets the same answer) to the number of classes (certain answers, all classes alike). It is called
/// Inception Score for the ImageNet classes of one certain network only.
///
/// `probabilities` has one row of `classes` values per image, `splits` is 10 by convention: consecutive images are
/// scored apart, from ⌊i·n/splits⌋ on, and the scores averaged. Scores with different numbers of splits do not compare:
/// p(y) is estimated from n/splits images, which lowers the logarithm of the score by about (classes − 1)·splits/(2n).
///
/// **Interval**: with one split, image x moves the logarithm by its own KL(p(y|x) ‖ p(y)), whose variance gives a normal
/// interval (infinitesimal jackknife), exponentiated; with several, Student's over the splits, for the score that as
/// many images have on average. The convention's "± standard deviation over splits" is no such interval.
///
/// Time O(n·classes).
///
/// # Errors
/// If there are not 2 images in every split, there is no split or no class, values do not fill whole rows, or a row is no
/// distribution: a value is negative or not finite, or the sum is more than 0.001 away from 1.
pub fn class_score(probabilities: &[f64], classes: usize, splits: usize) -> Result<Estimate> {
    if classes == 0 || !probabilities.len().is_multiple_of(classes) {
        return Err(Error::RaggedProbabilities { values: probabilities.len(), classes });
    }
    let rows: Vec<&[f64]> = probabilities.chunks_exact(classes).collect();
    let n = rows.len();
    if splits == 0 || n < 2 * splits {
        return Err(Error::Splits { splits, images: n });
    }
    for (image, row) in rows.iter().enumerate() {
        let sum: f64 = row.iter().sum();
        let worst = row.iter().copied().find(|p| !p.is_finite() || *p < 0.0);
        if worst.is_some() || (sum - 1.0).abs() > 1e-3 {
            return Err(Error::NoDistribution { image, sum, worst });
        }
    }
    let parts: Vec<Vec<f64>> =
        (0..splits).map(|split| divergences(&rows[split * n / splits..(split + 1) * n / splits])).collect();
    let estimate = if let [divergences] = &parts[..] {
        let (value, half) = (average(divergences), Z * influence_variance(divergences).sqrt());
        Estimate {
            value: value.exp(),
            low: (value - half).exp(),
            high: (value + half).exp(),
            n,
            method: "infinitesimal jackknife of the logarithm, 1 split".into(),
        }
    } else {
        let scores: Vec<f64> = parts.iter().map(|divergences| average(divergences).exp()).collect();
        Estimate { n, method: format!("Student's t over {splits} splits"), ..mean(&scores) }
    };
    let (low, high) =
        (estimate.low.max(1.0).min(estimate.value), estimate.high.min(classes as f64).max(estimate.value));
    Ok(Estimate { low, high, ..estimate })
}

/// KL(p(y|x) ‖ p(y)) for every image, with p(y) the mean of all.
fn divergences(rows: &[&[f64]]) -> Vec<f64> {
    let mut marginal = vec![0.0; rows[0].len()];
    for row in rows {
        marginal.iter_mut().zip(*row).for_each(|(sum, p)| *sum += p / rows.len() as f64);
    }
    let term = |(&p, &q): (&f64, &f64)| if p > 0.0 { p * (p / q).ln() } else { 0.0 };
    rows.iter().map(|row| row.iter().zip(&marginal).map(term).sum()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{assert_near, covered, covered_average, expected, uniform};
    use rand::RngExt;
    use standin_data::Seed;

    #[test]
    fn values_equal_numpy() {
        let values = uniform(47, 5, 12);
        let probabilities: Vec<f64> = values
            .values()
            .chunks(5)
            .flat_map(|row| {
                let cubes: Vec<f64> = row.iter().map(|&x| f64::from(x).powi(3)).collect();
                let sum: f64 = cubes.iter().sum();
                cubes.into_iter().map(move |x| x / sum)
            })
            .collect();
        for splits in [1, 10] {
            let found = class_score(&probabilities, 5, splits).unwrap();
            assert_near(found.value, &expected()["class_score"][splits.to_string()], 1e-12);
        }
    }

    fn certain(labels: impl Iterator<Item = usize>, classes: usize) -> Vec<f64> {
        labels.flat_map(|label| (0..classes).map(move |class| f64::from(u8::from(class == label)))).collect()
    }

    #[test]
    fn it_runs_from_one_to_the_number_of_classes() {
        let best = class_score(&certain((0..70).map(|at| at % 7), 7), 7, 10).unwrap();
        assert!((best.value - 7.0).abs() < 1e-12 && (best.high - best.low).abs() < 1e-9, "{best}");
        let worst = class_score(&[0.25; 80], 4, 1).unwrap();
        assert!((worst.value - 1.0).abs() < 1e-12 && worst.high < 1.01, "{worst}");
    }

    /// Certain answers with class probabilities π have the score exp H(π).
    #[test]
    fn the_interval_covers_the_populations_score() {
        let shares = [0.6, 0.25, 0.1, 0.05];
        let truth = shares.iter().map(|p: &f64| -p * p.ln()).sum::<f64>().exp();
        let sample = |run: u64, n: usize| {
            let mut rng = Seed::new(run).rng();
            let labels = (0..n).map(move |_| {
                let mut rest: f64 = rng.random();
                shares
                    .iter()
                    .position(|p| {
                        rest -= p;
                        rest < 0.0
                    })
                    .unwrap_or(3)
            });
            certain(labels, 4)
        };
        let share = covered(400, truth, |run| class_score(&sample(run, 2000), 4, 1).unwrap());
        assert!((0.92..=0.98).contains(&share), "{share}");
        let share = covered_average(400, |run| class_score(&sample(run, 600), 4, 10).unwrap());
        assert!((0.92..=0.98).contains(&share), "{share}");
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let error = |values: &[f64], classes, splits| class_score(values, classes, splits).unwrap_err().to_string();
        assert!(error(&[0.5; 7], 2, 1).contains("7 probabilities"), "{}", error(&[0.5; 7], 2, 1));
        assert!(error(&[0.5; 8], 2, 10).contains("10 splits"));
        assert!(error(&[0.5, 0.5, 0.9, 0.3], 2, 1).contains("image 1"));
        assert!(error(&[0.5, 0.5, 1.5, -0.5], 2, 1).contains("-0.5"));
    }
}
