//! The vector-quantised autoencoder with a prior: it learns what codes go together in a class, continues where it stopped,
//! and survives the disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{ImageSet, Labels, Progress, Seed, Shape, Silent};
use standin_generate::{Fit, Generator, Protection, SampleRequest, Trained, Work, family, load};
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };

/// Each half of an image is bright or dark, as often as not. In the class "same" both halves are alike, in the class "other"
/// they differ: no pixel tells the classes apart, and neither do the means.
fn halves(count: usize, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let labels: Vec<u32> = (0..count as u32).map(|image| image % 2).collect();
    let mut pixels = Vec::with_capacity(count * SHAPE.volume());
    for &label in &labels {
        let left: bool = rng.random();
        let right = left != (label == 1);
        for at in 0..SHAPE.volume() {
            let bright = if at % 8 < 4 { left } else { right };
            let value = if bright { 190.0 } else { 50.0 } + 20.0 * rng.sample::<f64, _>(StandardNormal);
            pixels.push(value.clamp(0.0, 255.0) as u8);
        }
    }
    let classes = ["same", "other"].map(str::to_owned).to_vec();
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values: labels, classes }).unwrap()
}

/// Whether each half of an image is bright: on average nearer to 190 than to 50.
fn bright(image: &[u8]) -> [bool; 2] {
    [0..4, 4..8].map(|columns| {
        let values = (0..64).filter(|at| columns.contains(&(at % 8))).map(|at| u32::from(image[at]));
        values.sum::<u32>() > 32 * 120
    })
}

/// Share of images that keep the rule of their class, and share with a bright left half.
fn kept(set: &ImageSet) -> (f64, f64) {
    let labels = &set.labels().unwrap().values;
    let count = |holds: &dyn Fn(usize) -> bool| (0..set.len()).filter(|&image| holds(image)).count();
    let keeps = |image: usize| {
        let [left, right] = bright(set.image(image));
        (left != right) == (labels[image] == 1)
    };
    let of = set.len() as f64;
    (count(&keeps) as f64 / of, count(&|image| bright(set.image(image))[0]) as f64 / of)
}

/// Settings for seconds, with a grid of 4 × 4 codes.
fn options(steps: usize) -> toml::Table {
    toml::from_str(&format!(
        "autoencoder = {{ patch = 1, width = 8, codes = 16, dimension = 4, epochs = 0.01, least_steps = {steps}, \
         batch_size = 32 }}\n\
         prior = {{ width = 12, blocks = 3, training = {{ epochs = 0.01, least_steps = {steps}, batch_size = 32, \
         learning_rate = 5e-3, average_decay = 0.98 }} }}"
    ))
    .unwrap()
}

fn generator(options: &toml::Table) -> Box<dyn Generator> {
    (family("vqvae").unwrap().build)(options).unwrap()
}

fn fit(steps: usize, train: &ImageSet, seed: u64, work: Option<&Work>) -> Box<dyn Trained> {
    let run = Fit { work, ..Fit::new(Seed::new(seed), &Silent) };
    generator(&options(steps)).fit(train, run).unwrap()
}

fn sample(trained: &dyn Trained, count: usize) -> ImageSet {
    trained.sample(&SampleRequest::new(count), Seed::new(5), &Silent).unwrap()
}

/// Half of the images would keep the rule by chance.
#[test]
fn samples_keep_a_rule_between_distant_codes_that_only_the_class_decides() {
    let (share, left) = kept(&sample(&*fit(300, &halves(600, 1), 1, None), 400));
    assert!(share > 0.9, "{share} keep the rule");
    assert!((left - 0.5).abs() < 0.15, "{left} are bright at the left");
}

/// Labels at random leave nothing to keep: 400 images within four standard deviations of one half, with the images' own
/// imbalance beside.
#[test]
fn labels_at_random_teach_no_rule() {
    let train = halves(600, 1);
    let mut rng = Seed::new(9).rng();
    let mut labels = train.labels().unwrap().clone();
    labels.values.iter_mut().for_each(|label| *label = rng.random_range(0..2));
    let (share, _) = kept(&sample(&*fit(300, &train.with_labels(labels).unwrap(), 1, None), 400));
    assert!((share - 0.5).abs() < 0.15, "{share} keep the rule");
}

#[test]
fn equal_seeds_give_equal_images_whatever_the_number_of_threads() {
    let train = halves(200, 1);
    let images = |seed, threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sample(&*fit(20, &train, seed, None), 300).digest())
    };
    let one = images(1, 1);
    assert_eq!(one, images(1, 2));
    assert_ne!(one, images(2, 1));
}

#[test]
fn a_saved_generator_loads_to_the_same_images_and_a_small_request_gives_the_first_of_a_large_one() {
    let trained = fit(20, &halves(200, 1), u64::MAX, None);
    let folder = tempfile::tempdir().unwrap();
    trained.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    let large = sample(&*trained, 300);
    assert_eq!(sample(&*loaded, 300).digest(), large.digest());
    assert_eq!(sample(&*loaded, 300).provenance(), large.provenance());
    assert!(loaded.guarantee().is_none());
    for count in [1, 127, 200] {
        let first: Vec<usize> = (0..count).collect();
        assert_eq!(sample(&*loaded, count).digest(), large.select(&first).digest(), "{count}");
    }
}

