//! What must be found is found, and where there is nothing, nothing is.

use rand_distr::{Distribution, StandardNormal};
use standin_data::{Seed, Silent};
use standin_encode::{Embedding, Stamp};
use standin_measure::{Against, Estimate, Finding, MEASURES, Outcome, Sets, evaluate, near_copies};

/// A population of four overlapping groups in eight dimensions, seen through features of unequal scale.
fn population(rows: usize, seed: u64) -> Embedding {
    let mut rng = Seed::new(seed).derive("population").rng();
    let mut normal = || -> f32 { StandardNormal.sample(&mut rng) };
    let values = (0..rows * 8).map(|at| {
        let (row, feature) = (at / 8, at % 8);
        let centre = if row % 4 == feature { 3.0 } else { 0.0 };
        (1.0 + feature as f32 / 8.0) * (centre + normal())
    });
    embed(values.collect())
}

fn embed(values: Vec<f32>) -> Embedding {
    let stamp = Stamp::new("test", "");
    Embedding::new(values, 8, stamp).unwrap()
}

fn every_measure(train: &Embedding, holdout: &Embedding, synthetic: &Embedding) -> Vec<Finding> {
    let names: Vec<String> = MEASURES.iter().map(|family| family.name.to_owned()).collect();
    evaluate(&names, Sets { train, holdout: Some(holdout), synthetic }, Seed::new(1), &Silent).unwrap()
}

fn find<'a>(findings: &'a [Finding], measure: &str, against: Against) -> &'a Finding {
    findings.iter().find(|finding| finding.measure == measure && finding.against == against).unwrap()
}

fn value(outcome: &Outcome) -> &Estimate {
    outcome.estimate().unwrap()
}

fn overlap(a: &Estimate, b: &Estimate) -> bool {
    a.low <= b.high && b.low <= a.high
}

#[test]
fn five_percent_of_copies_are_found() {
    let (train, holdout, honest) = (population(600, 1), population(600, 2), population(600, 3));
    let mut values = honest.values().to_vec();
    for copy in 0..30 {
        // Copies as a generator makes them: not bit for bit.
        let blurred = train.row(20 * copy).iter().zip(&values[copy * 8..]).map(|(x, noise)| x + 0.01 * noise);
        let blurred: Vec<f32> = blurred.take(8).collect();
        values[copy * 8..(copy + 1) * 8].copy_from_slice(&blurred);
    }
    let copying = embed(values);

    let near = near_copies(&train, &holdout, &copying, 40).unwrap();
    for pair in &near[..30] {
        assert!(pair.synthetic < 30 && pair.train == 20 * pair.synthetic, "{pair:?}");
        assert!(pair.p_value < 0.01, "{pair:?}");
    }
    assert!(near[30].synthetic >= 30 && near[30].distance > 5.0 * near[29].distance);

    let (before, after) = (every_measure(&train, &holdout, &honest), every_measure(&train, &holdout, &copying));
    let change = |measure| {
        let of = |findings| value(&find(findings, measure, Against::Train).outcome).value;
        of(&after) - of(&before)
    };
    assert!(change("authenticity") < -0.01, "{}", change("authenticity"));
    assert!(change("dcr-share") > 0.01, "{}", change("dcr-share"));
}

#[test]
fn a_generator_that_only_copies_wins_against_train_and_not_against_holdout() {
    let (train, holdout) = (population(400, 4), population(400, 5));
    let found = every_measure(&train, &holdout, &train);
    for measure in ["frechet-distance", "kernel-distance"] {
        let (against_train, against_holdout) =
            (find(&found, measure, Against::Train), find(&found, measure, Against::Holdout));
        assert!(value(&against_train.outcome).value < value(&against_holdout.outcome).value, "{measure}");
    }
    assert_eq!(value(&find(&found, "dcr-share", Against::Train).outcome).value, 1.0);
    assert_eq!(value(&find(&found, "authenticity", Against::Train).outcome).value, 0.0);
    assert!(value(&find(&found, "dcr-share", Against::Train).outcome).low > 0.99);
}

