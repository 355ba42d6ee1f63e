//! Private training of every network: what it learns, what it promises, and what it refuses.

use standin_classify::{Answers, CLASSIFIERS, Error, TrainedClassifier, family, load};
use standin_data::{Column, ImageSet, Labels, Seed, Shape, Silent};
use standin_privacy::{Adjacency, NoiseOrigin, Unit};

/// Three classes that hardly overlap: a bright square in one of three corners, on noise.
fn squares(n: usize, seed: u64) -> ImageSet {
    use rand::RngExt;
    let mut rng = Seed::new(seed).rng();
    let labels: Vec<u32> = (0..n as u32).map(|index| index % 3).collect();
    let mut pixels = Vec::with_capacity(n * 100);
    for &label in &labels {
        let (top, left) = [(0, 0), (0, 6), (6, 3)][label as usize];
        for at in 0..100 {
            let inside = (top..top + 4).contains(&(at / 10)) && (left..left + 4).contains(&(at % 10));
            pixels.push(rng.random_range(0..60u8) + if inside { 150 } else { 0 });
        }
    }
    let classes = (0..3).map(|class| format!("class {class}")).collect();
    let set = ImageSet::new(Shape { channels: 1, height: 10, width: 10 }, pixels).unwrap();
    set.with_labels(Labels { values: labels, classes }).unwrap()
}

fn with_patients(images: ImageSet, of: impl Fn(usize) -> String) -> ImageSet {
    let values = (0..images.len()).map(of).collect();
    images.with_column(Column { name: "patient".into(), values }).unwrap()
}

/// Settings that train in a fraction of a second; `more` stands before the first table.
fn small(name: &str, more: &str, privacy: &str) -> toml::Table {
    let network = match name {
        "cnn" | "scattering-cnn" => "channels = 8\nhidden = 32",
        "scattering-logistic" => "",
        "wide-resnet-28-10" => "channels = 1\nnorm_groups = 2",
        _ => "channels = 4\nnorm_groups = 2",
    };
    let recipe = "epochs = 1\nfewest_steps = 30\nbatch_size = 60";
    toml::from_str(&format!("{network}\n{recipe}\n{more}\n[privacy]\nnoise = \"reproducible\"\n{privacy}")).unwrap()
}

fn fitted(name: &str, more: &str, privacy: &str, train: &ImageSet) -> Result<Box<dyn TrainedClassifier>, Error> {
    (family(name)?.build)(&small(name, more, privacy))?.fit(train, Seed::new(1), &Silent)
}

fn networks() -> impl Iterator<Item = &'static str> {
    CLASSIFIERS.iter().map(|family| family.name).filter(|name| *name != "logistic")
}

/// At ε = 50 noise hardly matters, and each network must learn; its guarantee says what ran.
#[test]
fn every_network_learns_privately_and_says_what_it_promises() {
    let (train, test) = (squares(240, 1), squares(150, 2));
    for name in networks() {
        let rate = if matches!(name, "cnn" | "scattering-cnn" | "scattering-logistic") { 1.0 } else { 0.5 };
        let more = format!("learning_rate = {rate}\naverage_decay = 0.5");
        let trained = fitted(name, &more, "epsilon = 50.0\ndelta = 1e-3", &train).unwrap();
        let accuracy = Answers::of(&*trained, &test).unwrap().accuracy().value;
        assert!(accuracy > 0.9, "{name}: {accuracy}");
        let guarantee = trained.guarantee().unwrap();
        assert!(guarantee.epsilon <= 50.0 && guarantee.epsilon > 45.0, "{name}: {}", guarantee.epsilon);
        assert_eq!((guarantee.delta, &guarantee.unit), (1e-3, &Unit::Image));
        assert_eq!((guarantee.adjacency, guarantee.noise), (Adjacency::AddRemove, NoiseOrigin::Reproducible));
        let statement = guarantee.statement();
        for part in ["NOT PRIVATE", "Poisson, rate 0.25", "names of the classes", "number of units"] {
            assert!(statement.contains(part), "{name}: `{part}` is missing in {statement}");
        }
    }
}

/// At ε = 0.01 with 60 images a step's noise is a thousand times what one image adds: 1 500 answers at chance 1/3 on
/// classes that the same network tells apart at ε = 50. A network that has learnt nothing may favour one class, which
/// balanced classes turn into exactly a third.
#[test]
fn a_tiny_budget_teaches_nothing() {
    let trained = fitted("cnn", "learning_rate = 0.1", "epsilon = 0.01\ndelta = 1e-3", &squares(240, 1)).unwrap();
    let accuracy = Answers::of(&*trained, &squares(1500, 2)).unwrap().accuracy().value;
    assert!(accuracy < 0.75, "{accuracy}");
}

