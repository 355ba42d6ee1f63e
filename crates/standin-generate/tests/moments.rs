//! Mixtures of factor analysers from noisy moments: what is promised, what is learnt, what is kept.

use std::time::Duration;

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{ImageSet, Labels, Seed, Shape, Silent};
use standin_generate::{DpMfa, Fit, Protection, SampleRequest, Trained, Work, family, load};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

const SHAPE: Shape = Shape { channels: 1, height: 6, width: 6 };

/// Two classes of grey images in which one half is brighter by an amount that differs from image to image: the left in
/// the first class, the upper in the second. All else is noise of standard deviation 5.
fn halves(count: usize, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let labels: Vec<u32> = (0..count as u32).map(|image| image % 2).collect();
    let mut pixels = Vec::with_capacity(count * 36);
    for &label in &labels {
        let step = 30.0 * rng.sample::<f64, _>(StandardNormal);
        for at in 0..36 {
            let inside = if label == 0 { at % 6 < 3 } else { at < 18 };
            let noise = 5.0 * rng.sample::<f64, _>(StandardNormal);
            pixels.push((128.0 + if inside { step } else { 0.0 } + noise).round().clamp(0.0, 255.0) as u8);
        }
    }
    let classes = ["left", "upper"].map(str::to_owned).to_vec();
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values: labels, classes }).unwrap()
}

fn protection(epsilon: f64) -> Option<Protection> {
    let target = PrivacyTarget { epsilon, delta: Delta::Auto, allow_large_delta: false };
    Some(Protection { target, unit: Unit::Image, noise: NoiseOrigin::Reproducible })
}

/// A training with reproducible noise.
fn fitted(train: &ImageSet, options: &str, epsilon: f64, seed: u64) -> Box<dyn Trained> {
    let generator = (family(DpMfa::NAME).unwrap().build)(&toml::from_str(options).unwrap()).unwrap();
    generator.fit(train, Fit::new(Seed::new(seed), &Silent).protected(protection(epsilon))).unwrap()
}

/// No grain, and bounds that clip hardly any image of a single direction of variation.
const PLAIN: &str =
    "grain = 0.0\ntexture = 1.0\nmean_bound = 0.6\ncomponents = 1\nresidual_bound = 0.6\ncomponent_bound = 4.0";

fn sample(trained: &dyn Trained, count: usize) -> ImageSet {
    trained.sample(&SampleRequest::new(count), Seed::new(5), &Silent).unwrap()
}

/// Covariance of two pixels within a class.
fn covariance(set: &ImageSet, class: u32, a: usize, b: usize) -> f64 {
    let labels = &set.labels().unwrap().values;
    let of_class = || (0..set.len()).filter(|&image| labels[image] == class).map(|image| set.image(image));
    let n = of_class().count() as f64;
    let mean = |at: usize| of_class().map(|image| f64::from(image[at])).sum::<f64>() / n;
    let (mean_a, mean_b) = (mean(a), mean(b));
    of_class().map(|image| (f64::from(image[a]) - mean_a) * (f64::from(image[b]) - mean_b)).sum::<f64>() / n
}

/// The noise multipliers in words are what the ledger recorded; three Gaussians compose to one of μ² = Σ 1/σ².
#[test]
fn the_guarantee_is_that_of_the_three_releases_and_within_the_target() {
    for epsilon in [0.3, 1.0, 10.0] {
        let trained = fitted(&halves(500, 1), "", epsilon, 1);
        let guarantee = trained.guarantee().unwrap();
        let numbers = guarantee.mechanism.split("noise multiplier ").skip(1);
        let sigmas: Vec<f64> =
            numbers.map(|text| text.split([',', ' ']).next().unwrap().parse().expect("a number")).collect();
        assert_eq!(sigmas.len(), 3, "{}", guarantee.mechanism);
        let mu = sigmas.iter().map(|sigma| sigma.powi(-2)).sum::<f64>().sqrt();
        let recomputed = standin_privacy::gaussian::epsilon(1.0, mu, guarantee.delta).unwrap();
        // The words give six digits.
        assert!((recomputed / guarantee.epsilon - 1.0).abs() < 1e-4, "{recomputed} {}", guarantee.epsilon);
        assert!(guarantee.epsilon <= epsilon && guarantee.epsilon > 0.999 * epsilon, "{}", guarantee.epsilon);
        // Parts of the budget are squared inverse noise.
        assert!(((sigmas[0] / sigmas[1]).powi(2) - 0.6 / 0.15).abs() < 1e-3);
        assert!(guarantee.stamp().is_some());
    }
}

#[test]
fn samples_have_the_covariances_of_each_class() {
    let train = halves(4000, 1);
    let drawn = sample(&*fitted(&train, PLAIN, 10.0, 1), 4000);
    for class in 0..2 {
        // Both in the left half, both in the upper half, one of each, neither.
        for (a, b) in [(0, 31), (0, 5), (5, 31), (34, 35), (0, 0)] {
            let (real, drawn) = (covariance(&train, class, a, b), covariance(&drawn, class, a, b));
            assert!((real - drawn).abs() < 120.0, "class {class}, pixels {a} and {b}: {drawn} for {real}");
        }
    }
    assert!(covariance(&drawn, 0, 0, 31) > 700.0 && covariance(&drawn, 1, 0, 31) < 150.0);
}