#[test]
fn without_copying_exchanging_train_and_holdout_changes_nothing_beyond_the_intervals() {
    for run in 0..5 {
        let set = |role: u64| population(300, 10 + 3 * run + role);
        let (train, holdout, synthetic) = (set(0), set(1), set(2));
        let one = every_measure(&train, &holdout, &synthetic);
        let other = every_measure(&holdout, &train, &synthetic);
        for (a, b) in one.iter().zip(&other) {
            assert_eq!((&a.measure, a.against), (&b.measure, b.against));
            assert!(overlap(value(&a.outcome), value(&b.outcome)), "{}: {} and {}", a.measure, a.outcome, b.outcome);
        }
        let share = value(&find(&one, "dcr-share", Against::Train).outcome);
        assert!((share.value - 0.5).abs() < 0.15, "{share}");
    }
}

#[test]
fn an_honest_generator_equals_the_reference() {
    let (train, holdout, synthetic) = (population(500, 30), population(500, 31), population(500, 32));
    for finding in every_measure(&train, &holdout, &synthetic) {
        let Some(reference) = &finding.reference else { continue };
        let (outcome, reference) = (value(&finding.outcome), value(reference));
        assert!(overlap(outcome, reference), "{}: {outcome} and {reference}", finding.measure);
    }
}

#[test]
fn a_collapsed_generator_has_little_variety_and_a_noisy_one_little_fidelity() {
    let (train, holdout) = (population(400, 40), population(400, 41));
    let transformed =
        |change: fn(f32) -> f32, seed| embed(population(400, seed).values().iter().map(|&x| change(x)).collect());
    let collapsed = every_measure(&train, &holdout, &transformed(|x| 0.05 * x + 0.2, 42));
    let noisy = every_measure(&train, &holdout, &transformed(|x| 3.0 * x, 43));
    let beside = |found: &[Finding], measure| {
        let found = find(found, measure, Against::Train);
        (value(&found.outcome).clone(), value(found.reference.as_ref().unwrap()).clone())
    };
    for measure in ["recall", "coverage"] {
        let (outcome, reference) = beside(&collapsed, measure);
        assert!(outcome.high < reference.low, "{measure}: {outcome} and {reference}");
    }
    for measure in ["precision", "density"] {
        let (outcome, reference) = beside(&noisy, measure);
        assert!(outcome.high < reference.low, "{measure}: {outcome} and {reference}");
    }
    for found in [&collapsed, &noisy] {
        for measure in ["frechet-distance", "kernel-distance"] {
            let (outcome, reference) = beside(found, measure);
            assert!(outcome.low > reference.high, "{measure}: {outcome} and {reference}");
        }
    }
}

#[test]
fn sets_too_small_are_not_measured() {
    let (train, holdout, synthetic) = (population(100, 50), population(100, 51), population(7, 52));
    for finding in every_measure(&train, &holdout, &synthetic) {
        let Outcome::NotMeasurable(reason) = &finding.outcome else { panic!("{} of 7 images", finding.measure) };
        assert!(reason.contains("7 synthetic images"), "{reason}");
    }
    for finding in every_measure(&train, &holdout, &embed(Vec::new())) {
        assert!(finding.outcome.estimate().is_none());
    }
}

#[test]
fn real_sets_are_compared_at_one_size_and_copies_are_searched_in_all_of_train() {
    let (train, holdout, synthetic) = (population(300, 60), population(120, 61), population(200, 62));
    let found = every_measure(&train, &holdout, &synthetic);
    let precision = find(&found, "precision", Against::Train);
    assert_eq!(precision.parameters, "k=5, distance < radius (prdc); 200 synthetic, 120 training, 120 holdout");
    let authenticity = find(&found, "authenticity", Against::Train);
    assert!(authenticity.parameters.contains("300 training"), "{}", authenticity.parameters);
}

#[test]
fn findings_do_not_depend_on_the_number_of_threads() {
    let (train, holdout, synthetic) = (population(250, 70), population(200, 71), population(220, 72));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| every_measure(&train, &holdout, &synthetic))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn unknown_names_and_mixed_protocols_are_errors() {
    let set = population(50, 80);
    let sets = Sets { train: &set, holdout: Some(&set), synthetic: &set };
    let error = evaluate(&["recal".into()], sets, Seed::new(1), &Silent).unwrap_err().to_string();
    assert!(error.contains("did you mean `recall`?"), "{error}");
    let stamp = Stamp::new("other", "");
    let other = Embedding::new(set.values().to_vec(), 8, stamp).unwrap();
    let sets = Sets { train: &set, holdout: Some(&set), synthetic: &other };
    assert!(evaluate(&["recall".into()], sets, Seed::new(1), &Silent).unwrap_err().to_string().contains("other"));
}
