use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_encode::{Embedding, squared_distance};
use standin_measure::{Estimate, bootstrap};

use super::{Recognised, similarity};

/// Pairs of one identity at most: those with thousands of images would outweigh all others.
const PAIRS_OF_ONE: usize = 50;
/// Pairs of different identities at most.
const PAIRS_OF_TWO: usize = 200_000;
const RESAMPLES: usize = 500;
/// The false-match rates that are reported.
const RATES: [f64; 3] = [0.01, 1e-3, 1e-4];

/// How well a recogniser tells identities apart: pairs of images of one identity against pairs of two.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// Identities with two images or more.
    pub identities: usize,
    /// Pairs of images of one identity, at most 50 of each.
    pub genuine: usize,
    /// Pairs of images of two, at most 200 000, drawn at random.
    pub impostors: usize,
    /// Mean similarity of images of one identity: the higher, the less variety an identity has.
    pub similarity_within: Estimate,
    /// Mean similarity of images of two.
    pub similarity_between: f64,
    /// The chance that a pair of one identity is more similar than one of two.
    pub auc: Estimate,
    /// The error at the threshold where pairs of one identity are taken for two as often as the other way round.
    pub equal_error_rate: Estimate,
    /// At thresholds with these false-match rates.
    pub at: Vec<VerificationAt>,
}

/// A threshold, and what passes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationAt {
    /// Share of pairs of two identities at or above it.
    pub false_match_rate: f64,
    /// The similarity.
    pub threshold: f64,
    /// Share of pairs of one identity at or above it.
    pub true_match_rate: Estimate,
}

/// What is known of a recogniser's own error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verified {
    /// It was measured.
    Measured(Verification),
    /// It cannot be measured, and why.
    NotMeasurable(String),
}

impl Verified {
    /// Compares the images of up to two sets, with identities resampled for the intervals (percentile bootstrap).
    ///
    /// Not measurable with fewer than 10 identities of two images or more.
    pub(super) fn of(sets: &[Option<&Recognised>; 2], seed: Seed) -> Self {
        let sets: Vec<&Recognised> = sets.iter().flatten().copied().collect();
        let mut rng = seed.derive("verification").rng();
        let genuine: Vec<Vec<f64>> = sets
            .iter()
            .flat_map(|set| set.rows_by_identity().iter().map(move |rows| (set.features(), rows)))
            .filter(|(_, rows)| rows.len() > 1)
            .map(|(features, rows)| within(features, rows, &mut rng))
            .collect();
        if genuine.len() < 10 {
            let found = genuine.len();
            return Self::NotMeasurable(format!("{found} identities have two images or more, and it needs ten"));
        }
        let mut impostors = between(&sets, &mut rng);
        impostors.sort_unstable_by(f64::total_cmp);
        // Each pair of one identity by the share of pairs of two that are at least as similar: 0 is best.
        let places: Vec<Vec<f64>> = genuine
            .iter()
            .map(|pairs| pairs.iter().map(|&value| share_at_least(&impostors, value)).collect())
            .collect();
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        let over = |purpose: &str, of_one: &(dyn Fn(usize) -> (f64, usize) + Sync)| {
            bootstrap(genuine.len(), RESAMPLES, seed.derive(purpose), |identities| {
                let (total, count) = identities
                    .iter()
                    .map(|&identity| of_one(identity))
                    .fold((0.0, 0), |(total, count), (value, pairs)| (total + value, count + pairs));
                total / count as f64
            })
        };
        let at = RATES
            .into_iter()
            .filter(|rate| impostors.len() as f64 * rate >= 10.0)
            .map(|rate| {
                let allowed = (rate * impostors.len() as f64).floor() as usize;
                // Just above the first impostor that is not allowed.
                let threshold = impostors[impostors.len() - 1 - allowed].next_up();
                let passing = |identity: usize| {
                    let pairs = &genuine[identity];
                    (pairs.iter().filter(|&&value| value >= threshold).count() as f64, pairs.len())
                };
                let true_match_rate = over("rate", &passing);
                VerificationAt { false_match_rate: rate, threshold, true_match_rate }
            })
            .collect();
        Self::Measured(Verification {
            identities: genuine.len(),
            genuine: genuine.iter().map(Vec::len).sum(),
            impostors: impostors.len(),
            similarity_within: over("within", &|at| (sum(&genuine[at]), genuine[at].len())),
            similarity_between: sum(&impostors) / impostors.len() as f64,
            auc: over("auc", &|at| (places[at].iter().map(|place| 1.0 - place).sum(), places[at].len())),
            equal_error_rate: bootstrap(genuine.len(), RESAMPLES, seed.derive("equal"), |identities| {
                equal_error_rate(identities.iter().flat_map(|&at| places[at].iter().copied()).collect())
            }),
            at,
        })
    }

