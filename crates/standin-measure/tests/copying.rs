//! Copying, variety and single-image scores against independent implementations: `fixtures/copying.py` made the
//! expected values.

mod sequence;

use serde_json::Value;
use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Metric, Stamp};
use standin_measure::{
    Finding, Sets, copying_z, evaluate, feature_spread, identical_matches, image_scores, medsyn, nearest_ratio, realism,
};

struct Case {
    train: Embedding,
    holdout: Embedding,
    synthetic: Embedding,
    expected: Value,
}

/// Groups that lie 100 apart, so that every k-means finds them.
fn grouped(rows: usize, seed: u64, group: impl Fn(usize) -> usize) -> Vec<f32> {
    let mut values = sequence::uniform(rows * 4, seed);
    values.iter_mut().step_by(4).enumerate().for_each(|(row, value)| *value += 100.0 * group(row) as f32);
    values
}

fn case() -> Case {
    let train = grouped(240, 1, |row| row % 3);
    let mut synthetic = grouped(200, 3, |row| row % 2);
    synthetic[..100].copy_from_slice(&train[240..340]);
    for (at, value) in synthetic.iter_mut().enumerate().take(200).skip(100) {
        let noise = if at % 4 == 0 { 0.0 } else { 0.03125 * *value };
        *value = train[at + 240] + noise;
    }
    let embed = |values| Embedding::new(values, 4, Stamp::new("test", "")).unwrap();
    Case {
        train: embed(train),
        holdout: embed(grouped(150, 2, |row| (row % 5).min(2))),
        synthetic: embed(synthetic),
        expected: serde_json::from_str(include_str!("fixtures/copying.json")).unwrap(),
    }
}

/// Both sides compute in double precision on equal inputs; what differs is the order of sums.
#[track_caller]
fn assert_near(value: f64, expected: &Value) {
    let expected = if expected == "inf" { f64::INFINITY } else { expected.as_f64().unwrap() };
    let tolerance = 1e-9 * expected.abs().max(1e-3);
    assert!(value == expected || (value - expected).abs() <= tolerance, "{value} for {expected}");
}

#[track_caller]
fn assert_all_near(values: impl IntoIterator<Item = f64>, expected: &Value) {
    let values: Vec<f64> = values.into_iter().collect();
    let expected = expected.as_array().unwrap();
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.into_iter().zip(expected) {
        assert_near(value, expected);
    }
}

#[test]
fn the_data_copying_statistic_equals_scipy_and_scikit_learn() {
    let Case { train, holdout, synthetic, expected } = case();
    let z = |cells| copying_z(&synthetic, &train, &holdout, cells, Seed::new(1)).unwrap().value;
    assert_near(z(1), &expected["copying_z"]);
    assert_eq!(expected["cells_of_three"], 2);
    assert_near(z(3), &expected["copying_z_three"]);
}

#[test]
fn ratios_and_matches_equal_scipy() {
    let Case { train, synthetic, expected, .. } = case();
    let found = nearest_ratio(&synthetic, &train).unwrap();
    assert_near(found.mean.value, &expected["nearest_ratio_mean"]);
    assert_near(found.median.value, &expected["nearest_ratio_median"]);
    assert_near(identical_matches(&synthetic, &train).unwrap().value, &expected["identical"]);
}

#[test]
fn shares_of_medsynanalyzer_and_spread_equal_numpy() {
    let Case { train, synthetic, expected, .. } = case();
    let found = medsyn(&synthetic, &train).unwrap();
    let shares = [found.fidelity, found.privacy, found.fidelity_and_privacy];
    assert_all_near(shares.map(|share| share.value), &expected["medsyn"]);
    assert_near(feature_spread(&synthetic).unwrap().value, &expected["feature_spread"]);
}

#[test]
fn realism_equals_numpy() {
    let Case { train, synthetic, expected, .. } = case();
    assert_all_near(realism(&synthetic, &train).unwrap(), &expected["realism"]);
}

#[test]
fn scores_of_single_images_equal_scipy() {
    let Case { train, holdout, synthetic, expected } = case();
    let found = image_scores(&train, Some(&holdout), &synthetic, 0.02, &Silent).unwrap();
    let scores = || found.scores.iter();
    assert_all_near(scores().map(|score| score.realism), &expected["realism"]);
    assert_all_near(scores().map(|score| score.memorisation), &expected["memorisation"]);
    assert_all_near(scores().map(|score| score.p_value.unwrap()), &expected["p_values"]);
    assert_all_near(scores().map(|score| score.adjusted_p_value.unwrap()), &expected["adjusted_p_values"]);
    assert_all_near(scores().map(|score| score.authenticity_margin), &expected["authenticity_margins"]);
    assert_all_near(scores().map(|score| score.synthetic_distance.unwrap()), &expected["synthetic_distances"]);
    assert_all_near(found.synthetic_quantiles.iter().copied(), &expected["synthetic_quantiles"]);
    assert_all_near(found.holdout_quantiles.iter().copied(), &expected["holdout_quantiles"]);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let Case { train, holdout, synthetic, .. } = case();
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let scores = image_scores(&train, Some(&holdout), &synthetic, 0.02, &Silent).unwrap();
            (scores, copying_z(&synthetic, &train, &holdout, 5, Seed::new(2)).unwrap(), feature_spread(&train).unwrap())
        })
    };
    assert_eq!(with(1), with(3));
}

