//! Photos of number plates that nobody has: identities to audit that may be shown.
//!
//! ```text
//! cargo build --release -p standin -p standin-data --example plates
//! target/release/examples/plates FOLDER
//! ```
//!
//! A plate is six handwritten digits of the built-in set, white on black; a photo of it has its own place, light and grain. Written are sets of images with a
//! column `plate`: `train` and `holdout` with two photos of each of 300 plates, `honest` with two photos of each of 150 others, and
//! `leaking`, the same with new photos of ten training plates among them.

use std::ops::Range;
use std::path::Path;
use std::process::ExitCode;

use rand::RngExt;
use rand_distr::{Distribution, Normal};
use standin_data::{Column, ImageSet, Result, Seed, Shape, digits};

const SHAPE: Shape = Shape { channels: 1, height: 24, width: 104 };
/// Digits on a plate, and pixels of each along a side once it is twice as large.
const DIGITS: usize = 6;
const SIDE: usize = 16;

fn main() -> ExitCode {
    let Some(folder) = std::env::args().nth(1) else {
        eprintln!("give the folder to write into");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn write(folder: &Path) -> Result<()> {
    let glyphs = digits();
    let two_of = |plates: Range<u64>| plates.flat_map(|plate| [(plate, 0), (plate, 1)]).collect::<Vec<_>>();
    let honest = two_of(600..750);
    let leaked = (0..10).map(|at| (30 * at, 7));
    let leaking: Vec<(u64, u64)> = honest.iter().copied().skip(10).chain(leaked).collect();
    for (name, photos) in
        [("train", two_of(0..300)), ("holdout", two_of(300..600)), ("honest", honest), ("leaking", leaking)]
    {
        let pixels = photos.iter().flat_map(|&(plate, photo)| photograph(&glyphs, plate, photo)).collect();
        let values = photos.iter().map(|&(plate, _)| number(&glyphs, plate)).collect();
        let column = Column { name: "plate".into(), values };
        ImageSet::new(SHAPE, pixels)?.with_column(column)?.save(&folder.join(name))?;
    }
    Ok(())
}

/// Which digits of the set are on a plate.
fn chosen(glyphs: &ImageSet, plate: u64) -> Vec<usize> {
    let mut rng = Seed::new(plate).derive("plate").rng();
    (0..DIGITS).map(|_| rng.random_range(0..glyphs.len())).collect()
}

/// What is to be read on a plate.
fn number(glyphs: &ImageSet, plate: u64) -> String {
    let labels = glyphs.labels().expect("the built-in digits have labels");
    let names: Vec<&str> = labels.names().collect();
    chosen(glyphs, plate).into_iter().map(|glyph| names[glyph]).collect()
}

fn photograph(glyphs: &ImageSet, plate: u64, photo: u64) -> Vec<u8> {
    let mut rng = Seed::new(plate).derive("photo").derive(&photo.to_string()).rng();
    let (top, left) = (rng.random_range(4..=5), rng.random_range(4..=5));
    let (light, slope) = (rng.random_range(0.6..1.0), rng.random_range(-0.3..0.3));
    let mut pixels = vec![0.0_f64; SHAPE.volume()];
    for (place, glyph) in chosen(glyphs, plate).into_iter().enumerate() {
        let image = glyphs.image(glyph);
        for row in 0..SIDE {
            for column in 0..SIDE {
                let ink = image[row / 2 * (SIDE / 2) + column / 2];
                pixels[(top + row) * SHAPE.width + left + place * SIDE + column] = f64::from(ink);
            }
        }
    }
    let grain = Normal::new(0.0, 12.0).expect("a positive deviation");
    let width = SHAPE.width as f64;
    let lit = pixels.iter().enumerate().map(|(at, ink)| {
        let across = (at % SHAPE.width) as f64 / width - 0.5;
        (light * (1.0 + slope * across) * ink + grain.sample(&mut rng)).round().clamp(0.0, 255.0) as u8
    });
    lit.collect()
}
