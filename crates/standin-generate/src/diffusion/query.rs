//! Which public images are most like the private ones: a noised histogram (Li, Wang, Chen & Liu 2024, PrivImage, the
//! "semantic query").
//!
//! Public images are divided into [`Cells`]. Each private image votes once, for the cell it falls into, in the histogram
//! of its class: adding or removing an image changes one count by 1, so the histogram of all classes has ℓ₂ sensitivity 1.
//! It is released once with Gaussian noise. Everything after is post-processing of it and of public images.

use standin_data::{ImageSet, Labels};
use standin_privacy::NoiseSource;

use super::cells::Cells;
use crate::Result;

/// Votes of private images, `classes × cells`, without noise: they never leave this crate.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Votes {
    counts: Vec<f64>,
    cells: usize,
}

impl Votes {
    /// The vote of each image, for the cell it falls into, in its class.
    pub(crate) fn of(images: &ImageSet, labels: &Labels, cells: &Cells) -> Self {
        let mut counts = vec![0.0; labels.classes.len() * cells.len()];
        for (cell, &label) in cells.nearest(images).into_iter().zip(&labels.values) {
            counts[label as usize * cells.len() + cell] += 1.0;
        }
        Self { counts, cells: cells.len() }
    }

    /// The cells with most votes of each class after noise of standard deviation `sigma` on every count: `chosen` of them,
    /// best first. The votes without noise are forgotten.
    ///
    /// # Errors
    /// If no noise can be drawn.
    pub(crate) fn release(mut self, sigma: f64, chosen: usize, noise: &mut NoiseSource) -> Result<Vec<Vec<usize>>> {
        noise.add_gaussian(sigma, &mut self.counts)?;
        let best = |counts: &[f64]| {
            let mut order: Vec<usize> = (0..counts.len()).collect();
            order.sort_by(|&a, &b| counts[b].total_cmp(&counts[a]));
            order.truncate(chosen);
            order
        };
        Ok(self.counts.chunks_exact(self.cells).map(best).collect())
    }
}

/// The public images of the chosen cells, each under every private class that chose its cell: places and classes.
///
/// `cells` is the cell of each public image.
pub(crate) fn subset(cells: &[usize], chosen: &[Vec<usize>]) -> (Vec<usize>, Vec<u32>) {
    let of_class = |(class, chosen): (usize, &Vec<usize>)| {
        let members = (0..cells.len()).filter(|&image| chosen.contains(&cells[image]));
        members.map(|image| (image, class as u32)).collect::<Vec<_>>()
    };
    chosen.iter().enumerate().flat_map(of_class).unzip()
}

#[cfg(test)]
mod tests {
    use standin_data::{Seed, Shape};

    use super::*;

    /// Ten grey levels; class 0 is dark and class 1 is bright.
    fn sets() -> (ImageSet, ImageSet, Labels) {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let public = ImageSet::new(shape, (0..200).map(|image| (image % 10 * 25) as u8).collect()).unwrap();
        let private: Vec<u8> = (0..100).map(|image| if image % 2 == 0 { 25 } else { 200 }).collect();
        let labels = Labels {
            values: (0..100).map(|image| image % 2).collect(),
            classes: vec!["dark".to_owned(), "bright".to_owned()],
        };
        (public, ImageSet::new(shape, private).unwrap(), labels)
    }

    #[test]
    fn each_class_chooses_the_public_images_like_its_own() {
        let (public, private, labels) = sets();
        let cells = Cells::of(&public, 200, Seed::new(1));
        let votes = Votes::of(&private, &labels, &cells);
        let mut noise = NoiseSource::reproducible(Seed::new(2));
        let chosen = votes.release(2.0, 1, &mut noise).unwrap();
        let (images, classes) = subset(&cells.nearest(&public), &chosen);
        assert_eq!(images.len(), 40);
        for (&image, &class) in images.iter().zip(&classes) {
            assert_eq!(public.image(image), [[25], [200]][class as usize]);
        }
    }

    #[test]
    fn one_image_more_changes_one_vote_by_one() {
        let (public, private, labels) = sets();
        let cells = Cells::of(&public, 5, Seed::new(1));
        let all = Votes::of(&private, &labels, &cells);
        for left_out in [0, 1, 57, 99] {
            let rest: Vec<usize> = (0..100).filter(|&image| image != left_out).collect();
            let fewer = private.clone().with_labels(labels.clone()).unwrap().select(&rest);
            let without = Votes::of(&fewer, fewer.labels().unwrap(), &cells);
            let mut changes: Vec<f64> = all.counts.iter().zip(&without.counts).map(|(a, b)| a - b).collect();
            changes.retain(|&change| change != 0.0);
            assert_eq!(changes, [1.0]);
        }
    }

    /// The null: noise far above the votes chooses at random.
    #[test]
    fn noise_drowns_the_votes() {
        let (public, private, labels) = sets();
        let cells = Cells::of(&public, 200, Seed::new(1));
        let right = (0..200).filter(|&seed| {
            let mut noise = NoiseSource::reproducible(Seed::new(seed));
            let chosen = Votes::of(&private, &labels, &cells).release(1e5, 1, &mut noise).unwrap();
            chosen == Votes::of(&private, &labels, &cells).release(1e-3, 1, &mut noise).unwrap()
        });
        assert!(right.count() < 10);
    }
}
