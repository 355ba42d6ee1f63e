//! Volumes to try segmentation on: a noisy bright ball among distractors in each, with its label.
//!
//! ```text
//! cargo run --release -p standin -p standin-segment --example balls -- FOLDER [COUNT]
//! ```
//!
//! writes COUNT (12 unless said) images and labels of 32³ voxels into FOLDER as `ball-00-image.nii.gz`,
//! `ball-00-label.nii.gz` and so on, and the last quarter's names into `FOLDER/test.txt`.

use std::path::PathBuf;
use std::process::ExitCode;

use rand::RngExt;
use rand_distr::StandardNormal;
use standin_data::{Result, Seed};
use standin_segment::{Grid, IntensityVolume, LabelVolume};

const SIDE: usize = 32;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (folder, count) = (arguments.next().map(PathBuf::from), arguments.next().unwrap_or_else(|| "12".into()));
    let (Some(folder), Ok(count)) = (folder, count.parse::<usize>()) else {
        eprintln!("expected a folder and at most a number of volumes");
        return ExitCode::from(2);
    };
    match (0..count).try_for_each(|at| write(&folder, at)).and_then(|()| list(&folder, count)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn list(folder: &std::path::Path, count: usize) -> Result<()> {
    let names: String = (count - count.div_ceil(4)..count).map(|at| format!("ball-{at:02}\n")).collect();
    let path = folder.join("test.txt");
    std::fs::write(&path, names).map_err(standin_data::Error::io("writing", &path))
}

fn write(folder: &std::path::Path, at: usize) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(standin_data::Error::io("making the folder", folder))?;
    let mut rng = Seed::new(at as u64).derive("ball").rng();
    let radius = rng.random_range(5.0..9.0);
    let centre: [f64; 3] = std::array::from_fn(|_| rng.random_range(radius + 1.0..SIDE as f64 - radius - 1.0));
    // Long bars as bright as the ball, which intensity alone does not tell from it.
    let bars: Vec<([f64; 2], usize)> =
        (0..3).map(|_| ([rng.random_range(3.0..29.0), rng.random_range(3.0..29.0)], rng.random_range(0..3))).collect();
    let count = SIDE.pow(3);
    let (mut voxels, mut labels) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for index in 0..count {
        let place = [index % SIDE, index / SIDE % SIDE, index / (SIDE * SIDE)].map(|at| at as f64);
        let distance: f64 = (0..3).map(|axis| (place[axis] - centre[axis]).powi(2)).sum::<f64>().sqrt();
        let inside = distance < radius;
        let on_bar = bars.iter().any(|(at, along)| {
            let across: Vec<f64> = (0..3).filter(|axis| axis != along).map(|axis| place[axis]).collect();
            (across[0] - at[0]).abs() < 2.0 && (across[1] - at[1]).abs() < 2.0
        });
        let noise: f32 = rng.sample(StandardNormal);
        voxels.push(if inside || on_bar { 100.0 } else { 40.0 } + 20.0 * noise);
        labels.push(u32::from(inside));
    }
    let affine = [[-1.0, 0.0, 0.0, 16.0], [0.0, -1.0, 0.0, 16.0], [0.0, 0.0, 1.5, -24.0]];
    let grid = Grid::new([SIDE; 3], affine)?;
    IntensityVolume::new(grid.clone(), voxels)?.write(&folder.join(format!("ball-{at:02}-image.nii.gz")))?;
    LabelVolume::new(grid, labels)?.write(&folder.join(format!("ball-{at:02}-label.nii.gz")))
}