#[test]
fn a_saved_guarantee_is_loaded_and_belongs_to_its_weights() {
    let train = squares(120, 1);
    let folder = tempfile::tempdir().unwrap();
    let trained = fitted("cnn", "", "epsilon = 3.0\ndelta = 1e-3", &train).unwrap();
    trained.save(folder.path()).unwrap();
    let loaded = load(folder.path()).unwrap();
    assert_eq!(loaded.guarantee(), trained.guarantee());
    assert_eq!(loaded.logits(&train).unwrap(), trained.logits(&train).unwrap());

    let other = tempfile::tempdir().unwrap();
    let unprotected: toml::Table = toml::from_str("channels = 8\nhidden = 32\nfewest_steps = 5\nepochs = 0.1").unwrap();
    let unprotected = (family("cnn").unwrap().build)(&unprotected).unwrap();
    let unprotected = unprotected.fit(&train, Seed::new(1), &Silent).unwrap();
    assert_eq!(unprotected.guarantee(), None);
    unprotected.save(other.path()).unwrap();
    std::fs::copy(folder.path().join("classifier.toml"), other.path().join("classifier.toml")).unwrap();
    let message = load(other.path()).err().expect("another network's guarantee").to_string();
    assert!(message.contains("classifier.toml") && message.contains("other weights"), "{message}");
}

#[test]
fn all_images_of_a_patient_are_one_unit() {
    let train = with_patients(squares(240, 1), |image| format!("patient {}", image % 80));
    let privacy = "epsilon = 20.0\ndelta = 1e-3\nunit = { group = \"patient\" }";
    let trained = fitted("cnn", "", privacy, &train).unwrap();
    let guarantee = trained.guarantee().unwrap();
    assert_eq!(guarantee.unit, Unit::Group("patient".into()));
    assert!(guarantee.sampler.contains("0.75"), "60 of 80 patients a step: {}", guarantee.sampler);

    let some = with_patients(squares(240, 1), |image| if image == 7 { String::new() } else { "p".into() });
    let message = fitted("cnn", "", privacy, &some).err().expect("an image of nobody").to_string();
    assert!(message.contains("patient") && message.contains("image 7"), "{message}");
    let message = fitted("cnn", "", privacy, &squares(240, 1)).err().expect("no column").to_string();
    assert!(message.contains("patient"), "{message}");
}

/// Sums of gradients in another order: f32 leaves about 1e-6 a step, and 30 steps at a rate of 1 enlarge it.
#[test]
fn rows_per_pass_and_threads_change_nothing() {
    let train = squares(240, 1);
    let logits = |threads: usize, rows: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let privacy = format!("epsilon = 20.0\ndelta = 1e-3\nmultiplicity = 2\nphysical_batch = {rows}");
        let more = "learning_rate = 1.0\naugmentation = { crop = 1 }";
        pool.install(|| fitted("cnn", more, &privacy, &train).unwrap().logits(&train).unwrap())
    };
    let whole = logits(1, 1000);
    assert_eq!(logits(2, 1000), whole);
    for (one, other) in logits(1, 7).values().iter().zip(whole.values()) {
        assert!((one - other).abs() < 1e-3 * whole.values().iter().fold(1.0, |most, v| v.abs().max(most)));
    }
}

#[test]
fn more_units_a_step_than_there_are_means_all_of_them() {
    let trained = fitted("cnn", "", "epsilon = 20.0\ndelta = 1e-2", &squares(48, 1)).unwrap();
    assert_eq!(trained.guarantee().unwrap().sampler, "Poisson, rate 1");
}

#[test]
fn budgets_that_cannot_be_had_are_refused_in_words() {
    let train = squares(60, 1);
    let refused = |privacy: &str| fitted("cnn", "", privacy, &train).err().expect("refused").to_string();
    let message = refused("epsilon = 1.0\ndelta = 0.5");
    assert!(message.contains("0.5") && message.contains("60"), "{message}");
    let message = refused("epsilon = 1e-9\ndelta = 1e-12");
    assert!(message.contains("ε") || message.contains("epsilon"), "{message}");
}

/// Secret noise is another each time, whatever the seed.
#[test]
fn secret_noise_cannot_be_repeated() {
    let train = squares(60, 1);
    let mut table = small("cnn", "", "epsilon = 3.0\ndelta = 1e-3");
    table["privacy"].as_table_mut().unwrap().remove("noise");
    let cnn = (family("cnn").unwrap().build)(&table).unwrap();
    let trained = || cnn.fit(&train, Seed::new(1), &Silent).unwrap();
    let (one, other) = (trained(), trained());
    assert_ne!(one.logits(&train).unwrap(), other.logits(&train).unwrap());
    assert!(one.guarantee().unwrap().holds());
}