#[test]
fn at_temperature_0_every_image_of_a_class_is_the_same() {
    let trained = fit(100, &halves(200, 1), 1, None);
    let different = |temperature: f64| {
        let request = SampleRequest::new(100).with_temperature(temperature);
        let set = trained.sample(&request, Seed::new(5), &Silent).unwrap();
        let mut images: Vec<&[u8]> = (0..100).step_by(2).map(|image| set.image(image)).collect();
        images.sort_unstable();
        images.dedup();
        images.len()
    };
    assert_eq!(different(0.0), 1);
    assert!(different(0.3) > 1 && different(0.3) <= different(1.0), "{} and {}", different(0.3), different(1.0));
    let request = SampleRequest { guidance: Some(2.0), ..SampleRequest::new(5) };
    let message = trained.sample(&request, Seed::new(5), &Silent).unwrap_err().to_string();
    assert!(message.contains("guidance") && message.contains("temperature"), "{message}");
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

/// Killed among the steps of the autoencoder, whose codebook is kept beside its weights, and among those of the prior.
#[test]
fn a_killed_fit_continues_as_if_it_had_not_been() {
    let train = halves(200, 1);
    let without = sample(&*fit(20, &train, 1, None), 30);
    for steps in [12, 33] {
        let folder = tempfile::tempdir().unwrap();
        let work = Work::new(folder.path(), Duration::ZERO, Some(10), "of the test");
        let killed = KilledAfter(AtomicUsize::new(steps));
        let run = Fit { work: Some(&work), ..Fit::new(Seed::new(1), &killed) };
        let attempt = AssertUnwindSafe(|| generator(&options(20)).fit(&train, run).map(drop));
        assert!(catch_unwind(attempt).is_err(), "{steps} steps were not the end");
        assert_eq!(sample(&*fit(20, &train, 1, Some(&work)), 30).digest(), without.digest(), "after {steps} steps");
        assert_eq!(sample(&*fit(20, &train, 1, Some(&work)), 30).digest(), without.digest(), "when it was over");
        assert!(folder.path().join("samples/prior-000020.png").exists());
    }
}

#[test]
fn images_of_any_shape_can_be_learnt() {
    for (channels, height, width) in [(3, 8, 8), (1, 1, 5), (3, 17, 30)] {
        let shape = Shape { channels, height, width };
        let mut rng = Seed::new(1).rng();
        let pixels = (0..12 * shape.volume()).map(|_| rng.random()).collect();
        let labels = Labels {
            values: (0..12).map(|image| image % 3).collect(),
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
        };
        let images = ImageSet::new(shape, pixels).unwrap().with_labels(labels).unwrap();
        assert_eq!(sample(&*fit(3, &images, 1, None), 5).shape(), shape);
    }
}

#[test]
fn protection_and_public_images_are_refused_and_labels_asked_for() {
    let train = halves(20, 1);
    let message = |train: &ImageSet, run: Fit<'_>| generator(&options(3)).fit(train, run).unwrap_err().to_string();
    let run = || Fit::new(Seed::new(1), &Silent);
    let target = PrivacyTarget { epsilon: 1.0, delta: Delta::Auto, allow_large_delta: false };
    let protection = Protection { target, unit: Unit::Image, noise: NoiseOrigin::Secret };
    let refused = message(&train, run().protected(Some(protection)));
    assert!(refused.contains("vqvae") && refused.contains("epsilon"), "{refused}");
    let refused = message(&train, Fit { public: Some(&train), ..run() });
    assert!(refused.contains("vqvae") && refused.contains("public"), "{refused}");
    assert!(message(&halves(20, 1).without_labels(), run()).contains("labels"));
    assert!(message(&halves(0, 1), run()).contains("no image"));
}

#[test]
fn options_outside_their_range_are_refused_by_name_and_value() {
    for (settings, words) in [
        ("autoencoder = { codes = 1 }", "autoencoder.codes is 1"),
        ("autoencoder = { codes = 65537 }", "autoencoder.codes is 65537"),
        ("autoencoder = { dimension = 0 }", "autoencoder.dimension is 0"),
        ("autoencoder = { patch = 0 }", "autoencoder.patch is 0"),
        ("autoencoder = { width = 0 }", "autoencoder.width is 0"),
        ("autoencoder = { commitment = -1.0 }", "autoencoder.commitment is -1"),
        ("autoencoder = { decay = 1.0 }", "autoencoder.decay is 1"),
        ("autoencoder = { epochs = 0.0 }", "autoencoder.epochs is 0"),
        ("autoencoder = { least_steps = 0 }", "autoencoder.least_steps is 0"),
        ("autoencoder = { batch_size = 0 }", "autoencoder.batch_size is 0"),
        ("autoencoder = { learning_rate = nan }", "autoencoder.learning_rate is NaN"),
        ("prior = { width = 0 }", "prior.width is 0"),
        ("prior = { blocks = 0 }", "prior.blocks is 0"),
        ("prior = { training = { batch_size = 0 } }", "batch_size of a training is 0"),
        ("prior = { layers = 3 }", "`layers`"),
    ] {
        let message = (family("vqvae").unwrap().build)(&toml::from_str(settings).unwrap()).unwrap_err().to_string();
        assert!(message.contains("`vqvae`") && message.contains(words), "{settings}: {message}");
    }
}

#[test]
fn a_damaged_folder_is_an_error_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    fit(3, &halves(20, 1), 1, None).save(folder.path()).unwrap();
    let card = folder.path().join("generator.toml");
    let text = std::fs::read_to_string(&card).unwrap();
    let at = text.find("[architecture").expect("the card has an architecture");
    for (from, to) in [
        ("codes = 16", "codes = 17"),
        ("classes = 2", "classes = 3"),
        ("blocks = 3", "blocks = 0"),
        ("channels = 4", "channels = 5"),
        ("plane = 1", "plane = 4"),
        ("height = 8", "height = 9"),
        ("patch = 1", "patch = 0"),
    ] {
        let damaged = text[at..].replace(from, to);
        assert_ne!(damaged, text[at..], "the card has no `{from}`:\n{text}");
        std::fs::write(&card, format!("{}{damaged}", &text[..at])).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(message.contains("generator."), "{to}: {message}");
    }
}
