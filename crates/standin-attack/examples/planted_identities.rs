//! Are planted leaks of real faces found, and nobody accused where there are none?
//!
//! ```text
//! cargo build --release -p standin -p standin-attack --example planted_identities
//! target/release/examples/planted_identities FACES RECOGNISER.onnx[#PRESET] [SPLITS]
//! ```
//!
//! FACES is a set of aligned faces with a column `identity`. Its identities are divided at random: half are trained on, 30 % are held out,
//! and photos of the other 20 % stand in for the images of a perfect generator. Among these, altered copies of the training images of 30
//! identities are planted, or other photos of them, one kind at a time. Printed are the shares of planted identities that are named, or
//! have a p-value of at most 1 %, and of the others that have: all over SPLITS divisions (10 unless said).

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageFormat};
use rand::seq::SliceRandom;
use standin_attack::{FALSE_DISCOVERY_RATE, IdentityFindings, IdentityOptions, Recognised, audit_identities};
use standin_data::{ImageSet, ImportOptions, Seed, Shape, Silent, load};
use standin_encode::{Embedding, encoder};

type AnyError = Box<dyn std::error::Error>;

/// Identities whose images are planted.
const PLANTED: usize = 30;
const RATE: f64 = 0.01;

type Alteration = fn(&GrayImage) -> GrayImage;

/// What becomes of a training image before it is planted.
const ALTERATIONS: [(&str, Alteration); 8] = [
    ("the image itself", |image| image.clone()),
    ("recompressed (JPEG at quality 30)", |image| recompressed(image, 30)),
    ("recompressed (JPEG at quality 10)", |image| recompressed(image, 10)),
    ("blurred (σ = 2 pixels)", |image| imageops::blur(image, 2.0)),
    ("flipped", imageops::flip_horizontal),
    ("recoloured (γ = 1.8, less contrast)", recoloured),
    ("cropped to 85 %", |image| cropped(image, 0.85)),
    ("cropped to 70 %", |image| cropped(image, 0.7)),
];

fn recompressed(image: &GrayImage, quality: u8) -> GrayImage {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(image).expect("a small image can be encoded");
    let read = image::load_from_memory_with_format(&bytes, ImageFormat::Jpeg).expect("what was encoded can be read");
    DynamicImage::into_luma8(read)
}

fn recoloured(image: &GrayImage) -> GrayImage {
    let mut changed = image.clone();
    for pixel in changed.pixels_mut() {
        let value = (f64::from(pixel.0[0]) / 255.0).powf(1.8);
        pixel.0[0] = (255.0 * (0.15 + 0.7 * value)).round() as u8;
    }
    changed
}

