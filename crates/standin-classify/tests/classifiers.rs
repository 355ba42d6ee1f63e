//! Every family in the table: what it must learn, what it must not find, and what it says when it cannot.

use std::path::Path;

use standin_classify::{Answers, CLASSIFIERS, Classifier, Error, TrainedClassifier, family, load};
use standin_data::{ImageSet, Labels, Seed, Shape, Silent};

fn labelled(shape: Shape, pixels: Vec<u8>, values: Vec<u32>, classes: usize) -> ImageSet {
    let classes = (0..classes).map(|class| format!("class {class}")).collect();
    ImageSet::new(shape, pixels).unwrap().with_labels(Labels { values, classes }).unwrap()
}

/// A bright 4 × 4 square in one of three corners, on noise: linearly separable by far.
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
    labelled(Shape { channels: 1, height: 10, width: 10 }, pixels, labels, 3)
}

fn with_values(images: &ImageSet, values: Vec<u32>) -> ImageSet {
    let classes = images.labels().unwrap().classes.clone();
    images.clone().with_labels(Labels { values, classes }).unwrap()
}

/// Small settings, so that each training takes a fraction of a second.
fn small(name: &str) -> Box<dyn Classifier> {
    let settings = match name {
        "cnn" | "scattering-cnn" => "fewest_steps = 60\nchannels = 8\nhidden = 32\nbatch_size = 32",
        "logistic" => "",
        "scattering-logistic" => "fewest_steps = 100\nepochs = 1",
        // The widest has ten times this many channels.
        "wide-resnet-28-10" => "channels = 1\nnorm_groups = 2\nfewest_steps = 60\nepochs = 1\nbatch_size = 32",
        _ => "channels = 4\nnorm_groups = 2\nfewest_steps = 40\nepochs = 1\nbatch_size = 32",
    };
    (family(name).unwrap().build)(&toml::from_str(settings).unwrap()).unwrap()
}

fn fitted(name: &str, train: &ImageSet, seed: u64) -> Box<dyn TrainedClassifier> {
    small(name).fit(train, Seed::new(seed), &Silent).unwrap()
}

#[test]
fn separable_classes_are_told_apart() {
    for family in CLASSIFIERS {
        let answers = Answers::of(&*fitted(family.name, &squares(240, 1), 1), &squares(150, 2)).unwrap();
        assert_eq!(answers.accuracy().value, 1.0, "{}", family.name);
    }
}

/// Labels drawn without regard to the images, for training and for the test: 1 500 answers at chance 1/3, whose share is
/// within four standard errors, 0.049.
#[test]
fn shuffled_labels_leave_chance() {
    use rand::RngExt;
    let shuffled = |images: ImageSet, seed| {
        let mut rng = Seed::new(seed).rng();
        let values = (0..images.len()).map(|_| rng.random_range(0..3)).collect();
        with_values(&images, values)
    };
    let (train, test) = (shuffled(squares(240, 1), 3), shuffled(squares(1500, 2), 4));
    for family in CLASSIFIERS {
        let accuracy = Answers::of(&*fitted(family.name, &train, 1), &test).unwrap().accuracy().value;
        assert!((accuracy - 1.0 / 3.0).abs() < 0.049, "{}: {accuracy}", family.name);
    }
}

#[test]
fn equal_seeds_give_equal_logits_on_any_number_of_threads() {
    let (train, test) = (squares(120, 1), squares(600, 2));
    for family in CLASSIFIERS {
        let logits = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fitted(family.name, &train, seed).logits(&test).unwrap())
        };
        assert_eq!(logits(1, 5), logits(2, 5), "{}", family.name);
        if family.name == "cnn" {
            assert_ne!(logits(1, 5), logits(1, 6));
        }
    }
}

