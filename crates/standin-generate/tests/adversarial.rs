//! Adversarial and distilling methods: they learn, promise what ran, continue where they stopped, and survive the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{Column, ImageSet, Labels, Progress, Seed, Shape, Silent};
use standin_generate::{Fit, Protection, SampleRequest, Trained, Work, family, load};
use standin_privacy::{Adjacency, Delta, Event, Ledger, NoiseOrigin, PrivacyTarget, Unit, calibrate};

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };

/// Three classes of a bright bar at the left, in the middle or at the bottom, with noise.
fn bars(count: usize, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let labels: Vec<u32> = (0..count as u32).map(|image| image % 3).collect();
    let mut pixels = Vec::with_capacity(count * SHAPE.volume());
    for &label in &labels {
        for at in 0..SHAPE.volume() {
            let (row, column) = (at / 8, at % 8);
            let bright = [column < 3, (3..6).contains(&column), row > 4][label as usize];
            let value = if bright { 190.0 } else { 50.0 } + 25.0 * rng.sample::<f64, _>(StandardNormal);
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    let classes = ["left", "middle", "bottom"].map(str::to_owned).to_vec();
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values: labels, classes }).unwrap()
}

/// Each family with options for seconds, and the least accuracy its images of the bars must teach; chance is a third.
const SMALL: &[(&str, &str, f64)] = &[
    ("gan", "least_steps = 300\nwidth = 8\nlatent = 8\nepochs = 1.0\nbatch_size = 32", 0.9),
    (
        "gan",
        "regularisation = \"gradient-penalty\"\nleast_steps = 300\nwidth = 8\nlatent = 8\nepochs = 1.0\nbatch_size = 32",
        0.9,
    ),
    ("gan", "regularisation = \"r1\"\nleast_steps = 600\nwidth = 8\nlatent = 8\nepochs = 1.0\nbatch_size = 32", 0.9),
    (
        "dp-gan",
        "steps = 400\nwidth = 8\nlatent = 8\ndiscriminator_width = 8\nbatch_size = 100\ndiscriminator_steps = 2\n\
         recognition_floor = 0.0\ndiscriminator_rate = 5e-3\ngenerator_rate = 1e-3\naverage_decay = 0.98",
        0.8,
    ),
    ("stylegan", "least_steps = 500\nwidth = 8\nlatent = 8\nstyle = 16\nepochs = 1.0\nbatch_size = 32", 0.9),
    (
        "gs-wgan",
        "steps = 200\nwidth = 8\nlatent = 8\nsubsets = 40\ncritic_width = 4\ncritic_batch = 10\nfrequencies = 5\nsampling_rate = 0.3\n\
         generator_rate = 3e-3\ncritic_rate = 2e-3",
        0.7,
    ),
    ("distribution-matching", "images_per_class = 5\nwidth = 8\nsteps = 100\nbatch_size = 50", 0.95),
    (
        "distribution-matching",
        "images_per_class = 5\nwidth = 8\nsteps = 100\nbatch_size = 50\nstart_from_real = true",
        0.95,
    ),
    ("dp-distillation", "images_per_class = 5\nwidth = 16\nsteps = 200\nnetworks = 20", 0.9),
    (
        "gan",
        "privacy_game.generators = 3\nleast_steps = 300\nwidth = 8\nlatent = 8\nepochs = 1.0\nbatch_size = 32",
        0.9,
    ),
];

fn protection(epsilon: f64, unit: Unit) -> Protection {
    let target = PrivacyTarget { epsilon, delta: Delta::Value(1e-4), allow_large_delta: false };
    Protection { target, unit, noise: NoiseOrigin::Reproducible }
}

/// Enough for 600 images. The noise of gs-wgan is on every coefficient of every generated image, and drowns the bars at 8.
fn epsilon(name: &str) -> f64 {
    if name == "gs-wgan" { 100.0 } else { 8.0 }
}

fn fit(name: &str, options: &str, train: &ImageSet, work: Option<&Work>) -> Box<dyn Trained> {
    let family = family(name).unwrap();
    let generator = (family.build)(&toml::from_str(options).unwrap()).unwrap();
    let protected = family.private.then(|| protection(epsilon(name), Unit::Image));
    let run = Fit { work, ..Fit::new(Seed::new(1), &Silent).protected(protected) };
    generator.fit(train, run).unwrap()
}

fn sample(trained: &dyn Trained, count: usize) -> ImageSet {
    trained.sample(&SampleRequest::new(count), Seed::new(5), &Silent).unwrap()
}

