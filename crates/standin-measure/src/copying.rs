use standin_data::Seed;
use standin_encode::{Embedding, nearest};

use crate::cells::Cells;
use crate::context::{Comparison, Context, Side};
use crate::error::require_rows;
use crate::registry::Measure;
use crate::share::wilson_at;
use crate::uncertainty::{average, squared_deviations};
use crate::{Against, Error, Estimate, Outcome, Result};

const NAME: &str = "the data-copying statistic";
/// Synthetic images that a cell must hold to count, so that the rank sum is nearly normal: the paper's τ·m.
const FEWEST: usize = 20;
/// Images of the smallest set for every cell, …
const PER_CELL: usize = 100;
/// … and cells at most.
const MOST_CELLS: usize = 10;

/// The data-copying statistic C_T (Meehan, Chaudhuri and Dasgupta, "A Non-Parametric Test to Detect Data-Copying in
/// Generative Models", AISTATS 2020).
///
/// k-means on T divides feature space into at most `cells` cells. In each the distances of S and H to their nearest
/// training image *of the cell* are ranked together; with m synthetic and n holdout images in the cell, and Δ the share
/// of the m·n pairs in which the synthetic image is farther (ties count half), Z = (Δ − ½)·√(12·m·n / (m + n + 1)) is
/// the normal score of Mann and Whitney. C_T is the mean of Z over the cells with at least 20 synthetic images,
/// weighted by their share of H. Near 0 for images like new real ones, far below 0 where training images are copied,
/// far above where synthetic images stay away from real ones. It grows with the root of the sizes, so compare at equal
/// sizes. (The authors' script adds ½ to m·n·Δ, for continuity; their paper and this function do not.)
///
/// **Interval**: for T, the partition and the cells' counts as they are, which is all that the null hypothesis needs:
/// then S and H are exchangeable within each cell. Each Δ has a Wilson interval with as many trials as give a binomial
/// share the variance of its placements (DeLong et al. 1988), at most those of the null hypothesis, 3mn/(m+n+1); the
/// weighted sum takes its ends from these by the recovery of variances (Zou and Donner 2008).
///
/// O(t·cells·d) time for the cells, then O((s + h)·t·d) for the searches, less with more cells.
///
/// # Errors
/// If the protocols differ, a set has fewer than 20 (S), 1 (T) or 2 (H) images, or no cell holds 20 synthetic images
/// and a holdout image.
pub fn copying_z(
    synthetic: &Embedding,
    train: &Embedding,
    holdout: &Embedding,
    cells: usize,
    seed: Seed,
) -> Result<Estimate> {
    for (set, needed) in [(synthetic, FEWEST), (train, 1), (holdout, 2)] {
        require_rows(NAME, set.rows(), needed)?;
    }
    let cells = Cells::of(train, cells, seed)?;
    let [of_synthetic, of_train, of_holdout] = [cells.assign(synthetic)?, cells.assign(train)?, cells.assign(holdout)?];
    let mut parts = Vec::new();
    for cell in 0..cells.count() {
        let members = |assigned: &[usize]| (0..assigned.len()).filter(|&row| assigned[row] == cell).collect::<Vec<_>>();
        let [s, t, h] = [members(&of_synthetic), members(&of_train), members(&of_holdout)];
        if s.len() < FEWEST || t.is_empty() || h.is_empty() {
            continue;
        }
        let base = train.select(&t);
        let distances = |set: &Embedding, rows: &[usize]| -> Result<Vec<f64>> {
            Ok(nearest(&set.select(rows), &base, 1, false)?.at_rank(1))
        };
        parts.push(Part { ranks: Ranks::of(&distances(synthetic, &s)?, &distances(holdout, &h)?), weight: h.len() });
    }
    if parts.is_empty() {
        return Err(Error::NoCell { cells: cells.count(), synthetic: synthetic.rows(), holdout: holdout.rows() });
    }
    Ok(combined(&parts, synthetic.rows()))
}

struct Part {
    ranks: Ranks,
    weight: usize,
}

/// How distances of synthetic images rank among those of holdout images.
struct Ranks {
    /// Share of pairs in which the synthetic one is farther.
    farther: f64,
    /// Its interval.
    ends: (f64, f64),
    /// What a difference of 1 in the share is in standard deviations of the null hypothesis.
    scale: f64,
}

impl Ranks {
    fn of(synthetic: &[f64], holdout: &[f64]) -> Self {
        let (m, n) = (synthetic.len() as f64, holdout.len() as f64);
        let above = placements(synthetic, holdout);
        let below = placements(holdout, synthetic);
        let farther = average(&above);
        let null = 3.0 * m * n / (m + n + 1.0);
        let variance = if holdout.len() < 2 {
            0.25 / null
        } else {
            squared_deviations(&above) / (m * (m - 1.0)) + squared_deviations(&below) / (n * (n - 1.0))
        };
        let binomial = farther * (1.0 - farther);
        let trials = if variance > 0.0 { (binomial / variance).min(null) } else { null };
        Self {
            farther,
            ends: wilson_at(farther, if trials > 0.0 { trials } else { null }),
            scale: (12.0 * m * n / (m + n + 1.0)).sqrt(),
        }
    }
}

/// For each value the share of others that it exceeds, ties half.
fn placements(values: &[f64], others: &[f64]) -> Vec<f64> {
    let mut others = others.to_vec();
    others.sort_unstable_by(f64::total_cmp);
    let place = |value: &f64| {
        let less = others.partition_point(|other| other < value);
        let not_more = others.partition_point(|other| other <= value);
        (less + not_more) as f64 / (2.0 * others.len() as f64)
    };
    values.iter().map(place).collect()
}

