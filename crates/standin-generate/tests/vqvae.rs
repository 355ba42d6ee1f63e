//! The vector-quantised autoencoder as an encoder: what its features must keep, what they must not, and what is refused.

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{ImageSet, Progress, Seed, Shape, Silent};
use standin_encode::{Embedding, Encoder, Metric, TrainableFamily};
use standin_generate::{ENCODERS, TrainedVqVae, VqVae, VqVaeFeatures, VqVaeView};

/// Small settings, so that each training takes a fraction of a second.
const SMALL: &str = "codes = 32\ndimension = 4\nhidden = [32]\nsteps = 150\nbatch_size = 32";

fn model(settings: &str) -> VqVae {
    VqVae::new(toml::from_str(settings).unwrap()).unwrap()
}

fn trained(images: &ImageSet, seed: u64) -> TrainedVqVae {
    model(SMALL).train(images, Seed::new(seed), &Silent).unwrap()
}

fn encoded(trained: &TrainedVqVae, view: VqVaeView, images: &ImageSet) -> Embedding {
    VqVaeFeatures { trained: trained.clone(), view }.encode(images, &Silent).unwrap()
}

/// Soft blobs at places of each image's own: structure that a few codes can describe, in an image no other equals.
fn blobs(count: usize, shape: Shape, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    let mut pixels = Vec::with_capacity(count * shape.volume());
    for _ in 0..count {
        let spots: Vec<[f64; 4]> = (0..4)
            .map(|_| {
                let (y, x) = (rng.random::<f64>() * shape.height as f64, rng.random::<f64>() * shape.width as f64);
                [y, x, rng.random_range(1.0..3.0), rng.random_range(80.0..200.0)]
            })
            .collect();
        for at in 0..shape.volume() {
            let (row, column) = (at / shape.width % shape.height, at % shape.width);
            let light: f64 = spots
                .iter()
                .map(|[y, x, width, height]| {
                    let squared = (row as f64 - y).powi(2) + (column as f64 - x).powi(2);
                    height * (-squared / (2.0 * width * width)).exp()
                })
                .sum();
            pixels.push(light.clamp(0.0, 255.0) as u8);
        }
    }
    ImageSet::new(shape, pixels).unwrap()
}

fn noise(count: usize, shape: Shape, seed: u64) -> ImageSet {
    let mut rng = Seed::new(seed).rng();
    ImageSet::new(shape, (0..count * shape.volume()).map(|_| rng.random()).collect()).unwrap()
}

const SHAPE: Shape = Shape { channels: 1, height: 16, width: 16 };

/// Distance of each query to its nearest base row, and which row that is.
fn nearest(queries: &Embedding, base: &Embedding) -> Vec<(f64, usize)> {
    let differing = |a: &f32, b: &f32| match queries.stamp().metric {
        Metric::Euclidean => f64::from(a - b).powi(2),
        Metric::Hamming => f64::from(u8::from(a != b)),
    };
    let distance = |query: usize, row: usize| -> f64 {
        queries.row(query).iter().zip(base.row(row)).map(|(a, b)| differing(a, b)).sum()
    };
    (0..queries.rows())
        .map(|query| {
            let all = (0..base.rows()).map(|row| (distance(query, row), row));
            all.min_by(|a, b| a.0.total_cmp(&b.0)).expect("the base has rows")
        })
        .collect()
}

/// Copies under noise of 5 of 255 levels must be found among 300 images; chance is one in 300.
#[test]
fn a_noisy_copy_is_nearest_to_its_original() {
    let images = blobs(300, SHAPE, 1);
    let trained = trained(&images, 1);
    let mut rng = Seed::new(2).rng();
    let noisy = |&value: &u8| (f64::from(value) + 5.0 * rng.sample::<f64, _>(StandardNormal)).clamp(0.0, 255.0) as u8;
    let copies = ImageSet::new(SHAPE, images.pixels().iter().map(noisy).collect()).unwrap();
    for view in [VqVaeView::Vectors, VqVaeView::Codes] {
        let found = nearest(&encoded(&trained, view, &copies), &encoded(&trained, view, &images));
        let right = found.iter().enumerate().filter(|(copy, (_, original))| copy == original).count();
        assert!(right >= 290, "{}: {right} of 300", view.name());
    }
}

