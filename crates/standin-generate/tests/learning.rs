//! Methods that train a perceptron learn something, reproducibly, and survive the disk.

use std::time::Duration;

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{ImageSet, Labels, Seed, Shape, Silent};
use standin_generate::{Balance, Family, Fit, Protection, SampleRequest, Trained, Work, family, load};
use standin_privacy::{Adjacency, Delta, Event, Ledger, NoiseOrigin, PrivacyTarget, Unit, calibrate, gaussian};

const SHAPE: Shape = Shape { channels: 1, height: 6, width: 6 };
/// Three classes of a bright bar at the left, in the middle or at the bottom, with noise.
fn bars(count: usize, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let labels: Vec<u32> = (0..count as u32).map(|image| image % 3).collect();
    let mut pixels = Vec::with_capacity(count * SHAPE.volume());
    for &label in &labels {
        for row in 0..6 {
            for column in 0..6 {
                let bright = [column < 2, (2..4).contains(&column), row > 3][label as usize];
                let value = if bright { 190.0 } else { 50.0 } + 25.0 * rng.sample::<f64, _>(StandardNormal);
                pixels.push(value.clamp(0.0, 255.0) as u8);
            }
        }
    }
    let classes = ["left", "middle", "bottom"].map(str::to_owned).to_vec();
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values: labels, classes }).unwrap()
}

fn target(epsilon: f64) -> PrivacyTarget {
    PrivacyTarget { epsilon, delta: Delta::Auto, allow_large_delta: false }
}

fn reproducible(epsilon: f64) -> Protection {
    Protection { target: target(epsilon), unit: Unit::Image, noise: NoiseOrigin::Reproducible }
}

/// The methods that train a perceptron from latent vectors to images; every other one has tests of its own.
fn decoders() -> impl Iterator<Item = &'static Family> {
    ["vae", "dp-merf", "dp-ntk", "dp-mepf", "dp-kernel"].into_iter().map(|name| family(name).unwrap())
}

/// A small training of the family, with reproducible noise where it is private.
fn trained(name: &str, train: &ImageSet, seed: u64) -> Box<dyn Trained> {
    let family = family(name).unwrap();
    let protection = family.private.then(|| reproducible(2.0));
    let generator = (family.build)(&toml::from_str(options(name)).unwrap()).unwrap();
    generator.fit(train, Fit::new(Seed::new(seed), &Silent).protected(protection)).unwrap()
}

fn options(name: &str) -> &'static str {
    match name {
        "vae" => "hidden = [32, 32]\nleast_steps = 300\nepochs = 1.0\nlatent = 4",
        "dp-merf" => "hidden = [32, 32]\nsteps = 300\nfrequencies = 200\nlatent = 4",
        "dp-mepf" => "decoder = { hidden = [32, 32], steps = 300, latent = 4, batch_size = 30 }",
        "dp-ntk" => "units = 100\ndecoder = { hidden = [32, 32], steps = 300, latent = 4 }",
        _ => "private_batch = 100\ndecoder = { hidden = [32, 32], steps = 300, latent = 4, batch_size = 30 }",
    }
}

fn sample(trained: &dyn Trained, count: usize) -> ImageSet {
    trained.sample(&SampleRequest::new(count), Seed::new(5), &Silent).unwrap()
}