/// The middle of an image, enlarged to its size.
fn cropped(image: &GrayImage, share: f64) -> GrayImage {
    let (width, height) = image.dimensions();
    let side = |length: u32| (f64::from(length) * share).round() as u32;
    let (kept_width, kept_height) = (side(width), side(height));
    let middle =
        imageops::crop_imm(image, (width - kept_width) / 2, (height - kept_height) / 2, kept_width, kept_height);
    imageops::resize(&middle.to_image(), width, height, FilterType::CatmullRom)
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), AnyError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [faces, recogniser, rest @ ..] = arguments.as_slice() else {
        return Err("give the folder of faces and the recogniser".into());
    };
    let splits: u64 = rest.first().map_or(Ok(10), |text| text.parse())?;
    let import = ImportOptions::default();
    let set = load(faces.as_ref(), &import, &Silent)?.only()?.clone();
    let recogniser = encoder(&format!("onnx:{recogniser}"))?;
    let identities = set.column("identity").ok_or("the faces have no column `identity`")?.values.clone();
    let features = recogniser.encode(&set, &Silent)?;
    let altered = ALTERATIONS
        .iter()
        .map(|(name, alter)| Ok((*name, recogniser.encode(&alter_all(&set, *alter)?, &Silent)?)))
        .collect::<Result<Vec<_>, AnyError>>()?;

    let mut table: BTreeMap<(usize, &str), Counts> = BTreeMap::new();
    let mut null = Null::default();
    for split in 0..splits {
        let sides = Sides::draw(&identities, Seed::new(split));
        let unrelated = features.select(&sides.unrelated);
        let found = audit(&features, &identities, &sides, unrelated.clone(), split)?;
        null.take(&found, &sides.names(&sides.unrelated));
        for (at, (name, altered)) in altered.iter().enumerate() {
            let planted = altered.select(&sides.planted(&sides.train));
            let found = audit(&features, &identities, &sides, unrelated.concat(&planted)?, split)?;
            table.entry((at, name)).or_default().take(&found, &sides.leaked);
        }
        let planted = features.select(&sides.planted(&sides.other_photos));
        let found = audit(&features, &identities, &sides, unrelated.concat(&planted)?, split)?;
        table.entry((ALTERATIONS.len(), "another photo of the person")).or_default().take(&found, &sides.leaked);
    }
    println!("{} images, {splits} divisions", set.len());
    println!("{:<38} {:>8} {:>10} {:>16} {:>14}", "planted", "named", "p ≤ 1 %", "others, p ≤ 1 %", "others named");
    for ((_, name), counts) in &table {
        let share = |count: usize, of: usize| format!("{:.1} %", 100.0 * count as f64 / of.max(1) as f64);
        println!(
            "{name:<38} {:>8} {:>10} {:>16} {:>14}",
            share(counts.named, counts.planted),
            share(counts.low, counts.planted),
            share(counts.others_low, counts.others),
            share(counts.others_named, counts.others),
        );
    }
    null.print();
    Ok(())
}

fn alter_all(set: &ImageSet, alter: Alteration) -> Result<ImageSet, AnyError> {
    let Shape { channels, height, width } = set.shape();
    if channels != 1 {
        return Err("give grey faces".into());
    }
    let altered = (0..set.len()).flat_map(|at| {
        let image = GrayImage::from_raw(width as u32, height as u32, set.image(at).to_vec()).expect("one byte a pixel");
        alter(&image).into_raw()
    });
    Ok(ImageSet::new(set.shape(), altered.collect())?)
}

/// Images by what they are for.
struct Sides {
    train: Vec<usize>,
    holdout: Vec<usize>,
    unrelated: Vec<usize>,
    /// Photos of the leaked identities that were not trained on: one for each, beside those in `train`.
    other_photos: Vec<usize>,
    leaked: BTreeSet<String>,
    identities: Vec<String>,
}

impl Sides {
    fn draw(identities: &[String], seed: Seed) -> Self {
        let mut rng = seed.derive("sides").rng();
        let mut images: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (image, identity) in identities.iter().enumerate() {
            images.entry(identity).or_default().push(image);
        }
        let mut names: Vec<&str> = images.keys().copied().collect();
        names.shuffle(&mut rng);
        let (train, rest) = names.split_at(names.len() / 2);
        let (holdout, unrelated) = rest.split_at(names.len() * 3 / 10);
        let all = |names: &[&str]| names.iter().flat_map(|name| images[name].clone()).collect::<Vec<_>>();
        let leaked: Vec<&str> = train.iter().copied().filter(|name| images[name].len() > 1).take(PLANTED).collect();
        let other_photos: Vec<usize> = leaked.iter().map(|name| *images[name].last().expect("two images")).collect();
        // One photo of some holdout identities is left out too: sides have equally many of each identity.
        let many: Vec<usize> = holdout
            .iter()
            .filter(|name| images[*name].len() > 1)
            .take(PLANTED * 6 / 10)
            .map(|name| *images[name].last().expect("two images"))
            .collect();
        let without = |images: Vec<usize>, left_out: &[usize]| {
            images.into_iter().filter(|image| !left_out.contains(image)).collect::<Vec<_>>()
        };
        Self {
            train: without(all(train), &other_photos),
            holdout: without(all(holdout), &many),
            unrelated: all(unrelated),
            leaked: leaked.iter().map(|&name| name.to_owned()).collect(),
            other_photos,
            identities: identities.to_vec(),
        }
    }