/// Fitted on both halves of a population, neither half is closer to a third sample of it than the other: the difference
/// of mean distances is within four of its standard errors.
#[test]
fn an_encoder_fitted_on_both_sides_favours_neither() {
    let (train, holdout, fresh) = (blobs(250, SHAPE, 1), blobs(250, SHAPE, 2), blobs(400, SHAPE, 3));
    let trained = trained(&train.concat(&holdout).unwrap(), 1);
    for view in [VqVaeView::Vectors, VqVaeView::Codes] {
        let encode = |images: &ImageSet| encoded(&trained, view, images);
        let fresh = encode(&fresh);
        let to = |side: &ImageSet| nearest(&fresh, &encode(side));
        let differences: Vec<f64> = to(&train).iter().zip(to(&holdout)).map(|(a, b)| a.0 - b.0).collect();
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n;
        let deviation = (differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
        // Both sides are samples too: their own spread weighs as much as that of the fresh images.
        assert!(
            mean.abs() < 4.0 * deviation * (1.0 / n + 1.0 / 250.0).sqrt(),
            "{}: {mean} of {deviation}",
            view.name()
        );
    }
}

#[test]
fn structure_is_redrawn_and_noise_cannot_be() {
    let settings = "codes = 64\nhidden = [64]\nsteps = 300\nbatch_size = 32";
    let error = |images: &ImageSet| {
        let trained = model(settings).train(images, Seed::new(1), &Silent).unwrap();
        trained.codebook_use()
    };
    let (structured, random) = (error(&blobs(400, SHAPE, 1)), error(&noise(400, SHAPE, 1)));
    assert!(structured.error < 0.3, "{structured:?}");
    // One of 64 codes for every four pixels: 1.5 bits a pixel cannot hold noise of 8 bits, and it shares no structure.
    assert!(random.error > 0.5, "{random:?}");
    assert!(structured.used > 48 && structured.perplexity > 16.0, "{structured:?}");
}

#[test]
fn equal_seeds_give_equal_features_whatever_the_number_of_threads() {
    let images = blobs(150, SHAPE, 1);
    let features = |threads, seed| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| encoded(&trained(&images, seed), VqVaeView::Vectors, &images))
    };
    let one = features(1, 1);
    assert_eq!(one, features(2, 1));
    assert_ne!(one.stamp(), features(1, 2).stamp(), "another training, another stamp");
}

#[test]
fn the_features_of_an_image_do_not_depend_on_the_others_in_its_set() {
    let images = blobs(150, SHAPE, 1);
    let trained = trained(&images, 1);
    for view in [VqVaeView::Vectors, VqVaeView::Codes] {
        let all = encoded(&trained, view, &images);
        for part in [vec![149], vec![7, 140, 3], (20..117).collect()] {
            assert_eq!(encoded(&trained, view, &images.select(&part)), all.select(&part));
        }
    }
}

#[test]
fn both_views_load_from_what_either_saved() {
    let images = blobs(100, SHAPE, 1);
    let options = toml::from_str(SMALL).unwrap();
    let folders: Vec<_> = ENCODERS
        .iter()
        .map(|family| {
            let folder = tempfile::tempdir().unwrap();
            let fitted = (family.build)(&options).unwrap().fit(&images, Seed::new(1), &Silent).unwrap();
            fitted.save(folder.path()).unwrap();
            assert_eq!(fitted.stamp(&images).unwrap().encoder, family.name);
            (folder, fitted.encode(&images, &Silent).unwrap())
        })
        .collect();
    for (family, (_, expected)) in ENCODERS.iter().zip(&folders) {
        for (folder, _) in &folders {
            let loaded = (family.load)(folder.path()).unwrap();
            assert_eq!(loaded.encode(&images, &Silent).unwrap(), *expected, "{}", family.name);
        }
    }
    let [vectors, codes] = [&folders[0].1, &folders[1].1];
    assert_eq!((vectors.dimension(), codes.dimension()), (64 * 4, 64));
    assert_eq!((vectors.stamp().metric, codes.stamp().metric), (Metric::Euclidean, Metric::Hamming));
    assert_eq!(vectors.stamp().weights, codes.stamp().weights);
    assert!(codes.values().iter().all(|&code| code.fract() == 0.0 && (0.0..32.0).contains(&code)));
}