/// Mean image of each class.
fn class_means(set: &ImageSet) -> Vec<Vec<f64>> {
    let mean = |members: &Vec<usize>| -> Vec<f64> {
        let total = |pixel: usize| members.iter().map(|&image| f64::from(set.image(image)[pixel])).sum::<f64>();
        (0..set.shape().volume()).map(|pixel| total(pixel) / members.len() as f64).collect()
    };
    set.labels().unwrap().by_class().iter().map(mean).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// Share of test images whose nearest class mean of the synthetic images is that of their label.
fn nearest_mean_accuracy(synthetic: &ImageSet, test: &ImageSet) -> f64 {
    let means = class_means(synthetic);
    let right = (0..test.len()).filter(|&index| {
        let image: Vec<f64> = test.image(index).iter().map(|&value| f64::from(value)).collect();
        let near = |&a: &usize, &b: &usize| distance(&means[a], &image).total_cmp(&distance(&means[b], &image));
        (0..means.len()).min_by(near) == Some(test.labels().unwrap().values[index] as usize)
    });
    right.count() as f64 / test.len() as f64
}

/// Chance is a third.
#[test]
fn synthetic_images_teach_the_classes() {
    let (train, test) = (bars(600, 1), bars(300, 2));
    for family in decoders() {
        let accuracy = nearest_mean_accuracy(&sample(&*trained(family.name, &train, 1), 300), &test);
        assert!(accuracy > 0.95, "{}: {accuracy}", family.name);
    }
}

/// On real images, with the default options, against what the real images teach. Chance is 10 %.
#[test]
fn synthetic_digits_teach_digits() {
    let digits = standin_data::digits();
    let (train, test) =
        (digits.select(&(0..720).collect::<Vec<_>>()), digits.select(&(1200..1797).collect::<Vec<_>>()));
    let real = nearest_mean_accuracy(&train, &test);
    for (family, loss) in decoders().zip([0.05, 0.12, 0.12, 0.12, 0.12]) {
        let protection = || reproducible(10.0);
        let generator = (family.build)(&toml::Table::new()).unwrap();
        let trained =
            generator.fit(&train, Fit::new(Seed::new(1), &Silent).protected(family.private.then(protection))).unwrap();
        let accuracy = nearest_mean_accuracy(&sample(&*trained, 1000), &test);
        assert!(accuracy > real - loss, "{}: {accuracy}, real images {real}", family.name);
    }
}

/// The null of the test of the bars: with labels at random, all classes have one distribution.
#[test]
fn shuffled_labels_teach_no_difference() {
    let train = bars(600, 1);
    let mut rng = Seed::new(9).rng();
    let mut labels = train.labels().unwrap().clone();
    labels.values.iter_mut().for_each(|label| *label = rng.random_range(0..3));
    let shuffled = train.clone().with_labels(labels).unwrap();
    for family in decoders() {
        let separation = |train| {
            let means = class_means(&sample(&*trained(family.name, train, 1), 300));
            distance(&means[0], &means[1]).min(distance(&means[0], &means[2])).min(distance(&means[1], &means[2]))
        };
        let (with, without) = (separation(&train), separation(&shuffled));
        assert!(without < 0.4 * with, "{}: {without} with shuffled labels, {with} with true ones", family.name);
    }
}

#[test]
fn equal_seeds_give_equal_images_whatever_the_number_of_threads() {
    let train = bars(300, 1);
    for family in decoders() {
        let images = |seed, threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sample(&*trained(family.name, &train, seed), 600).digest())
        };
        let one = images(1, 1);
        assert_eq!(one, images(1, 2), "{} depends on threads", family.name);
        assert_ne!(one, images(2, 1), "{} ignores the seed", family.name);
    }
}

#[test]
fn a_small_request_gives_the_first_images_of_a_large_one() {
    let train = bars(300, 1);
    for family in decoders() {
        let trained = trained(family.name, &train, 1);
        let sample = |count, seed| {
            let request = SampleRequest::new(count).with_balance(Balance::Uniform);
            trained.sample(&request, Seed::new(seed), &Silent).unwrap()
        };
        let large = sample(700, 5);
        for count in [1, 255, 300] {
            let first: Vec<usize> = (0..count).collect();
            assert_eq!(sample(count, 5).digest(), large.select(&first).digest(), "{}: {count}", family.name);
        }
        assert_ne!(sample(300, 6).digest(), sample(300, 5).digest());
    }
}

#[test]
fn samples_carry_labels_in_the_balance_asked_for_and_say_where_they_come_from() {
    let train = bars(300, 1);
    for family in decoders() {
        let trained = trained(family.name, &train, 1);
        let balance = Balance::Shares([("left".to_owned(), 3.0), ("bottom".to_owned(), 1.0)].into());
        let sampled = trained.sample(&SampleRequest::new(40).with_balance(balance), Seed::new(5), &Silent).unwrap();
        let labels = sampled.labels().unwrap();
        assert_eq!(labels.classes, train.labels().unwrap().classes);
        assert_eq!(labels.by_class().iter().map(Vec::len).collect::<Vec<_>>(), [30, 0, 10]);
        assert_eq!(sampled.shape(), train.shape());
        let source = &sampled.provenance().source;
        assert!(source.contains(family.name) && source.contains("seed 5"), "{source}");
        assert_eq!(source.contains("NOT PRIVATE"), family.private, "{source}");
        assert_eq!(source.contains("no privacy guarantee"), !family.private, "{source}");
    }
}