/// The null: labels that say nothing give classes that do not differ.
#[test]
fn shuffled_labels_give_classes_with_the_same_covariances() {
    let train = halves(4000, 1);
    let mut rng = Seed::new(9).rng();
    let mut labels = train.labels().unwrap().clone();
    labels.values.iter_mut().for_each(|label| *label = rng.random_range(0..2));
    let drawn = sample(&*fitted(&train.with_labels(labels).unwrap(), PLAIN, 10.0, 1), 4000);
    for (a, b) in [(0, 31), (0, 5)] {
        let gap = covariance(&drawn, 0, a, b) - covariance(&drawn, 1, a, b);
        assert!(gap.abs() < 150.0, "{gap} at {a} and {b}");
    }
}

/// A class of two kinds, bright or dark, which one Gaussian would fill with grey.
#[test]
fn several_components_keep_two_kinds_apart() {
    let mut rng = Seed::new(2).rng();
    let kinds = (0..4000).map(|image| if image % 2 == 0 { 60.0 } else { 190.0 });
    let pixels = kinds
        .flat_map(|level| [(); 36].map(|()| level + 5.0 * rng.sample::<f64, _>(StandardNormal)))
        .map(|value| value as u8)
        .collect();
    let labels = Labels { values: vec![0; 4000], classes: vec!["grey".to_owned()] };
    let train = ImageSet::new(SHAPE, pixels).unwrap().with_labels(labels).unwrap();
    let between = |components: usize| {
        let options = PLAIN.replace("components = 1", &format!("components = {components}"));
        let drawn = sample(&*fitted(&train, &options, 10.0, 1), 1000);
        let mean = |image: usize| drawn.image(image).iter().map(|&value| f64::from(value)).sum::<f64>() / 36.0;
        (0..1000).filter(|&image| (95.0..155.0).contains(&mean(image))).count()
    };
    let (one, four) = (between(1), between(4));
    assert!(one > 200 && four < one / 3, "{one} with one component, {four} with four");
}

#[test]
fn equal_seeds_give_equal_images_whatever_the_number_of_threads() {
    let train = halves(1500, 1);
    let images = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sample(&*fitted(&train, "components = 3", 10.0, seed), 700).digest())
    };
    let one = images(1, 1);
    assert_eq!(one, images(1, 2));
    assert_ne!(one, images(2, 1));
}

#[test]
fn a_saved_generator_loads_to_the_same_images_and_a_small_request_gives_the_first_of_a_large_one() {
    let trained = fitted(&halves(600, 1), "components = 2", 10.0, u64::MAX);
    let folder = tempfile::tempdir().unwrap();
    trained.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    let (before, after) = (sample(&*trained, 600), sample(&*loaded, 600));
    assert_eq!(before.digest(), after.digest());
    assert_eq!(trained.guarantee(), loaded.guarantee());
    assert_eq!(sample(&*trained, 7).pixels(), &before.pixels()[..7 * 36]);
}

/// With secret noise two fits differ; after an interruption a fit must not take another release.
#[test]
fn an_interrupted_fit_goes_on_with_the_release_it_made() {
    let train = halves(600, 1);
    let folder = tempfile::tempdir().unwrap();
    let fit = |work: Option<&Work>| {
        let generator = (family(DpMfa::NAME).unwrap().build)(&toml::Table::new()).unwrap();
        let secret = protection(1.0).map(|protection| Protection { noise: NoiseOrigin::Secret, ..protection });
        let run = Fit { work, ..Fit::new(Seed::new(1), &Silent).protected(secret) };
        sample(&*generator.fit(&train, run).unwrap(), 50).digest()
    };
    let work = Work::new(folder.path(), Duration::from_secs(600), None, "these images");
    assert_eq!(fit(Some(&work)), fit(Some(&work)));
    assert_ne!(fit(None), fit(None));
}

#[test]
fn what_it_cannot_do_is_refused_with_the_remedy() {
    let train = halves(60, 1);
    let refused = |options: &str, run: &dyn Fn(Fit<'static>) -> Fit<'static>| {
        let generator = (family(DpMfa::NAME).unwrap().build)(&toml::from_str(options).unwrap());
        let fit = run(Fit::new(Seed::new(1), &Silent).protected(protection(1.0)));
        generator.and_then(|generator| generator.fit(&train, fit)).unwrap_err().to_string()
    };
    let grouped = protection(1.0).map(|protection| Protection { unit: Unit::Group("patient".into()), ..protection });
    assert!(refused("", &|run| run.protected(grouped.clone())).contains("`patient`"));
    assert!(refused("", &|run| run.protected(None)).contains("epsilon"));
    for (option, word) in [
        ("frequencies = 0", "frequencies is 0"),
        ("budget = [1.0, 0.0, 1.0]", "pooled second moments is 0"),
        ("residual_bound = -1.0", "residual_bound is -1"),
        ("grain = -0.1", "grain is -0.1"),
    ] {
        assert!(refused(option, &|run| run).contains(word), "{option}");
    }
    let unlabelled = halves(60, 1).without_labels();
    let generator = (family(DpMfa::NAME).unwrap().build)(&toml::Table::new()).unwrap();
    let run = Fit::new(Seed::new(1), &Silent).protected(protection(1.0));
    assert!(generator.fit(&unlabelled, run).unwrap_err().to_string().contains("labels"));
}
