use serde::{Deserialize, Serialize};
use standin_data::Shape;

/// How an image is laid out for a network: in squares of `patch` × `patch` pixels that become channels (space to depth), on
/// a plane whose sides the network can halve as often as it does.
///
/// Patches make the most costly level of a U-Net patch² times cheaper (Luhman & Luhman 2022). Where an image does not fill
/// the plane, its edge pixels are repeated around it; they are cut off when it is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Canvas {
    /// Shape of an image.
    pub(crate) shape: Shape,
    /// Side of a patch, at least 1.
    pub(crate) patch: usize,
    /// The plane's height in patches.
    pub(crate) height: usize,
    /// The plane's width in patches.
    pub(crate) width: usize,
}

impl Canvas {
    /// The smallest plane for images of `shape` whose sides are multiples of `multiple` patches.
    pub(crate) fn new(shape: Shape, patch: usize, multiple: usize) -> Self {
        let side = |pixels: usize| pixels.div_ceil(patch * multiple) * multiple;
        Self { shape, patch, height: side(shape.height), width: side(shape.width) }
    }

    /// Whether an image fits on the plane.
    pub(crate) fn fits(&self) -> bool {
        let Self { shape, patch, height, width } = *self;
        patch > 0 && height * patch >= shape.height && width * patch >= shape.width
    }

    /// Channels of the plane: those of the image times the pixels of a patch.
    pub(crate) fn channels(&self) -> usize {
        self.shape.channels * self.patch * self.patch
    }

    /// Values of the plane.
    pub(crate) fn volume(&self) -> usize {
        self.channels() * self.height * self.width
    }

    /// The image's value behind each value of the plane, in the plane's order; the border repeats edge pixels.
    fn sources(&self) -> impl Iterator<Item = usize> + use<> {
        let Self { shape, patch, height, width } = *self;
        let place = move |at: usize, plane: usize, pixels: usize| {
            let border = (plane * patch - pixels) / 2;
            at.saturating_sub(border).min(pixels - 1)
        };
        (0..self.channels()).flat_map(move |channel| {
            let (colour, inside) = (channel / (patch * patch), channel % (patch * patch));
            let (down, right) = (inside / patch, inside % patch);
            (0..height * width).map(move |position| {
                let row = place(position / width * patch + down, height, shape.height);
                let column = place(position % width * patch + right, width, shape.width);
                (colour * shape.height + row) * shape.width + column
            })
        })
    }

    /// An image's values on the plane, from `channels × height × width` values.
    pub(crate) fn pack<T: Copy, U>(&self, image: &[T], value: impl Fn(T) -> U) -> Vec<U> {
        self.sources().map(|source| value(image[source])).collect()
    }

    /// An image's plane with values in [−1, 1].
    pub(crate) fn symmetric(&self, image: &[u8]) -> Vec<f32> {
        self.pack(image, |pixel| f32::from(pixel) / 127.5 - 1.0)
    }

    /// Images from planes, one after the other.
    pub(crate) fn unpack(&self, planes: &[f32]) -> Vec<f32> {
        let Self { shape, patch, height, width } = *self;
        let (top, left) = ((height * patch - shape.height) / 2, (width * patch - shape.width) / 2);
        let mut images = Vec::with_capacity(planes.len() / self.volume().max(1) * shape.volume());
        for plane in planes.chunks_exact(self.volume()) {
            for colour in 0..shape.channels {
                for row in top..top + shape.height {
                    for column in left..left + shape.width {
                        let channel = (colour * patch + row % patch) * patch + column % patch;
                        images.push(plane[(channel * height + row / patch) * width + column / patch]);
                    }
                }
            }
        }
        images
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_is_read_back_from_its_plane() {
        for (channels, height, width) in [(1, 8, 8), (3, 17, 30), (1, 28, 28), (1, 1, 5)] {
            for (patch, multiple) in [(1, 1), (2, 2), (2, 4), (3, 1)] {
                let shape = Shape { channels, height, width };
                let canvas = Canvas::new(shape, patch, multiple);
                assert!(
                    canvas.fits() && canvas.height.is_multiple_of(multiple) && canvas.width.is_multiple_of(multiple)
                );
                let image: Vec<f32> = (0..shape.volume()).map(|at| at as f32).collect();
                let plane = canvas.pack(&image, |value| value);
                assert_eq!(plane.len(), canvas.volume());
                assert_eq!(canvas.unpack(&[plane.clone(), plane].concat()), [image.clone(), image].concat());
            }
        }
    }

    #[test]
    fn a_patch_becomes_channels_and_the_border_repeats_the_edge() {
        let canvas = Canvas::new(Shape { channels: 1, height: 2, width: 2 }, 2, 1);
        assert_eq!(canvas.pack(&[1, 2, 3, 4], |value| value), [1, 2, 3, 4]);
        assert_eq!((canvas.channels(), canvas.height, canvas.width), (4, 1, 1));
        let canvas = Canvas::new(Shape { channels: 1, height: 1, width: 2 }, 1, 4);
        let row = [5, 5, 6, 6];
        assert_eq!(canvas.pack(&[5, 6], |value| value), [row; 4].concat());
    }
}