/// Mean over pixels and classes of the variance among the images of a class.
fn variety(set: &ImageSet) -> f64 {
    let means = class_means(set);
    let labels = &set.labels().unwrap().values;
    let spread = |image: usize| -> f64 {
        let mean = &means[labels[image] as usize];
        set.image(image).iter().zip(mean).map(|(&value, mean)| (f64::from(value) - mean).powi(2)).sum()
    };
    (0..set.len()).map(spread).sum::<f64>() / set.pixels().len() as f64
}

#[test]
fn variety_grows_with_temperature_and_is_none_at_0() {
    let train = bars(300, 1);
    for family in decoders() {
        let trained = trained(family.name, &train, 1);
        let at = |temperature: f64| {
            let request = SampleRequest::new(300).with_temperature(temperature);
            trained.sample(&request, Seed::new(5), &Silent).unwrap()
        };
        let varieties: Vec<f64> = [0.0, 0.3, 0.6, 1.0, 2.0].map(|temperature| variety(&at(temperature))).to_vec();
        assert!(varieties.is_sorted_by(|a, b| a < b), "{}: {varieties:?}", family.name);
        assert_eq!(varieties[0], 0.0, "{}", family.name);
        assert_eq!(at(1.0).digest(), sample(&*trained, 300).digest());
        assert!(at(0.3).provenance().source.contains("at temperature 0.3"), "{}", at(0.3).provenance().source);
    }
}

#[test]
fn impossible_temperatures_are_refused() {
    let trained = trained("vae", &bars(30, 1), 1);
    for temperature in [-0.1, f64::NAN, f64::INFINITY] {
        let request = SampleRequest::new(3).with_temperature(temperature);
        let message = trained.sample(&request, Seed::new(5), &Silent).unwrap_err().to_string();
        assert!(message.contains("temperature") && message.contains("at least 0"), "{message}");
    }
}

#[test]
fn a_saved_generator_loads_to_the_same_images_and_guarantee() {
    let train = bars(300, 1);
    for family in decoders() {
        let trained = trained(family.name, &train, u64::MAX);
        let folder = tempfile::tempdir().unwrap();
        trained.save(folder.path()).unwrap();
        let loaded = load(folder.path()).unwrap();
        let (before, after) = (sample(&*trained, 50), sample(&*loaded, 50));
        assert_eq!(before.digest(), after.digest());
        assert_eq!(before.provenance(), after.provenance());
        assert_eq!(trained.guarantee(), loaded.guarantee());
        assert_eq!(trained.guarantee().is_some(), family.private);
    }
}

#[test]
fn a_damaged_or_foreign_folder_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let message = || load(folder.path()).unwrap_err().to_string();
    assert!(message().contains("generator.toml"), "{}", message());

    trained("vae", &bars(30, 1), 1).save(folder.path()).unwrap();
    let (weights, card) = (folder.path().join("generator.safetensors"), folder.path().join("generator.toml"));
    let (bytes, text) = (std::fs::read(&weights).unwrap(), std::fs::read_to_string(&card).unwrap());

    for length in [0, 7, bytes.len() - 1] {
        std::fs::write(&weights, &bytes[..length]).unwrap();
        assert!(message().contains("generator.safetensors"), "{}", message());
    }
    std::fs::write(&weights, &bytes).unwrap();

    for (from, to) in [
        ("family = \"vae\"", "family = \"gan\""),
        ("family = \"vae\"", "kin = \"vae\""),
        ("\"left\"", "\"left\", \"right\""),
        ("latent = 4", "latent = 0"),
        ("latent = 4", "latent = 5"),
        ("height = 6", "height = 7"),
    ] {
        let damaged = text.replace(from, to);
        assert_ne!(damaged, text, "the card has no `{from}`:\n{text}");
        std::fs::write(&card, damaged).unwrap();
        assert!(message().contains("generator.") || message().contains("`gan`"), "{to}: {}", message());
    }
}

