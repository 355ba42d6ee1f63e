use std::path::Path;

use crate::{ImageSet, Result, Shape, write_png};

/// Writes the images at `cells` side by side into one PNG, `columns` to a row, with one pixel of white between them.
///
/// # Errors
/// If the file cannot be written.
///
/// # Panics
/// If a cell is not below the number of images.
pub fn write_grid(images: &ImageSet, cells: &[usize], columns: usize, path: &Path) -> Result<()> {
    let shape = images.shape();
    let columns = columns.min(cells.len()).max(1);
    let rows = cells.len().div_ceil(columns).max(1);
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
    write_png(canvas, &values, path)
}

/// Cells for [`write_grid`]: the first `columns` images of each of at most `rows` classes that have as many, one class a
/// row; the first images of all where no class has.
pub fn first_of_each_class(images: &ImageSet, rows: usize, columns: usize) -> Vec<usize> {
    let by_class = images.labels().map(|labels| labels.by_class()).unwrap_or_default();
    let full = by_class.iter().filter(|members| members.len() >= columns).take(rows);
    let cells: Vec<usize> = full.flat_map(|members| &members[..columns]).copied().collect();
    if cells.is_empty() { (0..images.len().min(rows * columns)).collect() } else { cells }
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
        write_grid(&images, &[0, 1, 2], 2, &path).unwrap();
        let grid = image::open(&path).unwrap().to_rgb8();
        assert_eq!(grid.dimensions(), (3, 5));
        assert_eq!(grid.get_pixel(0, 1).0, [1, 3, 5]);
        assert_eq!(grid.get_pixel(2, 0).0, [6, 8, 10]);
        assert_eq!(grid.get_pixel(0, 3).0, [12, 14, 16]);
        assert_eq!(grid.get_pixel(1, 0).0, [255; 3]);
    }
}