/// Rows of 12 codes below 4, so that distances tie often.
fn codes(rows: usize, seed: u64) -> Embedding {
    let stamp = Stamp { metric: Metric::Hamming, ..Stamp::new("codes", "") };
    let values = sequence::uniform(rows * 12, seed).into_iter().map(|uniform| (4.0 * uniform).floor()).collect();
    Embedding::new(values, 12, stamp).unwrap()
}

fn places_that_differ(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).filter(|(x, y)| x != y).count() as f64
}

#[test]
fn codes_compare_by_the_places_that_differ() {
    let (train, holdout) = (codes(90, 1), codes(70, 2));
    let synthetic = codes(50, 3).concat(&train.select(&[5, 6, 7])).unwrap();
    let to_train = |image: usize| -> Vec<f64> {
        (0..90).map(|row| places_that_differ(synthetic.row(image), train.row(row))).collect()
    };
    let radius = |centre: usize, rank: usize| {
        let others = (0..90).filter(|&row| row != centre);
        let mut all: Vec<f64> = others.map(|row| places_that_differ(train.row(centre), train.row(row))).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[rank - 1]
    };
    let inside = |image: usize, rank: usize| to_train(image).iter().enumerate().any(|(row, d)| *d < radius(row, rank));
    let share = |holds: &dyn Fn(usize) -> bool| (0..53).filter(|&image| holds(image)).count() as f64 / 53.0;
    let found = medsyn(&synthetic, &train).unwrap();
    assert_eq!(found.fidelity.value, share(&|image| inside(image, 5)));
    assert_eq!(found.privacy.value, share(&|image| !inside(image, 1)));
    assert_eq!(found.fidelity_and_privacy.value, share(&|image| inside(image, 5) && !inside(image, 1)));

    let mut radii: Vec<f64> = (0..90).map(|centre| radius(centre, 3)).collect();
    let all = radii.clone();
    radii.sort_unstable_by(f64::total_cmp);
    let median = (radii[44] + radii[45]) / 2.0;
    let real = |image: usize| {
        let ratios = to_train(image).into_iter().zip(&all).filter(|(_, radius)| **radius <= median);
        ratios.map(|(distance, radius)| radius / distance).fold(0.0, f64::max)
    };
    assert_eq!(realism(&synthetic, &train).unwrap(), (0..53).map(real).collect::<Vec<_>>());

    let scores = image_scores(&train, Some(&holdout), &synthetic, 0.05, &Silent).unwrap().scores;
    for (image, score) in scores.iter().enumerate() {
        assert_eq!(score.distance, to_train(image).into_iter().fold(f64::INFINITY, f64::min));
    }
    assert!(copying_z(&synthetic, &train, &holdout, 2, Seed::new(1)).unwrap().value.is_finite());
    assert_eq!(identical_matches(&synthetic, &train).unwrap().value, 3.0 / 53.0);
}

#[test]
fn every_copying_measure_sees_planted_copies_and_none_sees_them_in_new_images() {
    let set = |seed| Embedding::new(sequence::uniform(500 * 6, seed), 6, Stamp::new("test", "")).unwrap();
    let (train, holdout, honest) = (set(11), set(12), set(13));
    let half: Vec<usize> = (0..250).collect();
    let copying = train.select(&half).concat(&honest.select(&half)).unwrap();
    let names = [
        "copying-z",
        "nearest-ratio",
        "nearest-ratio-median",
        "identical-matches",
        "medsyn-privacy",
        "medsyn-fidelity-and-privacy",
    ];
    let measured = |synthetic: &Embedding| -> Vec<Finding> {
        let sets = Sets { train: &train, holdout: Some(&holdout), synthetic };
        evaluate(&names.map(str::to_owned), sets, Seed::new(1), &Silent).unwrap()
    };
    for (copies, new) in measured(&copying).into_iter().zip(measured(&honest)) {
        let interval = |finding: &Finding| {
            let reference = finding.reference.as_ref().map(|outcome| outcome.estimate().unwrap().clone());
            let (low, high) = reference.map_or((0.0, 0.0), |reference| (reference.low, reference.high));
            (finding.outcome.estimate().unwrap().clone(), low, high)
        };
        let (found, low, high) = interval(&copies);
        let apart = if copies.better == "lower" { found.low > high } else { found.high < low };
        assert!(apart, "{}: {found} beside {low} to {high}", copies.measure);
        let (found, low, high) = interval(&new);
        assert!(found.low <= high && low <= found.high, "{}: {found} beside {low} to {high}", new.measure);
    }
}