#[test]
fn a_target_is_demanded_by_private_generators_and_refused_by_others() {
    let train = bars(30, 1);
    for family in decoders() {
        let generator = (family.build)(&toml::Table::new()).unwrap();
        let secret = || Protection { target: target(1.0), unit: Unit::Image, noise: NoiseOrigin::Secret };
        let wrong = (!family.private).then(secret);
        let message = generator.fit(&train, Fit::new(Seed::new(1), &Silent).protected(wrong)).unwrap_err().to_string();
        assert!(message.contains(family.name) && message.contains("epsilon"), "{message}");
    }
}

#[test]
fn sets_without_labels_or_images_are_refused() {
    for family in decoders() {
        let generator = (family.build)(&toml::Table::new()).unwrap();
        let secret = || Protection { target: target(1.0), unit: Unit::Image, noise: NoiseOrigin::Secret };
        let protection = || family.private.then(secret);
        let unlabelled = bars(30, 1).without_labels();
        let message = generator
            .fit(&unlabelled, Fit::new(Seed::new(1), &Silent).protected(protection()))
            .unwrap_err()
            .to_string();
        assert!(message.contains("labels"), "{message}");
        assert!(generator.fit(&bars(0, 1), Fit::new(Seed::new(1), &Silent).protected(protection())).is_err());
    }
}

/// The steps and the noise that a guarantee names, accounted again; the counts come before them.
#[test]
fn the_guarantee_of_many_releases_is_what_their_number_and_noise_cost() {
    let train = bars(300, 1);
    let trained = trained("dp-kernel", &train, 1);
    let guarantee = trained.guarantee().unwrap();
    let number = |after: &str| -> f64 {
        let (_, rest) = guarantee.mechanism.split_once(after).unwrap_or_else(|| panic!("{}", guarantee.mechanism));
        rest.split([',', ' ', ';']).next().unwrap().parse().unwrap()
    };
    let target = target(2.0).budget(300).unwrap();
    let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
    // A fiftieth of the budget: √50 times the noise that would spend all of it.
    let sigma = gaussian::sigma(target.epsilon, target.delta, 1.0).unwrap() * 50f64.sqrt();
    ledger.record(Event::NoisedHistogram { noise_multiplier: sigma }, 1).unwrap();
    let noise_multiplier = calibrate::noise_multiplier(target, 1.0 / 3.0, 300, &ledger).unwrap();
    ledger.record(Event::PoissonSubsampledGaussian { sampling_rate: 1.0 / 3.0, noise_multiplier }, 300).unwrap();
    assert_eq!(guarantee.epsilon, ledger.epsilon(target.delta).unwrap().high);
    assert!(guarantee.epsilon <= 2.0 && guarantee.epsilon > 1.99, "{}", guarantee.epsilon);
    assert!((number("histogram of noise multiplier ") / sigma - 1.0).abs() < 1e-4, "{}", guarantee.mechanism);
    assert!(guarantee.mechanism.contains("300"), "{}", guarantee.mechanism);
}

/// Secret noise, so that a release made twice would show.
#[test]
fn a_fit_that_is_stopped_goes_on_with_what_it_released() {
    let train = bars(300, 1);
    let folder = tempfile::tempdir().unwrap();
    for family in decoders().filter(|family| family.private) {
        let within = folder.path().join(family.name);
        std::fs::create_dir(&within).unwrap();
        let work = Work::new(&within, Duration::from_secs(600), None, "these images");
        let fit = || {
            let generator = (family.build)(&toml::from_str(options(family.name)).unwrap()).unwrap();
            let protection = Protection { target: target(2.0), unit: Unit::Image, noise: NoiseOrigin::Secret };
            let run = Fit { work: Some(&work), ..Fit::new(Seed::new(1), &Silent) };
            generator.fit(&train, run.protected(Some(protection))).unwrap()
        };
        let (first, again) = (fit(), fit());
        assert_eq!(sample(&*first, 50).digest(), sample(&*again, 50).digest(), "{}", family.name);
        assert_eq!(first.guarantee(), again.guarantee());
    }
}
