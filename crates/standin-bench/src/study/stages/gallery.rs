use std::path::Path;

use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Shape};

use super::embed::read_embedding;
use super::{BoxedError, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::summary::{Gallery, NearCopy};

/// Samples of each class in the grid.
const COLUMNS: usize = 12;
/// Rows of the grid for a set without labels, and the most classes shown.
const ROWS: usize = 10;

/// Draws a grid of samples, and the synthetic images nearest to training images beside these. Outputs: PNG files and
/// `gallery.json`.
pub struct DrawGallery {
    /// The synthetic sample.
    pub sample: StageId,
    /// The split whose `train` side the generator saw.
    pub split: StageId,
    /// Embedded training images.
    pub train: StageId,
    /// Embedded holdout images, if there are any.
    pub holdout: Option<StageId>,
    /// Embedded synthetic images.
    pub synthetic: StageId,
    /// Pairs to show.
    pub near_copies: usize,
    /// Which release this is, for people.
    pub label: String,
}

impl Stage for DrawGallery {
    fn kind(&self) -> &'static str {
        "gallery"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "near_copies": self.near_copies })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.sample, self.split, self.train, self.synthetic].into_iter().chain(self.holdout).collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let images = ImageSet::open(&inputs.folder(self.sample)?.join("images"))?;
        let train_images = ImageSet::open(&inputs.folder(self.split)?.join("train"))?;
        draw_grid(&images, &out.join("grid.png"))?;

        let read = |stage| -> Result<_, BoxedError> { read_embedding(inputs.folder(stage)?) };
        let ((train, train_rows), (synthetic, synthetic_rows)) = (read(self.train)?, read(self.synthetic)?);
        let holdout = match self.holdout {
            Some(holdout) => read(holdout)?.0,
            None => train.select(&[]),
        };
        let mut near_copies = Vec::new();
        for (rank, copy) in
            standin_measure::near_copies(&train, &holdout, &synthetic, self.near_copies)?.into_iter().enumerate()
        {
            let (in_synthetic, in_train) = (synthetic_rows[copy.synthetic], train_rows[copy.train]);
            let picture = |side: &str| format!("near-copy-{:02}-{side}.png", rank + 1);
            let near_copy = NearCopy {
                synthetic: in_synthetic,
                train: in_train,
                distance: copy.distance,
                p_value: copy.p_value,
                synthetic_picture: picture("synthetic"),
                train_picture: picture("train"),
            };
            write_png(&images, &[in_synthetic], 1, &out.join(&near_copy.synthetic_picture))?;
            write_png(&train_images, &[in_train], 1, &out.join(&near_copy.train_picture))?;
            near_copies.push(near_copy);
        }
        let gallery = Gallery { grid: "grid.png".into(), near_copies, stamp: synthetic.stamp().to_string() };
        write_json(&out.join("gallery.json"), &gallery)
    }

    fn name(&self) -> String {
        self.label.clone()
    }

    fn weight(&self) -> u64 {
        2
    }
}

/// The first images of each class, one class a row.
fn draw_grid(images: &ImageSet, path: &Path) -> Result<(), BoxedError> {
    let cells: Vec<usize> = match images.labels() {
        Some(labels) => labels
            .by_class()
            .iter()
            .filter(|m| m.len() >= COLUMNS)
            .take(ROWS)
            .flat_map(|m| &m[..COLUMNS])
            .copied()
            .collect(),
        None => Vec::new(),
    };
    let cells = if cells.is_empty() { (0..images.len().min(ROWS * COLUMNS)).collect() } else { cells };
    write_png(images, &cells, COLUMNS, path)
}

/// Writes images side by side, `columns` to a row, with one pixel of white between them.
fn write_png(images: &ImageSet, cells: &[usize], columns: usize, path: &Path) -> Result<(), BoxedError> {
    let shape = images.shape();
    let columns = columns.min(cells.len()).max(1);
    let rows = cells.len().div_ceil(columns);
    let canvas = Shape {
        channels: shape.channels,
        height: rows * (shape.height + 1) - 1,
        width: columns * (shape.width + 1) - 1,
    };
    let mut values = vec![255; canvas.volume()];
    for (cell, &index) in cells.iter().enumerate() {
        let (top, left) = (cell / columns * (shape.height + 1), cell % columns * (shape.width + 1));
        for (line, row) in images.image(index).chunks_exact(shape.width).enumerate() {
            let (channel, y) = (line / shape.height, line % shape.height);
            let start = (channel * canvas.height + top + y) * canvas.width + left;
            values[start..start + shape.width].copy_from_slice(row);
        }
    }
    Ok(standin_data::write_png(canvas, &values, path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_stand_where_they_belong() {
        let shape = Shape { channels: 3, height: 2, width: 1 };
        let pixels = (0..18).collect();
        let images = ImageSet::new(shape, pixels).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grid.png");
        write_png(&images, &[0, 1, 2], 2, &path).unwrap();
        let grid = image::open(&path).unwrap().to_rgb8();
        assert_eq!(grid.dimensions(), (3, 5));
        assert_eq!(grid.get_pixel(0, 1).0, [1, 3, 5]);
        assert_eq!(grid.get_pixel(2, 0).0, [6, 8, 10]);
        assert_eq!(grid.get_pixel(0, 3).0, [12, 14, 16]);
        assert_eq!(grid.get_pixel(1, 0).0, [255; 3]);
    }
}