/// Share of test images whose nearest class mean of the synthetic images is that of their label.
fn nearest_mean_accuracy(synthetic: &ImageSet, test: &ImageSet) -> f64 {
    let volume = test.shape().volume();
    let mean = |members: &Vec<usize>| -> Vec<f64> {
        let total = |pixel: usize| members.iter().map(|&image| f64::from(synthetic.image(image)[pixel])).sum::<f64>();
        (0..volume).map(|pixel| total(pixel) / members.len() as f64).collect()
    };
    let means: Vec<Vec<f64>> = synthetic.labels().unwrap().by_class().iter().map(mean).collect();
    let distance = |mean: &[f64], image: &[u8]| -> f64 {
        mean.iter().zip(image).map(|(mean, &value)| (mean - f64::from(value)).powi(2)).sum()
    };
    let right = (0..test.len()).filter(|&index| {
        let image = test.image(index);
        let near = |&a: &usize, &b: &usize| distance(&means[a], image).total_cmp(&distance(&means[b], image));
        (0..means.len()).min_by(near) == Some(test.labels().unwrap().values[index] as usize)
    });
    right.count() as f64 / test.len() as f64
}

#[test]
fn synthetic_images_teach_the_classes() {
    let (train, test) = (bars(600, 1), bars(300, 2));
    for (name, options, least) in SMALL {
        let accuracy = nearest_mean_accuracy(&sample(&*fit(name, options, &train, None), 300), &test);
        assert!(accuracy >= *least, "{name} {options}: {accuracy}");
    }
}

/// The bars are 140 levels brighter than the rest; images of no class in particular would differ by nothing.
#[test]
fn labels_at_random_teach_no_difference() {
    let (train, test) = (bars(600, 1), bars(300, 2));
    let mut rng = Seed::new(9).rng();
    let mut labels = train.labels().unwrap().clone();
    labels.values.iter_mut().for_each(|label| *label = rng.random_range(0..3));
    let shuffled = train.with_labels(labels).unwrap();
    let contrast = |set: &ImageSet| {
        let labels = set.labels().unwrap().by_class();
        let left = |members: &Vec<usize>| {
            let bar = |&image: &usize| (0..64).filter(|at| at % 8 < 3).map(move |at| (image, at));
            let total: f64 = members.iter().flat_map(bar).map(|(image, at)| f64::from(set.image(image)[at])).sum();
            total / (24 * members.len()) as f64
        };
        let means: Vec<f64> = labels.iter().map(left).collect();
        means.iter().copied().fold(f64::MIN, f64::max) - means.iter().copied().fold(f64::MAX, f64::min)
    };
    let of_test = contrast(&test);
    for (name, options, _) in [SMALL[0], SMALL[3], SMALL[6], SMALL[8]] {
        let found = contrast(&sample(&*fit(name, options, &shuffled, None), 300));
        assert!(found < 0.4 * of_test, "{name}: {found} of {of_test}");
    }
}

#[test]
fn the_number_of_threads_changes_nothing_and_neither_does_the_disk() {
    let train = bars(300, 1);
    for (name, options, _) in SMALL {
        let of_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(name, &shortened(options), &train, None))
        };
        let (one, two) = (of_threads(1), of_threads(2));
        assert_eq!(sample(&*one, 70).digest(), sample(&*two, 70).digest(), "{name} {options}");
        let folder = tempfile::tempdir().unwrap();
        one.save(folder.path()).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!(sample(&*loaded, 70).digest(), sample(&*one, 70).digest(), "{name}");
        assert_eq!(loaded.guarantee(), one.guarantee());
        assert_eq!(sample(&*loaded, 20).pixels(), &sample(&*one, 70).pixels()[..20 * SHAPE.volume()], "{name}");
    }
}

