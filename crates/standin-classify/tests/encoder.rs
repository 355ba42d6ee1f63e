//! The features of a trained classifier: what they must see, what they must not, and what is refused.

use rand::RngExt;
use rand::rngs::StdRng;
use standin_classify::ENCODERS;
use standin_data::{ImageSet, Labels, Seed, Shape, Silent};
use standin_encode::{Encoder, FittedEncoder, nearest};

const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };

/// A faint square in one of two corners on a strong slope of light of each image's own: pixels hardly show the class.
fn faint(count: usize, seed: u64) -> ImageSet {
    let mut rng: StdRng = rand::SeedableRng::seed_from_u64(seed);
    let values: Vec<u32> = (0..count as u32).map(|image| image % 2).collect();
    let mut pixels = Vec::with_capacity(count * SHAPE.volume());
    for &label in &values {
        let brightness = rng.random_range(80..150_i32);
        let slopes = [rng.random_range(-9..=9), rng.random_range(-9..=9)];
        for at in 0..SHAPE.volume() {
            let (row, column) = (at / 8, at % 8);
            let inside = if label == 0 { row < 3 && column < 3 } else { row > 4 && column > 4 };
            let light = brightness + slopes[0] * (row as i32 - 4) + slopes[1] * (column as i32 - 4);
            let value = light + rng.random_range(-8..=8) + if inside { 15 } else { 0 };
            pixels.push(value.clamp(0, 255) as u8);
        }
    }
    labelled(pixels, values)
}

fn labelled(pixels: Vec<u8>, values: Vec<u32>) -> ImageSet {
    let classes = vec!["top".to_owned(), "bottom".to_owned()];
    ImageSet::new(SHAPE, pixels).unwrap().with_labels(Labels { values, classes }).unwrap()
}

fn fitted(images: &ImageSet, seed: u64) -> Box<dyn FittedEncoder> {
    let options = toml::from_str("fewest_steps = 300\nchannels = 8\nhidden = 16").unwrap();
    (ENCODERS[0].build)(&options).unwrap().fit(images, Seed::new(seed), &Silent).unwrap()
}

/// Share of the test images whose nearest training image is of their class.
fn agreement(encoder: &dyn Encoder, train: &ImageSet, test: &ImageSet) -> f64 {
    let encode = |images| encoder.encode(images, &Silent).unwrap();
    let found = nearest(&encode(test), &encode(train), 1, false).unwrap();
    let (own, others) = (&test.labels().unwrap().values, &train.labels().unwrap().values);
    let right = (0..test.len()).filter(|&image| others[found.indices(image)[0]] == own[image]).count();
    right as f64 / test.len() as f64
}

#[test]
fn features_see_the_class_that_pixels_hide() {
    let (train, test) = (faint(400, 1), faint(200, 2));
    let pixels = agreement(&*standin_encode::encoder("pixels").unwrap(), &train, &test);
    let features = agreement(&*fitted(&train, 1), &train, &test);
    assert!(features > 0.97 && features > pixels + 0.1, "{features}, pixels {pixels}");
}

/// Four standard errors of a share of 400 at one half.
#[test]
fn labels_without_meaning_are_not_found_in_new_images() {
    let mut rng: StdRng = rand::SeedableRng::seed_from_u64(3);
    let mut random = |images: ImageSet| {
        let values = (0..images.len()).map(|_| rng.random_range(0..2)).collect();
        labelled(images.pixels().to_vec(), values)
    };
    let (train, test) = (random(faint(200, 1)), random(faint(400, 2)));
    let features = agreement(&*fitted(&train, 1), &train, &test);
    assert!((features - 0.5).abs() < 0.1, "{features}");
}

#[test]
fn a_saved_encoder_gives_the_same_features_under_the_same_stamp() {
    let images = faint(300, 1);
    let encoder = fitted(&images, 1);
    let folder = tempfile::tempdir().unwrap();
    encoder.save(folder.path()).unwrap();
    let loaded = (ENCODERS[0].load)(folder.path()).unwrap();
    let before = encoder.encode(&images, &Silent).unwrap();
    assert_eq!(loaded.encode(&images, &Silent).unwrap(), before);
    assert_eq!((before.rows(), before.dimension()), (300, 16));
    assert_eq!(before.stamp().encoder, ENCODERS[0].name);
    assert_ne!(fitted(&images, 2).stamp(&images).unwrap(), *before.stamp(), "another training, another stamp");

    let weights = folder.path().join("cnn.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let message = (ENCODERS[0].load)(folder.path()).err().unwrap().to_string();
    assert!(message.contains("cnn.safetensors"), "{message}");
}

#[test]
fn features_do_not_depend_on_the_number_of_threads() {
    let images = faint(600, 1);
    let encode = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| fitted(&images, 1).encode(&images, &Silent).unwrap())
    };
    assert_eq!(encode(1), encode(2));
}

#[test]
fn the_features_of_an_image_do_not_depend_on_the_others_in_its_set() {
    let images = faint(300, 1);
    let encoder = fitted(&images, 1);
    let all = encoder.encode(&images, &Silent).unwrap();
    for part in [vec![299], vec![7, 290, 3], (100..217).collect()] {
        assert_eq!(encoder.encode(&images.select(&part), &Silent).unwrap(), all.select(&part));
    }
}

#[test]
fn what_cannot_be_encoded_is_refused_in_words() {
    let images = faint(60, 1);
    let build = ENCODERS[0].build;
    let encoder = build(&toml::Table::new()).unwrap();
    let message = encoder.fit(&images.clone().without_labels(), Seed::new(1), &Silent).err().unwrap().to_string();
    assert!(message.contains("`classifier` needs labels"), "{message}");
    let message = build(&toml::from_str("chanels = 3").unwrap()).err().unwrap().to_string();
    assert!(message.contains("chanels"), "{message}");
    assert_eq!(build(&encoder.options()).unwrap().options(), encoder.options());

    let other = ImageSet::new(Shape { channels: 1, height: 4, width: 16 }, images.pixels().to_vec()).unwrap();
    let message = fitted(&images, 1).encode(&other, &Silent).unwrap_err().to_string();
    assert!(message.contains("1×4×16") && message.contains("1×8×8"), "{message}");
}
