//! What a VQ-VAE costs and what its features are worth.
//!
//! `cargo run --release -p standin-generate --example vqvae [FOLDER [IMAGES [SETTINGS]]]` trains on so many images of a folder,
//! or on the built-in digits, and prints time, redrawing error, codebook use, and how often the nearest other image is
//! of the same class by pixels, by vectors and by codes.

use std::path::Path;
use std::time::Instant;

use rand::seq::SliceRandom;
use standin_data::{ImageSet, ImportOptions, Progress, Seed, Silent, digits, import};
use standin_encode::{Embedding, Encoder, Metric};
use standin_generate::{VqVae, VqVaeFeatures, VqVaeView};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let images = match arguments.first() {
        Some(folder) => {
            let parts = import(Path::new(folder), &ImportOptions::default(), &Silent)?;
            parts.iter().next().ok_or("an empty folder")?.1.clone()
        }
        None => digits(),
    };
    let mut order: Vec<usize> = (0..images.len()).collect();
    order.shuffle(&mut Seed::new(1).rng());
    order.truncate(arguments.get(1).map_or(Ok(images.len()), |count| count.parse())?);
    let images = images.select(&order);
    let options: toml::Table = toml::from_str(arguments.get(2).map_or("", String::as_str))?;

    let model = VqVae::new(options.try_into()?)?;
    let start = Instant::now();
    let trained = model.train(&images, Seed::new(1), &Errors)?;
    let (time, found) = (start.elapsed(), trained.codebook_use());
    println!("{} images of {} in {time:.1?}", images.len(), images.shape());
    println!("error {:.4}, {} codes used, perplexity {:.1}", found.error, found.used, found.perplexity);

    let start = Instant::now();
    let vectors = VqVaeFeatures { trained: trained.clone(), view: VqVaeView::Vectors }.encode(&images, &Silent)?;
    println!("encoded in {:.1?}", start.elapsed());
    let codes = VqVaeFeatures { trained, view: VqVaeView::Codes }.encode(&images, &Silent)?;
    let pixels = standin_encode::encoder("pixels")?.encode(&images, &Silent)?;
    for (name, embedding) in [("pixels", &pixels), ("vqvae", &vectors), ("vqvae-codes", &codes)] {
        if images.labels().is_some() {
            println!("{name:12} nearest of the same class: {:.3}", agreement(&images, embedding));
        }
    }
    Ok(())
}

/// Prints the loss now and then.
struct Errors;

impl Progress for Errors {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn status(&self, text: &str) {
        eprint!("\r{text}");
    }
    fn warn(&self, text: &str) {
        eprintln!("{text}");
    }
    fn end(&self) {
        eprintln!();
    }
}

/// Share of (at most 500) images whose nearest other image is of their class.
fn agreement(images: &ImageSet, embedding: &Embedding) -> f64 {
    let Some(labels) = images.labels() else { return 0.0 };
    let differing = |a: &f32, b: &f32| match embedding.stamp().metric {
        Metric::Euclidean => f64::from(a - b).powi(2),
        Metric::Hamming => f64::from(u8::from(a != b)),
    };
    let distance = |left: usize, right: usize| -> f64 {
        embedding.row(left).iter().zip(embedding.row(right)).map(|(a, b)| differing(a, b)).sum()
    };
    let queries = images.len().min(500);
    let right = (0..queries).filter(|&query| {
        let others = (0..images.len()).filter(|&other| other != query);
        let nearest = others.map(|other| (distance(query, other), other)).min_by(|a, b| a.0.total_cmp(&b.0));
        nearest.is_some_and(|(_, other)| labels.values[other] == labels.values[query])
    });
    right.count() as f64 / queries as f64
}