#[test]
fn a_saved_classifier_answers_as_before() {
    let (train, test) = (squares(120, 1), squares(30, 2));
    for family in CLASSIFIERS {
        let folder = tempfile::tempdir().unwrap();
        let trained = fitted(family.name, &train, 1);
        trained.save(folder.path()).unwrap();
        let loaded = load(folder.path()).unwrap();
        assert_eq!(loaded.logits(&test).unwrap(), trained.logits(&test).unwrap());
        assert_eq!(loaded.classes(), trained.classes());
    }
}

fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn damage_is_found_and_the_file_named() {
    for (name, file) in [("cnn", "cnn.safetensors"), ("cnn", "cnn.toml"), ("logistic", "logistic.toml")] {
        let folder = tempfile::tempdir().unwrap();
        fitted(name, &squares(60, 1), 1).save(folder.path()).unwrap();
        let path = folder.path().join(file);
        if file.ends_with("toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(&path, text.replacen("classes", "klasses", 1)).unwrap();
        } else {
            damage(&path);
        }
        let message = load(folder.path()).err().expect("damage is found").to_string();
        assert!(message.contains(file), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(load(folder.path()).err().unwrap().to_string().contains("classifier.toml"));
}

#[test]
fn what_cannot_be_learnt_is_refused_in_words() {
    let train = squares(60, 1);
    for family in CLASSIFIERS {
        let fit = |train: &ImageSet| small(family.name).fit(train, Seed::new(1), &Silent).err().expect("refused");
        assert!(matches!(fit(&with_values(&train, vec![1; 60])), Error::TooFewClasses { present: 1, classes: 3, .. }));
        assert!(fit(&train.clone().without_labels()).to_string().contains("labels"));

        let trained = fitted(family.name, &train, 1);
        let other = labelled(train.shape(), train.pixels().to_vec(), vec![0; 60], 4);
        let message = Answers::of(&*trained, &other).unwrap_err().to_string();
        assert!(message.contains("class 3") && message.contains("same names"), "{message}");
        let shape = Shape { channels: 1, height: 5, width: 20 };
        let other = labelled(shape, train.pixels().to_vec(), vec![0; 60], 3);
        assert!(matches!(Answers::of(&*trained, &other), Err(Error::OtherShape { .. })));
    }
}

#[test]
fn a_class_without_training_images_keeps_its_column() {
    let train = squares(60, 1);
    let two: Vec<usize> = (0..60).filter(|index| index % 3 < 2).collect();
    for family in CLASSIFIERS {
        let answers = Answers::of(&*fitted(family.name, &train.select(&two), 1), &squares(90, 2)).unwrap();
        let classes: Vec<f64> = answers.per_class().iter().map(|outcome| outcome.estimate().unwrap().value).collect();
        assert_eq!((classes.len(), &classes[..2]), (3, &[1.0, 1.0][..]), "{}", family.name);
    }
}

#[test]
fn colour_and_uneven_shapes_fit_the_network() {
    for (channels, height, width) in [(3, 8, 8), (1, 2, 9), (3, 33, 20), (1, 64, 64)] {
        let shape = Shape { channels, height, width };
        let values: Vec<u32> = (0..24).map(|index| index % 2).collect();
        let pixels = (0..24).flat_map(|index| vec![if index % 2 == 0 { 40 } else { 200 } + index; shape.volume()]);
        let images = labelled(shape, pixels.collect(), values, 2);
        let table = toml::from_str("fewest_steps = 20\nchannels = 4\nhidden = 16\naugmentation.shift = 1").unwrap();
        let cnn = (family("cnn").unwrap().build)(&table).unwrap();
        let trained = cnn.fit(&images, Seed::new(1), &Silent).unwrap();
        assert_eq!(Answers::of(&*trained, &images).unwrap().accuracy().value, 1.0, "{shape}");
    }
    let line = labelled(Shape { channels: 1, height: 1, width: 9 }, vec![0; 18], vec![0, 1], 2);
    let message = small("cnn").fit(&line, Seed::new(1), &Silent).err().unwrap().to_string();
    assert!(message.contains("logistic"), "{message}");
}

#[test]
fn unknown_keys_and_values_out_of_range_are_named() {
    for (name, text, word) in [
        ("cnn", "epoch = 3", "epoch"),
        ("cnn", "learning_rate = -1.0", "learning_rate"),
        ("cnn", "channels = 100", "most_channels"),
        ("cnn", "augmentation.flips = true", "flips"),
        ("cnn", "augmentation = { shift = 1, crop = 1 }", "augmentation.crop"),
        ("cnn", "mixup = -1.0", "mixup"),
        ("cnn", "optimizer = \"lbfgs\"", "lbfgs"),
        ("cnn", "momentum = 0.9", "sgd"),
        ("cnn", "standardisation = { mean = [0.5], deviation = [0.0] }", "standardisation"),
        ("resnet-9", "channels = 0", "channels"),
        ("resnet-18", "norm = \"batch\"", "\"group\""),
        ("wide-resnet-16-4", "hidden = 3", "norm_groups"),
        ("logistic", "privacy = { epsilon = 1.0 }", "scattering-logistic"),
        ("cnn", "privacy = { epsilon = 0.0 }", "privacy.epsilon"),
        ("cnn", "privacy = { delta = 1e-5 }", "epsilon"),
        ("cnn", "privacy = { epsilon = 1.0, sampler = \"shuffled\" }", "sampler"),
        ("cnn", "mixup = 0.2\nprivacy = { epsilon = 1.0 }", "mixup"),
        ("wide-resnet-16-4", "norm = \"batch\"\nprivacy = { epsilon = 1.0 }", "\"group\""),
        ("scattering-logistic", "feature_groups = 0", "feature_groups"),
        ("scattering-logistic", "augmentation.flip = true", "augmentation"),
        ("logistic", "inverse_penalty = 0.0", "inverse_penalty"),
        ("logistic", "C = 1.0", "C"),
    ] {
        let table: toml::Table = toml::from_str(text).unwrap();
        let message = (family(name).unwrap().build)(&table).err().expect("refused").to_string();
        assert!(message.contains(word), "{message}");
    }
    assert!(family("svm").err().unwrap().to_string().contains("cnn, logistic"));
}

/// Both minimise the same strictly convex function (up to one constant on all biases, 0 for both), to a gradient of 1e-9 and
/// scikit-learn's own limit; decision values agree to 1e-4 absolute, f32 rounding of the logits included.
#[test]
fn logistic_regression_equals_scikit_learn() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("fixtures/logistic.json")).unwrap();
    let pixel = |i: u32, j: u32| ((i * i * 3 + j * j * 7 + i * j * 11 + 37 * (i % 3) * (j % 3)) % 256) as u8;
    let pixels = (0..120).flat_map(|i| (0..16).map(move |j| pixel(i, j))).collect();
    let labels = (0..120).map(|i| i % 3).collect();
    let images = labelled(Shape { channels: 1, height: 4, width: 4 }, pixels, labels, 3);
    for c in ["0.1", "1.0"] {
        let table = toml::from_str(&format!("inverse_penalty = {c}\ntolerance = 1e-9\niterations = 5000")).unwrap();
        let logistic = (family("logistic").unwrap().build)(&table).unwrap();
        let trained = logistic.fit(&images, Seed::new(1), &Silent).unwrap();
        let logits = trained.logits(&images).unwrap();
        let expected = &fixture[format!("C={c}")];
        for (row, decision) in expected["decision"].as_array().unwrap().iter().enumerate() {
            for (logit, decision) in logits.row(row).iter().zip(decision.as_array().unwrap()) {
                let decision = decision.as_f64().unwrap();
                assert!((f64::from(*logit) - decision).abs() < 1e-4, "row {row}: {logit} for {decision}");
            }
        }
        let right = Answers::of(&*trained, &images).unwrap().correct.iter().filter(|&&correct| correct).count();
        assert_eq!(right as u64, expected["right"].as_u64().unwrap());
    }
}