/// The same options with at most 20 steps.
fn shortened(options: &str) -> String {
    let line = |line: &str| match line.split_once(" = ") {
        Some((name @ ("least_steps" | "steps"), _)) => format!("{name} = 20"),
        Some(("epochs", _)) => "epochs = 0.01".to_owned(),
        _ => line.to_owned(),
    };
    options.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Ends the process, as far as the fit can tell, after so many steps.
#[derive(Debug)]
struct KilledAfter(AtomicUsize);

impl Progress for KilledAfter {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, amount: u64) {
        let left = self.0.fetch_sub(amount as usize, Ordering::Relaxed);
        assert!(left > amount as usize, "killed");
    }
    fn status(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}

#[test]
fn a_killed_fit_continues_as_if_it_had_not_been() {
    let train = bars(300, 1);
    for (name, options, _) in [SMALL[0], SMALL[1], SMALL[3], SMALL[4], SMALL[5], SMALL[6], SMALL[8], SMALL[9]] {
        let options = shortened(options);
        let folder = tempfile::tempdir().unwrap();
        let work = Work::new(folder.path(), Duration::ZERO, None, "of the test");
        let family = family(name).unwrap();
        let generator = (family.build)(&toml::from_str(&options).unwrap()).unwrap();
        let protected = || family.private.then(|| protection(epsilon(name), Unit::Image));
        let killed = KilledAfter(AtomicUsize::new(if name == "dp-distillation" { 32 } else { 12 }));
        let run = Fit { work: Some(&work), ..Fit::new(Seed::new(1), &killed).protected(protected()) };
        assert!(catch_unwind(AssertUnwindSafe(|| generator.fit(&train, run).map(drop))).is_err(), "{name}");
        let resumed = fit(name, &options, &train, Some(&work));
        let without = fit(name, &options, &train, None);
        assert_eq!(sample(&*resumed, 30).digest(), sample(&*without, 30).digest(), "{name}");
        assert_eq!(resumed.guarantee(), without.guarantee(), "{name}");
    }
}

#[test]
fn a_fit_that_is_over_is_not_run_again() {
    let train = bars(300, 1);
    for (name, options, _) in SMALL {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::new(folder.path(), Duration::from_secs(3600), Some(10), "of the test");
        let options = shortened(options);
        let first = fit(name, &options, &train, Some(&work));
        let again = fit(name, &options, &train, Some(&work));
        let without = fit(name, &options, &train, None);
        assert_eq!(sample(&*again, 30).digest(), sample(&*first, 30).digest(), "{name}");
        assert_eq!(sample(&*without, 30).digest(), sample(&*first, 30).digest(), "{name}");
        assert_eq!(again.guarantee(), first.guarantee(), "{name}");
    }
}

#[test]
fn protection_is_asked_of_private_methods_and_refused_by_others() {
    let train = bars(60, 1);
    for (name, options, _) in SMALL {
        let family = family(name).unwrap();
        let generator = (family.build)(&toml::from_str(options).unwrap()).unwrap();
        let wrong = (!family.private).then(|| protection(1.0, Unit::Image));
        let message = generator.fit(&train, Fit::new(Seed::new(1), &Silent).protected(wrong)).unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        let right = family.private.then(|| protection(1.0, Unit::Image));
        let public = Fit { public: Some(&train), ..Fit::new(Seed::new(1), &Silent).protected(right) };
        assert!(generator.fit(&train, public).unwrap_err().to_string().contains("public"), "{name}");
    }
}

#[test]
fn distillation_starts_from_training_images_only_when_asked() {
    let train = bars(60, 1);
    let shares = |real: bool| {
        let options =
            format!("images_per_class = 5\nwidth = 8\nsteps = 1\nlearning_rate = 1e-9\nstart_from_real = {real}");
        let drawn = sample(&*fit("distribution-matching", &options, &train, None), 15);
        let known = |index: &usize| (0..60).any(|of| train.image(of) == drawn.image(*index));
        (0..15).filter(known).count()
    };
    assert_eq!((shares(true), shares(false)), (15, 0));
}

#[test]
fn truncation_brings_images_nearer_to_each_other_and_other_controls_are_refused() {
    let train = bars(300, 1);
    let trained = fit("stylegan", &shortened(SMALL[4].1), &train, None);
    let spread = |truncation: f64| {
        let request = SampleRequest { truncation: Some(truncation), ..SampleRequest::new(60) };
        let set = trained.sample(&request, Seed::new(3), &Silent).unwrap();
        let members = set.labels().unwrap().by_class();
        let mean = |at: usize| members[0].iter().map(|&i| f64::from(set.image(i)[at])).sum::<f64>() / 20.0;
        let variance = |at: usize| {
            let mean = mean(at);
            members[0].iter().map(|&i| (f64::from(set.image(i)[at]) - mean).powi(2)).sum::<f64>()
        };
        (0..SHAPE.volume()).map(variance).sum::<f64>()
    };
    let (none, half, whole) = (spread(0.0), spread(0.5), spread(1.0));
    assert!(none < half && half < whole, "{none} {half} {whole}");
    let request = SampleRequest::new(5).with_temperature(0.5);
    assert!(trained.sample(&request, Seed::new(3), &Silent).unwrap_err().to_string().contains("truncation"));
}

/// A generator that learns to leave its latent values aside draws one image of each class, which teaches the classes well enough.
#[test]
fn images_of_a_class_differ_as_real_ones_do() {
    let digits = standin_data::digits();
    let spread = |set: &ImageSet| {
        let of_class = |members: &Vec<usize>| -> f64 {
            let count = members.len() as f64;
            let variance = |pixel: usize| {
                let values = || members.iter().map(|&image| f64::from(set.image(image)[pixel]));
                let mean = values().sum::<f64>() / count;
                values().map(|value| (value - mean).powi(2)).sum::<f64>() / count
            };
            (0..set.shape().volume()).map(variance).sum()
        };
        set.labels().unwrap().by_class().iter().map(of_class).sum::<f64>()
    };
    let options = "width = 8\nlatent = 8\nbatch_size = 32\nepochs = 1.0\nleast_steps = 1500";
    for (name, more) in [("gan", ""), ("stylegan", "\nstyle = 16")] {
        let trained = fit(name, &format!("{options}{more}"), &digits, None);
        let share = spread(&sample(&*trained, 500)) / spread(&digits);
        assert!((0.2..2.0).contains(&share), "{name}: {share} of the real images' variance");
    }
}

/// ε from ledgers filled by hand with what the options say ran.
#[test]
fn releases_are_charged_as_derived() {
    let train = bars(600, 1);
    let budget = protection(8.0, Unit::Image).target.budget(600).unwrap();
    let empty = || Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);

    // Whole subsets, at ε/2 and δ/(1 + e^(ε/2)), twice.
    let generator = (family("gs-wgan").unwrap().build)(&toml::from_str(&shortened(SMALL[5].1)).unwrap()).unwrap();
    let run = Fit::new(Seed::new(1), &Silent).protected(Some(protection(8.0, Unit::Image)));
    let found = generator.fit(&train, run).unwrap().guarantee().unwrap().clone();
    let delta = budget.delta / (1.0 + 4f64.exp());
    let halved = standin_privacy::Budget { epsilon: 4.0, delta };
    let noise_multiplier = calibrate::noise_multiplier(halved, 0.3, 20, &empty()).unwrap();
    let mut ledger = empty();
    ledger.record(Event::PoissonSubsampledGaussian { sampling_rate: 0.3, noise_multiplier }, 20).unwrap();
    assert_eq!(found.epsilon, 2.0 * ledger.epsilon(delta).unwrap().high);
    assert_eq!(found.delta, budget.delta);

    // Counts and twenty networks, one Gaussian together.
    let found = fit("dp-distillation", &shortened(SMALL[8].1), &train, None).guarantee().unwrap().clone();
    let sigma = standin_privacy::gaussian::sigma(8.0, budget.delta, 1.0).unwrap();
    let mut ledger = empty();
    ledger.record(Event::Gaussian { noise_multiplier: sigma / 0.02f64.sqrt() }, 1).unwrap();
    ledger.record(Event::Gaussian { noise_multiplier: sigma * (20.0 / 0.98f64).sqrt() }, 20).unwrap();
    let expected = ledger.epsilon(budget.delta).unwrap().high;
    assert!((found.epsilon / expected - 1.0).abs() < 1e-5, "{} for {expected}", found.epsilon);
    assert!(found.epsilon <= 8.0);
}