fn combined(parts: &[Part], n: usize) -> Estimate {
    let total: usize = parts.iter().map(|part| part.weight).sum();
    let (mut value, mut below, mut above) = (0.0, 0.0, 0.0);
    for Part { ranks, weight } in parts {
        let factor = *weight as f64 / total as f64 * ranks.scale;
        value += factor * (ranks.farther - 0.5);
        below += (factor * (ranks.farther - ranks.ends.0)).powi(2);
        above += (factor * (ranks.ends.1 - ranks.farther)).powi(2);
    }
    Estimate {
        value,
        low: value - below.sqrt(),
        high: value + above.sqrt(),
        n,
        method: "Wilson with the variance of placements in each cell, combined".into(),
    }
}

#[derive(Debug)]
pub(crate) struct CopyingZ;

impl Measure for CopyingZ {
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>> {
        let sides = [Side::Synthetic, Side::AllTrain, Side::AllHoldout];
        let [s, t, h] = sides.map(|side| context.size(side));
        let cells = (s.min(t).min(h) / PER_CELL).clamp(1, MOST_CELLS);
        let measured = context.outcome(&sides, || {
            let [synthetic, train, holdout] = sides.map(|side| context.rows(side));
            copying_z(synthetic, train, holdout, cells, context.seed().derive("copying-z"))
        });
        let outcome = match measured {
            Err(error @ Error::NoCell { .. }) => Outcome::NotMeasurable(error.to_string()),
            other => other?,
        };
        Ok(vec![Comparison {
            against: Against::Train,
            outcome,
            reference: None,
            parameters: format!("{cells} cells; {s} synthetic, {t} training, {h} holdout"),
        }])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{embed, gaussian};

    #[test]
    fn values_by_hand() {
        let ranks = Ranks::of(&[1.0, 4.0], &[2.0, 1.0, 3.0]);
        // 1 ties with one of three, 4 exceeds all: (½ + 3)/6.
        assert!((ranks.farther - 3.5 / 6.0).abs() < 1e-15);
        assert!((ranks.scale - (12.0 * 6.0 / 6.0_f64).sqrt()).abs() < 1e-15);
    }

    #[test]
    fn exchanging_the_sets_compared_changes_the_sign() {
        let [t, h, s] = [1, 2, 3].map(|seed| gaussian(200, 3, 1.0, 0.0, seed));
        let one = copying_z(&s, &t, &h, 1, Seed::new(1)).unwrap();
        let other = copying_z(&h, &t, &s, 1, Seed::new(1)).unwrap();
        assert!((one.value + other.value).abs() < 1e-12);
        assert!((one.low + other.high).abs() < 1e-12);
    }

    #[test]
    fn copies_of_half_the_images_are_far_below_zero_and_noise_far_above() {
        let [t, h, s] = [1, 2, 3].map(|seed| gaussian(400, 4, 1.0, 0.0, seed));
        let copied = t.select(&(0..200).collect::<Vec<_>>()).concat(&s.select(&(0..200).collect::<Vec<_>>())).unwrap();
        let z = |s: &Embedding| copying_z(s, &t, &h, 4, Seed::new(1)).unwrap();
        assert!(z(&copied).high < -1.0, "{}", z(&copied));
        assert!(z(&t).high < -5.0, "{}", z(&t));
        assert!(z(&gaussian(400, 4, 3.0, 0.0, 5)).low > 1.0);
    }

    #[test]
    fn synthetic_images_where_no_holdout_image_is_cannot_be_tested() {
        let far = |set: Embedding| embed(set.values().iter().map(|x| x + 1000.0).collect(), 2);
        let [a, b, h, s] = [1, 2, 3, 4].map(|seed| gaussian(50, 2, 1.0, 0.0, seed));
        let train = a.concat(&far(b)).unwrap();
        let error = copying_z(&far(s), &train, &h, 2, Seed::new(1)).unwrap_err().to_string();
        assert!(error.contains("none of 2 cells"), "{error}");
    }

    #[test]
    fn under_the_null_the_interval_covers_zero() {
        let runs = 400;
        let covered = (0..runs)
            .filter(|run| {
                let [t, h, s] =
                    [0, 1, 2].map(|role| gaussian([150, 90, 240][role], 2, 1.0, 0.0, 3 * run + role as u64));
                let z = copying_z(&s, &t, &h, 3, Seed::new(*run)).unwrap();
                z.low <= 0.0 && 0.0 <= z.high
            })
            .count();
        let share = covered as f64 / runs as f64;
        assert!((0.92..=0.98).contains(&share), "{share}");
    }

    /// One training image at 0; distances to it are |s| and |h|, so Δ = P(|s| > |h|) is known: for normals with
    /// standard deviations σ and 1, 1 − (2/π)·atan(1/σ).
    #[test]
    fn away_from_the_null_the_interval_covers_the_truth() {
        let runs = 300;
        for deviation in [0.3_f32, 2.0] {
            let farther = 1.0 - 2.0 / std::f64::consts::PI * (1.0 / f64::from(deviation)).atan();
            let truth = (farther - 0.5) * (12.0 * 100.0 * 80.0 / 181.0_f64).sqrt();
            let covered = (0..runs)
                .filter(|run| {
                    let (s, h) = (gaussian(100, 1, deviation, 0.0, 2 * run), gaussian(80, 1, 1.0, 0.0, 2 * run + 1));
                    let z = copying_z(&s, &embed(vec![0.0], 1), &h, 1, Seed::new(1)).unwrap();
                    z.low <= truth && truth <= z.high
                })
                .count();
            let share = covered as f64 / runs as f64;
            assert!((0.92..=0.98).contains(&share), "{share}");
        }
    }
}
