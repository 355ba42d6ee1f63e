use rand::seq::index::sample;
use rayon::prelude::*;
use standin_data::{ImageSet, Seed};

/// Rounds of Lloyd's algorithm: on images, later ones move few of them.
const ROUNDS: usize = 12;

/// A division of images into cells of like images: k-means on pixel values in [0, 1] (Lloyd 1982). Made from public images.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    /// One centre per cell, `pixels` values each.
    centres: Vec<f32>,
    pixels: usize,
}

impl Cells {
    /// At most `cells` cells, started from images drawn at random. At least one of the images falls into each.
    ///
    /// Cost: rounds × images × cells × pixels.
    pub(crate) fn of(images: &ImageSet, cells: usize, seed: Seed) -> Self {
        let pixels = images.shape().volume();
        let scaled = |image: usize| images.image(image).iter().map(|&value| f32::from(value) / 255.0);
        let starts = sample(&mut seed.rng(), images.len(), cells.min(images.len()));
        let mut division = Self { centres: starts.into_iter().flat_map(scaled).collect(), pixels };
        for _ in 0..ROUNDS {
            let nearest = division.nearest(images);
            let mut sums = vec![0u64; division.centres.len()];
            let mut counts = vec![0u64; division.len()];
            for (image, &cell) in nearest.iter().enumerate() {
                counts[cell] += 1;
                let sum = &mut sums[cell * pixels..(cell + 1) * pixels];
                sum.iter_mut().zip(images.image(image)).for_each(|(sum, &value)| *sum += u64::from(value));
            }
            let rows = division.centres.chunks_exact_mut(pixels).zip(sums.chunks_exact(pixels));
            for ((centre, sum), &count) in rows.zip(&counts).filter(|(_, count)| **count > 0) {
                let scale = 255.0 * count as f64;
                centre.iter_mut().zip(sum).for_each(|(centre, &sum)| *centre = (sum as f64 / scale) as f32);
            }
        }
        division.filled(images)
    }

    /// Without the cells that no image falls into: a start may lie where another, the same one, already is.
    fn filled(self, images: &ImageSet) -> Self {
        let mut holds = vec![false; self.len()];
        self.nearest(images).into_iter().for_each(|cell| holds[cell] = true);
        let rows = self.centres.chunks_exact(self.pixels).zip(holds);
        let centres = rows.filter(|(_, holds)| *holds).flat_map(|(centre, _)| centre.to_vec()).collect();
        Self { centres, pixels: self.pixels }
    }

    /// Number of cells.
    pub(crate) fn len(&self) -> usize {
        self.centres.len() / self.pixels
    }

    /// The cell of each image: that of the nearest centre, by this image alone.
    pub(crate) fn nearest(&self, images: &ImageSet) -> Vec<usize> {
        let squares: Vec<f32> =
            self.centres.chunks_exact(self.pixels).map(|centre| centre.iter().map(|c| c * c).sum()).collect();
        let cell = |image: &[u8]| {
            let values: Vec<f32> = image.iter().map(|&value| f32::from(value) / 255.0).collect();
            let product = |centre: &[f32]| centre.iter().zip(&values).map(|(c, v)| c * v).sum::<f32>();
            // ‖x − c‖² up to ‖x‖², which all cells share.
            let distances =
                self.centres.chunks_exact(self.pixels).zip(&squares).map(|(c, square)| square - 2.0 * product(c));
            let nearest = distances.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b));
            nearest.map_or(0, |(cell, _)| cell)
        };
        images.pixels().par_chunks(self.pixels).map(cell).collect()
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    #[test]
    fn well_separated_images_fall_into_cells_of_their_own() {
        let shape = Shape { channels: 1, height: 1, width: 2 };
        let corners = [[10, 10], [240, 10], [10, 240]];
        let pixels: Vec<u8> = (0..60u8).flat_map(|image| corners[image as usize % 3].map(|v| v + image % 7)).collect();
        let images = ImageSet::new(shape, pixels).unwrap();
        // Some starts put two centres into one corner; of several, the best division is the corners'.
        let separates = (0..10).any(|seed| {
            let cells = Cells::of(&images, 3, Seed::new(seed)).nearest(&images);
            let apart = cells[0] != cells[1] && cells[1] != cells[2] && cells[0] != cells[2];
            apart && (3..60).all(|image| cells[image] == cells[image % 3])
        });
        assert!(separates);
    }

    #[test]
    fn every_cell_holds_an_image() {
        let images = ImageSet::new(Shape { channels: 1, height: 1, width: 1 }, vec![7, 7, 7, 7, 200]).unwrap();
        let cells = Cells::of(&images, 5, Seed::new(1));
        assert_eq!(cells.len(), 2);
        assert!((0..2).all(|cell| cells.nearest(&images).contains(&cell)));
    }

    #[test]
    fn more_cells_than_images_are_as_many_as_images() {
        let images = ImageSet::new(Shape { channels: 1, height: 1, width: 1 }, vec![0, 255]).unwrap();
        let cells = Cells::of(&images, 9, Seed::new(1));
        assert_eq!(cells.len(), 2);
        assert_ne!(cells.nearest(&images)[0], cells.nearest(&images)[1]);
    }
}
