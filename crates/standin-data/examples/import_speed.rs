//! How fast a set is imported, and where the time goes: `cargo run --release -p standin-data --example import_speed --
//! FOLDER [REPEATS]`.
//!
//! Prints the fastest of the repeats for: reading the files, reading and decoding them without keeping pixels, the
//! import into memory, and the import to disk; then the most memory the process has held before and after that.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rayon::prelude::*;
use standin_data::{ImportOptions, Silent, import, import_to};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("usage: import_speed FOLDER [REPEATS]")?);
    let repeats: usize = arguments.next().map_or(Ok(3), |text| text.parse())?;
    let mut files = Vec::new();
    walk(&folder, &mut files)?;

    let scratch = tempfile::tempdir()?;
    let target = scratch.path().join("set");
    let options = ImportOptions::default();
    let mut images = 0;
    let to_disk = fastest(repeats, || {
        let parts = import_to(&folder, &options, &target, true, &Silent).unwrap();
        images = parts.iter().map(|(_, set)| set.len()).sum();
    });
    let streaming = peak();
    let to_memory = fastest(repeats, || {
        black_box(import(&folder, &options, &Silent).unwrap());
    });
    let whole = peak();
    let read = fastest(repeats, || files.par_iter().for_each(|file| drop(black_box(fs::read(file).unwrap()))));
    let decode = fastest(repeats, || {
        files.par_iter().for_each(|file| {
            black_box(image::load_from_memory(&fs::read(file).unwrap()).ok());
        });
    });
    println!("{images} images, {} threads", rayon::current_num_threads());
    for (what, seconds) in
        [("read", read), ("read and decode", decode), ("import to memory", to_memory), ("import to disk", to_disk)]
    {
        println!("{what:<17} {seconds:>7.3} s  {:>7.0} images/s", images as f64 / seconds);
    }
    println!("most memory: {streaming} after the import to disk, {whole} after the import to memory");
    Ok(())
}

fn fastest(repeats: usize, mut work: impl FnMut()) -> f64 {
    (0..repeats.max(1))
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path.extension().is_some_and(|ending| ["png", "jpg", "jpeg"].iter().any(|known| ending == *known)) {
            files.push(path);
        }
    }
    Ok(())
}

/// The high-water mark of resident memory, and of the part of it that is not mapped files, where Linux tells.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    match (field("VmHWM:"), field("RssAnon:")) {
        (Some(peak), Some(now)) => format!("{:.0} MiB ({:.0} MiB held now)", peak / 1024.0, now / 1024.0),
        _ => "unknown".to_owned(),
    }
}