/// ε from a ledger filled by hand with what the options say ran.
#[test]
fn the_discriminator_is_charged_once_a_step_and_nothing_else_is() {
    let train = bars(600, 1);
    let options = shortened(SMALL[3].1);
    let guarantee = fit("dp-gan", &options, &train, None).guarantee().unwrap().clone();
    assert_eq!((&guarantee.unit, guarantee.adjacency), (&Unit::Image, Adjacency::AddRemove));
    assert!(!guarantee.holds(), "reproducible noise protects nobody");
    let budget = protection(8.0, Unit::Image).target.budget(600).unwrap();
    let mut ledger = Ledger::new(Unit::Image, Adjacency::AddRemove, NoiseOrigin::Reproducible);
    let (sampling_rate, steps) = (100.0 / 600.0, 20);
    let noise_multiplier = calibrate::noise_multiplier(budget, sampling_rate, steps, &ledger).unwrap();
    ledger.record(Event::PoissonSubsampledGaussian { sampling_rate, noise_multiplier }, steps).unwrap();
    let expected = ledger.epsilon(budget.delta).unwrap().high;
    assert_eq!(guarantee.epsilon, expected);
    assert!(expected <= 8.0 && expected > 7.9, "{expected}");
}

#[test]
fn a_person_with_several_images_is_one_unit() {
    let people = (0..300).map(|image| format!("person {}", image % 60)).collect();
    let train = bars(300, 1).with_column(Column { name: "person".into(), values: people }).unwrap();
    let unit = Unit::Group("person".into());
    let generator = (family("dp-gan").unwrap().build)(&toml::from_str(&shortened(SMALL[3].1)).unwrap()).unwrap();
    let run = Fit::new(Seed::new(1), &Silent).protected(Some(protection(8.0, unit.clone())));
    let trained = generator.fit(&train, run).unwrap();
    let guarantee = trained.guarantee().unwrap();
    assert_eq!(guarantee.unit, unit);
    assert!(guarantee.sampler.contains("0.25"), "a quarter of the people at most: {}", guarantee.sampler);
}