    /// What was measured.
    pub fn measured(&self) -> Option<&Verification> {
        match self {
            Self::Measured(found) => Some(found),
            Self::NotMeasurable(_) => None,
        }
    }
}

impl Verification {
    /// The similarity from which pairs count as one identity at this false-match rate, if it is among those reported.
    pub(super) fn threshold_at(&self, rate: f64) -> Option<f64> {
        self.at.iter().find(|at| at.false_match_rate == rate).map(|at| at.threshold)
    }

    /// Whether the encoder tells identities apart well enough to be called a recogniser of them: an AUC of 0.9.
    pub fn recognises(&self) -> bool {
        self.auc.value >= 0.9
    }
}

/// Similarities of pairs of images of one identity: all of them, or as many as are allowed at random.
fn within(features: &Embedding, rows: &[usize], rng: &mut impl Rng) -> Vec<f64> {
    let all = rows.len() * (rows.len() - 1) / 2;
    if all <= PAIRS_OF_ONE {
        let pairs = (0..rows.len()).flat_map(|a| (0..a).map(move |b| (a, b)));
        return pairs.map(|(a, b)| cosine(features, rows[a], features, rows[b])).collect();
    }
    (0..PAIRS_OF_ONE)
        .map(|_| {
            let a = rng.random_range(0..rows.len());
            let b = (a + rng.random_range(1..rows.len())) % rows.len();
            cosine(features, rows[a], features, rows[b])
        })
        .collect()
}

/// Similarities of pairs of images of different identities, of one set or of two.
fn between(sets: &[&Recognised], rng: &mut impl Rng) -> Vec<f64> {
    let images: usize = sets.iter().map(|set| set.features().rows()).sum();
    let place = |mut row: usize| {
        for (at, set) in sets.iter().enumerate() {
            if row < set.features().rows() {
                return (at, row);
            }
            row -= set.features().rows();
        }
        unreachable!("the row is among those of all sets")
    };
    let mut found = Vec::with_capacity(PAIRS_OF_TWO);
    // As many again for pairs that turn out to be of one identity.
    for _ in 0..2 * PAIRS_OF_TWO.min(images * images) {
        let (a, b) = (place(rng.random_range(0..images)), place(rng.random_range(0..images)));
        let identity = |(set, row): (usize, usize)| (set, sets[set].identities()[row]);
        if identity(a) != identity(b) {
            found.push(cosine(sets[a.0].features(), a.1, sets[b.0].features(), b.1));
        }
        if found.len() == PAIRS_OF_TWO {
            break;
        }
    }
    found
}

fn cosine(a: &Embedding, row: usize, b: &Embedding, other: usize) -> f64 {
    similarity(squared_distance(a.row(row), b.row(other)).sqrt())
}

fn share_at_least(ascending: &[f64], value: f64) -> f64 {
    (ascending.len() - ascending.partition_point(|&known| known < value)) as f64 / ascending.len() as f64
}

