//! Accuracy on the built-in digits: what a study may count on.

use std::time::Instant;

use standin_classify::{Answers, CLASSIFIERS, TrainedClassifier, family};
use standin_data::{ImageSet, Seed, Silent, digits};

fn fitted(name: &str, settings: &str, train: &ImageSet, seed: u64) -> Box<dyn TrainedClassifier> {
    let classifier = (family(name).unwrap().build)(&toml::from_str(settings).unwrap()).unwrap();
    classifier.fit(train, Seed::new(seed), &Silent).unwrap()
}

/// Every fourth image for the test, as in the fixture's script. Decision values agree to 1e-3: both stop at gradients that
/// leave this much, and the f32 logits are of size 10.
#[test]
fn logistic_regression_answers_as_scikit_learn_does() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("fixtures/logistic.json")).unwrap();
    let expected = &fixture["digits"];
    let images = digits();
    let (test, train): (Vec<usize>, Vec<usize>) = (0..images.len()).partition(|index| index % 4 == 0);
    let (train, test) = (images.select(&train), images.select(&test));
    let trained = fitted("logistic", "tolerance = 1e-8\niterations = 5000", &train, 1);
    let answers = Answers::of(&*trained, &test).unwrap();
    assert_eq!(answers.correct.len() as u64, expected["test"].as_u64().unwrap());
    let right = answers.correct.iter().filter(|&&correct| correct).count();
    assert_eq!(right as u64, expected["right"].as_u64().unwrap());
    let logits = trained.logits(&test).unwrap();
    for (row, decision) in expected["decision"].as_array().unwrap().iter().enumerate() {
        for (logit, decision) in logits.row(row).iter().zip(decision.as_array().unwrap()) {
            let decision = decision.as_f64().unwrap();
            assert!((f64::from(*logit) - decision).abs() < 1e-3, "row {row}: {logit} for {decision}");
        }
    }
}

/// 700 images for training, 449 for the test, three splits: the mean accuracy is above 96.5 % (97.6 % was measured over
/// eight splits, with a standard error of 0.4 % for three).
#[test]
fn the_network_learns_the_digits_from_700_images() {
    use rand::seq::SliceRandom;
    let images = digits();
    let accuracies = (0..3).map(|seed| {
        let mut order: Vec<usize> = (0..images.len()).collect();
        order.shuffle(&mut Seed::new(seed).rng());
        let start = Instant::now();
        let trained = fitted("cnn", "", &images.select(&order[..700]), seed);
        println!("trained in {:.2?}", start.elapsed());
        Answers::of(&*trained, &images.select(&order[images.len() - 449..])).unwrap().accuracy().value
    });
    let mean = accuracies.sum::<f64>() / 3.0;
    assert!(mean > 0.965, "{mean}");
}

/// 20 digits, a twentieth of each network's width, 60 steps: every network must be able to learn a few images by heart.
#[test]
fn every_network_learns_a_few_digits_by_heart() {
    let few = digits().select(&(0..20).collect::<Vec<_>>());
    for family in CLASSIFIERS {
        let settings = match family.name {
            "logistic" => "inverse_penalty = 100.0",
            "cnn" | "scattering-cnn" | "scattering-logistic" => "fewest_steps = 150\nepochs = 1\nlearning_rate = 0.01",
            "wide-resnet-28-10" => "channels = 1\nnorm_groups = 2\nfewest_steps = 60\nepochs = 1",
            _ => "channels = 4\nnorm_groups = 2\nfewest_steps = 60\nepochs = 1",
        };
        let answers = Answers::of(&*fitted(family.name, settings, &few, 1), &few).unwrap();
        assert!(answers.correct.iter().all(|&correct| correct), "{}: {}", family.name, answers.accuracy());
    }
}
