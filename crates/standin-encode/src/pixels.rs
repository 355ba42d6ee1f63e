use standin_data::{ImageSet, Progress};

use crate::{Embedding, Encoder, Result, Stamp};

/// The pixels themselves, divided by 255: channel, row, column.
///
/// Distances are those of the images as stored, so copies are found whatever they show, but a shift by one pixel counts
/// as much as another motif.
pub(crate) struct Pixels;

impl Encoder for Pixels {
    fn stamp(&self, images: &ImageSet) -> Result<Stamp> {
        Ok(Stamp::new("pixels", format!("{} pixels / 255", images.shape())))
    }

    fn encode(&self, images: &ImageSet, progress: &dyn Progress) -> Result<Embedding> {
        progress.begin("pixels", images.len() as u64);
        let values = images.pixels().iter().map(|&value| f32::from(value) / 255.0).collect();
        progress.advance(images.len() as u64);
        progress.end();
        Embedding::new(values, images.shape().volume(), self.stamp(images)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use standin_data::{Shape, Silent};

    #[test]
    fn pixels_are_divided_by_255_and_keep_their_order() {
        let shape = Shape { channels: 1, height: 1, width: 2 };
        let images = ImageSet::new(shape, vec![0, 51, 255, 102]).unwrap();
        let embedding = Pixels.encode(&images, &Silent).unwrap();
        assert_eq!(embedding.row(0), [0.0, 0.2]);
        assert_eq!(embedding.row(1), [1.0, 0.4]);
        assert_eq!(embedding.stamp().to_string(), "pixels (1×1×2 pixels / 255)");
    }
}