/// Where the share of genuine pairs beyond a place equals the place: the crossing of the steps of both.
fn equal_error_rate(mut places: Vec<f64>) -> f64 {
    places.sort_unstable_by(f64::total_cmp);
    let count = places.len() as f64;
    for (rank, &place) in places.iter().enumerate() {
        // Pairs after this one are taken for two identities where the threshold is at its place.
        let missed = (count - rank as f64 - 1.0) / count;
        if place >= missed {
            // The misses fall by one pair at this place; a place beyond both was passed by a leap of false matches.
            return place.min(missed + 1.0 / count);
        }
    }
    places.last().copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};
    use standin_encode::Stamp;

    use super::*;

    /// `roc_auc_score` and the crossing of `roc_curve` of the same scores, scikit-learn 1.9. The steps cross at 0.39.
    #[test]
    fn area_and_equal_error_rate_equal_scikit_learn() {
        let genuine: Vec<f64> = (0..30).map(|k| 0.3 + 0.6 * (1.7 * f64::from(k)).sin().abs()).collect();
        let mut impostors: Vec<f64> = (0..400).map(|k| 0.75 * (2.3 * f64::from(k) + 0.5).sin().abs()).collect();
        impostors.sort_unstable_by(f64::total_cmp);
        let places: Vec<f64> = genuine.iter().map(|&value| share_at_least(&impostors, value)).collect();
        let area = places.iter().map(|place| 1.0 - place).sum::<f64>() / 30.0;
        assert!((area - 0.743_166_666_666_666_6).abs() < 1e-12, "{area}");
        let error = equal_error_rate(places);
        assert!((error - 0.39).abs() < 1e-9, "{error}");
    }

    /// Identities with three images each, so far from their own centre.
    fn faces(count: usize, spread: f32, seed: u64) -> Recognised {
        let mut rng = Seed::new(seed).rng();
        let mut normal =
            |scale: f32| -> f32 { scale * <StandardNormal as Distribution<f32>>::sample(&StandardNormal, &mut rng) };
        let mut values: Vec<f32> = Vec::new();
        for _ in 0..count {
            let centre: Vec<f32> = (0..32).map(|_| normal(1.0)).collect();
            for _ in 0..3 {
                values.extend(centre.iter().map(|&at| at + normal(spread)).collect::<Vec<_>>());
            }
        }
        let names: Vec<String> = (0..3 * count).map(|row| format!("{}", row / 3)).collect();
        let features = Embedding::new(values, 32, Stamp::new("recogniser", "")).unwrap();
        Recognised::new("images", features, &names).unwrap()
    }

    #[test]
    fn near_images_of_one_identity_are_told_from_others() {
        let found = Verified::of(&[Some(&faces(60, 0.2, 1)), None], Seed::new(1));
        let found = found.measured().unwrap();
        assert_eq!((found.identities, found.genuine), (60, 180));
        assert!(found.auc.value > 0.999 && found.equal_error_rate.value < 0.01 && found.recognises());
        assert!(found.similarity_within.value > 0.9 && found.similarity_between.abs() < 0.05);
        assert!(found.at.iter().all(|at| at.true_match_rate.value > 0.95));
    }

    #[test]
    fn features_that_know_no_identity_are_at_chance() {
        let found = Verified::of(&[Some(&faces(200, 30.0, 2)), None], Seed::new(1));
        let found = found.measured().unwrap();
        assert!(found.auc.low < 0.5 && found.auc.high > 0.5 && !found.recognises(), "{:?}", found.auc);
        assert!((found.equal_error_rate.value - 0.5).abs() < 0.06, "{:?}", found.equal_error_rate);
        let at = &found.at[0];
        assert!(at.true_match_rate.low <= 0.01 && at.true_match_rate.high >= 0.005, "{at:?}");
    }

    #[test]
    fn equal_errors_by_hand() {
        assert_eq!(equal_error_rate(vec![0.0; 10]), 0.0);
        assert_eq!(equal_error_rate(vec![1.0; 10]), 1.0);
        // Half the pairs are perfect; of the rest a quarter is beyond 0.25.
        assert_eq!(equal_error_rate(vec![0.0, 0.0, 0.25, 0.9]), 0.25);
    }

    #[test]
    fn too_few_identities_are_a_reason() {
        let found = Verified::of(&[Some(&faces(9, 0.2, 1)), None], Seed::new(1));
        assert!(matches!(found, Verified::NotMeasurable(reason) if reason.contains("9 identities")));
    }
}