    /// The identities of these images.
    fn names(&self, images: &[usize]) -> Vec<String> {
        images.iter().map(|&image| self.identities[image].clone()).collect()
    }

    /// The first of these images for each leaked identity.
    fn planted(&self, images: &[usize]) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let first = |image: &&usize| {
            let identity = self.identities[**image].as_str();
            self.leaked.contains(identity) && seen.insert(identity)
        };
        images.iter().filter(first).copied().collect()
    }
}

fn audit(
    features: &Embedding,
    identities: &[String],
    sides: &Sides,
    synthetic: Embedding,
    split: u64,
) -> Result<IdentityFindings, AnyError> {
    let side = |what: &'static str, rows: &[usize]| {
        let names: Vec<String> = rows.iter().map(|&row| identities[row].clone()).collect();
        Recognised::new(what, features.select(rows), &names)
    };
    let (train, holdout) = (side("training images", &sides.train)?, side("holdout images", &sides.holdout)?);
    let synthetic = Recognised::unnamed("synthetic images", synthetic)?;
    let options = IdentityOptions { false_match_rate: RATE, pairs: 0, seed: Seed::new(split) };
    Ok(audit_identities(&train, Some(&holdout), &synthetic, options, &Silent)?)
}

#[derive(Default)]
struct Counts {
    planted: usize,
    named: usize,
    low: usize,
    others: usize,
    others_low: usize,
    others_named: usize,
}

impl Counts {
    fn take(&mut self, found: &IdentityFindings, leaked: &BTreeSet<String>) {
        for identity in &found.train {
            let low = usize::from(identity.p_value.is_some_and(|p| p <= RATE));
            let named = usize::from(identity.adjusted_p_value.is_some_and(|q| q <= FALSE_DISCOVERY_RATE));
            if leaked.contains(&identity.identity) {
                self.planted += 1;
                self.low += low;
                self.named += named;
            } else {
                self.others += 1;
                self.others_low += low;
                self.others_named += named;
            }
        }
    }
}

/// What is found where nothing leaked.
#[derive(Default)]
struct Null {
    p_values: Vec<f64>,
    divisions_with_names: usize,
    divisions: usize,
    aucs: Vec<f64>,
    /// Pairs of a name and the photo that it was found in, and the highest similarity.
    named: BTreeMap<(String, String), f64>,
}

impl Null {
    fn take(&mut self, found: &IdentityFindings, unrelated: &[String]) {
        let named =
            found.train.iter().filter(|found| found.adjusted_p_value.is_some_and(|q| q <= FALSE_DISCOVERY_RATE));
        self.named.extend(
            named.map(|found| ((found.identity.clone(), unrelated[found.synthetic].clone()), found.similarity)),
        );
        self.p_values.extend(found.train.iter().filter_map(|identity| identity.p_value));
        self.divisions += 1;
        self.divisions_with_names += usize::from(found.audit.discoveries > 0);
        self.aucs.extend(found.audit.auc.estimate().map(|auc| auc.value));
    }

    fn print(&self) {
        println!("nothing planted: {} p-values", self.p_values.len());
        for level in [0.01, 0.05, 0.1, 0.25, 0.5, 0.75] {
            let below = self.p_values.iter().filter(|&&p| p <= level).count();
            println!("  p ≤ {level:<5} {:>6.2} %", 100.0 * below as f64 / self.p_values.len().max(1) as f64);
        }
        let mean = self.aucs.iter().sum::<f64>() / self.aucs.len().max(1) as f64;
        println!(
            "  somebody named in {} of {} divisions; mean AUC {mean:.3}",
            self.divisions_with_names, self.divisions
        );
        for ((identity, other), similarity) in &self.named {
            println!("  {identity} in a photo of {other}: {similarity:.3}");
        }
    }
}