/// The tensor of that name in `vqvae.safetensors`, in f64.
fn tensor(file: &[u8], name: &str) -> Vec<f64> {
    let tensors = safetensors::SafeTensors::deserialize(file).unwrap();
    let bytes = tensors.tensor(name).unwrap().data().to_vec();
    bytes.chunks_exact(4).map(|word| f64::from(f32::from_le_bytes(word.try_into().unwrap()))).collect()
}

/// The saved weights as what they stand for: a convolution of kernel 4 and stride 2 over the image with its border
/// repeated, ReLU, a convolution of kernel 1, and the nearest code. Vectors agree to the rounding of f32.
#[test]
fn vectors_and_codes_equal_the_convolution_written_out() {
    let shape = Shape { channels: 3, height: 10, width: 7 };
    let images = blobs(40, shape, 1);
    let trained =
        model("codes = 8\ndimension = 3\nhidden = [5]\nsteps = 40").train(&images, Seed::new(1), &Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    trained.save(folder.path()).unwrap();
    let file = std::fs::read(folder.path().join("vqvae.safetensors")).unwrap();
    let [first, bias, last, shift, codebook] = [
        "encoder.layers.0.weight",
        "encoder.layers.0.bias",
        "encoder.layers.1.weight",
        "encoder.layers.1.bias",
        "codebook.weight",
    ]
    .map(|name| tensor(&file, name));

    let (vectors, codes) = (trained.vectors(&images, &Silent).unwrap(), trained.codes(&images, &Silent).unwrap());
    assert_eq!(trained.grid(), (5, 4));
    for image in 0..images.len() {
        let pixel = |channel: usize, row: i64, column: i64| {
            let (row, column) = (row.clamp(0, 9) as usize, column.clamp(0, 6) as usize);
            f64::from(images.image(image)[(channel * 10 + row) * 7 + column]) / 255.0 - 0.5
        };
        for cell in 0..20 {
            let (top, left) = (cell / 4 * 2 - 1, cell % 4 * 2 - 1);
            let hidden: Vec<f64> = (0..5)
                .map(|unit| {
                    let tap = |at: usize| {
                        let (channel, row, column) = (at / 16, (at / 4 % 4) as i64, (at % 4) as i64);
                        first[at * 5 + unit] * pixel(channel, top + row, left + column)
                    };
                    (bias[unit] + (0..48).map(tap).sum::<f64>()).max(0.0)
                })
                .collect();
            let vector: Vec<f64> = (0..3)
                .map(|value| shift[value] + (0..5).map(|unit| hidden[unit] * last[unit * 3 + value]).sum::<f64>())
                .collect();
            let place = image * 20 + cell as usize;
            for (&found, expected) in vectors[place * 3..][..3].iter().zip(&vector) {
                assert!((f64::from(found) - expected).abs() < 1e-5, "{found} for {expected}");
            }
            let distance = |code: &[f64]| code.iter().zip(&vector).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
            let distances: Vec<f64> = codebook.chunks_exact(3).map(distance).collect();
            let least = distances.iter().copied().fold(f64::INFINITY, f64::min);
            assert!(distances[codes[place] as usize] < least + 1e-5, "code {} of {distances:?}", codes[place]);
        }
    }
}

#[test]
fn damage_is_found_and_the_file_named() {
    let images = blobs(40, SHAPE, 1);
    let folder = tempfile::tempdir().unwrap();
    trained(&images, 1).save(folder.path()).unwrap();
    let (weights, card) = (folder.path().join("vqvae.safetensors"), folder.path().join("vqvae.toml"));
    let message = || (ENCODERS[1].load)(folder.path()).err().expect("damage is found").to_string();

    let whole = std::fs::read(&weights).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 9) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&weights, bytes).unwrap();
        assert!(message().contains("vqvae.safetensors"), "{}", message());
    }
    std::fs::write(&weights, &whole).unwrap();

    let text = std::fs::read_to_string(&card).unwrap();
    for (from, to) in [
        ("codes = 32", "codes = 33"),
        ("codes = 32", "codes = 0"),
        ("hidden = [32]", "hidden = []"),
        ("channels = 1", "channels = 2"),
        ("height = 16", "height = 0"),
        ("trained_on", "trained_with"),
    ] {
        let damaged = text.replace(from, to);
        assert_ne!(damaged, text, "the card has no `{from}`:\n{text}");
        std::fs::write(&card, damaged).unwrap();
        assert!(message().contains("vqvae."), "{to}: {}", message());
    }
    std::fs::remove_file(&card).unwrap();
    assert!(message().contains("vqvae.toml"), "{}", message());
}

