//! `standin segment predict`.

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use standin_data::Progress as _;
use standin_segment::{Model, Role, Sliding, read_list, volumes};

use super::super::Context;
use crate::failure::{Failure, Status};
use crate::output::{Align, table};

/// Writes NAME.nii.gz for each image, on the image's own grid: shape, spacing, orientation and place are those of the file,
/// so that viewers lay one over the other
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  standin segment predict --model model/ --images scans/ --out predicted/
  standin segment predict --model model/ --images scans/ --volumes model/test.txt --out predicted/ --stride 16,16,16

Exit status: 0 done, 2 the input or the usage is wrong, 3 an internal failure.")]
pub struct Predict {
    /// A folder that `standin segment train` wrote
    #[arg(long, value_name = "DIR")]
    model: PathBuf,

    /// Folder of images (.nii, .nii.gz)
    #[arg(long, value_name = "DIR")]
    images: PathBuf,

    /// Only the volumes named in this text file, a name a line
    #[arg(long, value_name = "FILE")]
    volumes: Option<PathBuf>,

    /// Folder for the predictions
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Distance of neighbouring windows in voxels along each axis [default: half of the window]
    #[arg(long, value_name = "X,Y,Z")]
    stride: Option<Stride>,

    /// Replace predictions that are there
    #[arg(long)]
    force: bool,
}

/// Three numbers with commas between.
#[derive(Clone, Copy, Debug)]
struct Stride([usize; 3]);

impl std::str::FromStr for Stride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Option<Vec<usize>> = text.split(',').map(|number| number.trim().parse().ok()).collect();
        let three = numbers.and_then(|numbers| numbers.try_into().ok());
        three.map(Self).ok_or_else(|| "give three whole numbers with commas between, such as 16,16,16".into())
    }
}

/// A prediction is in the way.
#[derive(Debug, thiserror::Error)]
#[error("{}: already exists; choose another folder, or --force to replace it", path.display())]
struct Exists {
    path: PathBuf,
}

/// No image has this name.
#[derive(Debug, thiserror::Error)]
#[error("{}: has no image of the name {name}, which the list has; correct the list", folder.display())]
struct Absent {
    folder: PathBuf,
    name: String,
}

#[derive(Debug, Serialize)]
struct Predicted {
    name: String,
    file: PathBuf,
    shape: [usize; 3],
    /// Voxels that are not background.
    labelled: usize,
    seconds: f64,
}

impl Predict {
    /// Predicts and writes each volume.
    pub fn run(self, context: &Context<'_>) -> Result<Status, Failure> {
        let progress = context.terminal.progress("segment");
        let model = Model::load(&self.model)?;
        let mut images = volumes(&self.images, Role::Image, &progress)?;
        if let Some(list) = &self.volumes {
            let names = read_list(list)?;
            if let Some(name) = names.iter().find(|name| !images.contains_key(*name)) {
                return Err(Absent { folder: self.images, name: name.clone() }.into());
            }
            images.retain(|name, _| names.contains(name));
        }
        let window = model.description.settings.patch;
        let sliding = self.stride.map_or(Sliding::half(window), |Stride(stride)| Sliding { stride });
        let outputs: Vec<PathBuf> = images.keys().map(|name| self.out.join(format!("{name}.nii.gz"))).collect();
        if let Some(path) = outputs.iter().find(|path| path.exists() && !self.force) {
            return Err(Exists { path: path.clone() }.into());
        }
        let learnt = &model.description.volumes;
        let known = images.keys().filter(|name| learnt.labelled.contains(*name) || learnt.unlabelled.contains(*name));
        let known = known.count();
        if known > 0 {
            progress.warn(&format!(
                "{known} of {} volumes were learnt from: scores on them say nothing about new ones",
                images.len()
            ));
        }
        std::fs::create_dir_all(&self.out)?;
        progress.begin("predict", images.len() as u64);
        let mut predicted = Vec::with_capacity(images.len());
        for ((name, image), file) in images.into_iter().zip(outputs) {
            let start = Instant::now();
            let labels = model.predict(&image, &sliding, &progress)?;
            labels.write(&file)?;
            let background = model.description.labels[0];
            predicted.push(Predicted {
                name,
                file,
                shape: labels.grid().shape(),
                labelled: labels.voxels().iter().filter(|&&label| label != background).count(),
                seconds: start.elapsed().as_secs_f64(),
            });
            progress.advance(1);
        }
        progress.end();
        context.output.print(&predicted, || text(&predicted))?;
        Ok(Status::Done)
    }
}

fn text(predicted: &[Predicted]) -> String {
    let header =
        [("volume", Align::Left), ("voxels", Align::Right), ("with a label", Align::Right), ("seconds", Align::Right)];
    let rows = predicted.iter().map(|volume| {
        let [x, y, z] = volume.shape;
        let seconds = format!("{:.1}", volume.seconds);
        vec![volume.name.clone(), format!("{x}×{y}×{z}"), volume.labelled.to_string(), seconds]
    });
    table(&header, rows)
}