#[test]
fn images_of_any_shape_can_be_learnt() {
    for (channels, height, width) in [(3, 8, 8), (1, 1, 5), (3, 33, 20), (1, 70, 150)] {
        let images = blobs(12, Shape { channels, height, width }, 1);
        let trained = model("codes = 8\nhidden = [16]\nsteps = 20").train(&images, Seed::new(1), &Silent).unwrap();
        let (rows, columns) = trained.grid();
        assert!(rows.max(columns) <= 8, "{rows} × {columns}");
        assert_eq!(encoded(&trained, VqVaeView::Codes, &images).dimension(), rows * columns);
    }
}

/// Keeps the last warning.
#[derive(Default)]
struct Warnings(std::sync::Mutex<String>);

impl Progress for Warnings {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn status(&self, _: &str) {}
    fn warn(&self, text: &str) {
        *self.0.lock().unwrap() = text.to_owned();
    }
    fn end(&self) {}
}

#[test]
fn equal_images_get_one_code_and_a_warning() {
    let images = ImageSet::new(SHAPE, vec![77; 20 * SHAPE.volume()]).unwrap();
    let warnings = Warnings::default();
    let trained = model(SMALL).train(&images, Seed::new(1), &warnings).unwrap();
    assert_eq!(trained.codebook_use().used, 1);
    assert!(warnings.0.lock().unwrap().contains("1 of 32 codes"), "{warnings:?}", warnings = warnings.0);
}

#[test]
fn what_cannot_be_learnt_or_encoded_is_refused_in_words() {
    let empty = ImageSet::new(SHAPE, vec![]).unwrap();
    let message = model(SMALL).train(&empty, Seed::new(1), &Silent).unwrap_err().to_string();
    assert!(message.contains("`vqvae`") && message.contains("no image"), "{message}");

    let trained = trained(&blobs(40, SHAPE, 1), 1);
    let other = blobs(3, Shape { channels: 1, height: 8, width: 8 }, 1);
    for view in [VqVaeView::Vectors, VqVaeView::Codes] {
        let encoder = VqVaeFeatures { trained: trained.clone(), view };
        let message = encoder.encode(&other, &Silent).unwrap_err().to_string();
        assert!(message.contains(view.name()) && message.contains("1×8×8") && message.contains("1×16×16"), "{message}");
    }
    assert!(trained.vectors(&other, &Silent).unwrap_err().to_string().contains("1×16×16"));

    for (settings, word) in [
        ("code = 3", "code"),
        ("codes = 1", "codes is 1"),
        ("codes = 65537", "65536"),
        ("decay = 1.0", "decay is 1"),
        ("hidden = []", "hidden"),
        ("commitment = -1.0", "commitment is -1"),
        ("steps = 0", "steps is 0"),
    ] {
        for TrainableFamily { name, build, .. } in ENCODERS {
            let message = build(&toml::from_str(settings).unwrap()).err().expect("refused").to_string();
            assert!(message.contains("`vqvae`") && message.contains(word), "{name}: {message}");
        }
    }
    for TrainableFamily { build, .. } in ENCODERS {
        let options = build(&toml::Table::new()).unwrap().options();
        assert_eq!(build(&options).unwrap().options(), options);
    }
}
