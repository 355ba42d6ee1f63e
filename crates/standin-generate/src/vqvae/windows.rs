use rayon::prelude::*;
use standin_data::{ImageSet, Shape};

/// Images with a longer side than this are averaged down to it or less.
const LARGEST: usize = 64;

/// Cells along the longer side, at most.
const CELLS: usize = 8;

/// How an image is cut: a grid of cells that tile it, and around each cell a window that overlaps its neighbours' by half.
///
/// The first layer of the encoder on the windows is a convolution whose kernel is about twice its stride, and the last
/// layer of the decoder with the windows added up is a transposed convolution of the same kind. Written as matrix
/// products on windows they run several times faster on a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Windows {
    shape: Shape,
    factor: usize,
    pooled: Shape,
    side: usize,
    rows: usize,
    columns: usize,
    /// For each value of each window within one plane: the pixel there, or the nearest one, and whether it is inside.
    places: Vec<(u32, bool)>,
}

impl Windows {
    /// Windows for images of one shape: averaged over squares of pixels until the longer side is at most 64, then cut
    /// into cells of at least 2 × 2 pixels, at most 8 along the longer side.
    pub(super) fn new(shape: Shape) -> Self {
        let factor = shape.height.max(shape.width).div_ceil(LARGEST);
        let (height, width) = (shape.height.div_ceil(factor), shape.width.div_ceil(factor));
        let cell = height.max(width).div_ceil(CELLS).max(2);
        let margin = cell / 2;
        let side = cell + 2 * margin;
        let (rows, columns) = (height.div_ceil(cell), width.div_ceil(cell));
        let mut places = Vec::with_capacity(rows * columns * side * side);
        for position in 0..rows * columns {
            for place in 0..side * side {
                let down = (position / columns * cell + place / side) as i64 - margin as i64;
                let right = (position % columns * cell + place % side) as i64 - margin as i64;
                let (y, x) = (down.clamp(0, height as i64 - 1), right.clamp(0, width as i64 - 1));
                places.push(((y * width as i64 + x) as u32, (y, x) == (down, right)));
            }
        }
        let pooled = Shape { channels: shape.channels, height, width };
        Self { shape, factor, pooled, side, rows, columns, places }
    }

    /// Windows of an image.
    pub(super) fn positions(&self) -> usize {
        self.rows * self.columns
    }

    /// Rows and columns of windows.
    pub(super) fn grid(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Values of a window: channel, row, column.
    pub(super) fn volume(&self) -> usize {
        self.shape.channels * self.side * self.side
    }

    /// The side of a window in averaged pixels, and of an averaged pixel in pixels.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.side, self.factor)
    }

    /// The averaged pixels of the images at `indices`, one row of values in [−0.5, 0.5] per image.
    pub(super) fn pool(&self, images: &ImageSet, indices: &[usize]) -> Vec<f32> {
        indices.par_iter().flat_map_iter(|&index| self.pool_one(images.image(index))).collect()
    }

    fn pool_one(&self, image: &[u8]) -> Vec<f32> {
        let Shape { height, width, .. } = self.shape;
        let average = |plane: &[u8], row: usize, column: usize| {
            let rows = row * self.factor..((row + 1) * self.factor).min(height);
            let columns = column * self.factor..((column + 1) * self.factor).min(width);
            let count = rows.len() * columns.len();
            let sum: u32 = rows.flat_map(|y| &plane[y * width..][columns.clone()]).map(|&pixel| u32::from(pixel)).sum();
            sum as f32 / (255 * count) as f32 - 0.5
        };
        let planes = image.chunks_exact(height * width);
        planes
            .flat_map(|plane| {
                let places = (0..self.pooled.height * self.pooled.width)
                    .map(|at| (at / self.pooled.width, at % self.pooled.width));
                places.map(move |(row, column)| average(plane, row, column))
            })
            .collect()
    }

    /// The windows of averaged images, one row per window, image after image; beyond its border an image repeats it.
    pub(super) fn cut(&self, pooled: &[f32]) -> Vec<f32> {
        self.gather(pooled, |value, _| value)
    }

    /// The transpose of [`Windows::add`]: the windows of averaged images, 0 beyond the border.
    pub(super) fn cut_with_zeros(&self, pooled: &[f32]) -> Vec<f32> {
        self.gather(pooled, |value, inside| if inside { value } else { 0.0 })
    }

    fn gather(&self, pooled: &[f32], value: impl Fn(f32, bool) -> f32 + Sync) -> Vec<f32> {
        let (area, plane) = (self.side * self.side, self.pooled.height * self.pooled.width);
        let images = pooled.len() / self.pooled.volume();
        let mut windows = vec![0.0; images * self.positions() * self.volume()];
        windows
            .par_chunks_exact_mut(self.positions() * self.volume())
            .zip(pooled.par_chunks_exact(self.pooled.volume()))
            .for_each(|(windows, image)| {
                for (window, places) in windows.chunks_exact_mut(self.volume()).zip(self.places.chunks_exact(area)) {
                    for (channel, values) in window.chunks_exact_mut(area).enumerate() {
                        let plane = &image[channel * plane..][..plane];
                        for (target, &(at, inside)) in values.iter_mut().zip(places) {
                            *target = value(plane[at as usize], inside);
                        }
                    }
                }
            });
        windows
    }

    /// Averaged images from windows laid over each other: each pixel is the sum of the window values there.
    pub(super) fn add(&self, windows: &[f32]) -> Vec<f32> {
        let (area, plane) = (self.side * self.side, self.pooled.height * self.pooled.width);
        let images = windows.len() / (self.positions() * self.volume());
        let mut pooled = vec![0.0; images * self.pooled.volume()];
        pooled
            .par_chunks_exact_mut(self.pooled.volume())
            .zip(windows.par_chunks_exact(self.positions() * self.volume()))
            .for_each(|(image, windows)| {
                for (window, places) in windows.chunks_exact(self.volume()).zip(self.places.chunks_exact(area)) {
                    for (channel, values) in window.chunks_exact(area).enumerate() {
                        let plane = &mut image[channel * plane..][..plane];
                        for (&value, &(at, inside)) in values.iter().zip(places) {
                            if inside {
                                plane[at as usize] += value;
                            }
                        }
                    }
                }
            });
        pooled
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn windows(channels: usize, height: usize, width: usize) -> Windows {
        Windows::new(Shape { channels, height, width })
    }

    #[test]
    fn grids_have_at_most_eight_cells_along_the_longer_side() {
        for (height, width, grid, pooled) in [
            (28, 28, (7, 7), (28, 28)),
            (64, 64, (8, 8), (64, 64)),
            (112, 112, (8, 8), (56, 56)),
            (150, 200, (6, 8), (38, 50)),
            (8, 8, (4, 4), (8, 8)),
            (1, 5, (1, 3), (1, 5)),
        ] {
            let windows = windows(1, height, width);
            assert_eq!((windows.grid(), (windows.pooled.height, windows.pooled.width)), (grid, pooled));
        }
    }

    #[test]
    fn averaged_pixels_are_means_and_borders_average_what_is_there() {
        let images = ImageSet::new(Shape { channels: 1, height: 1, width: 65 }, (0..65).collect()).unwrap();
        let pooled = windows(1, 1, 65).pool(&images, &[0]);
        assert_eq!(pooled.len(), 33);
        assert!((pooled[3] + 0.5 - 6.5 / 255.0).abs() < 1e-6);
        assert!((pooled[32] + 0.5 - 64.0 / 255.0).abs() < 1e-6);
    }

    #[test]
    fn windows_show_their_part_of_the_image_and_repeat_its_border() {
        let windows = windows(1, 4, 4);
        let image: Vec<f32> = (0..16).map(|at| at as f32).collect();
        let cut = windows.cut(&image);
        assert_eq!((windows.positions(), windows.volume()), (4, 16));
        assert_eq!(cut[..16], [0., 0., 1., 2., 0., 0., 1., 2., 4., 4., 5., 6., 8., 8., 9., 10.]);
        assert_eq!(cut[48..], [5., 6., 7., 7., 9., 10., 11., 11., 13., 14., 15., 15., 13., 14., 15., 15.]);
    }

    /// ⟨windows, cut(image)⟩ = ⟨add(windows), image⟩ for random values, within the rounding of f32.
    #[test]
    fn cutting_with_zeros_is_the_transpose_of_adding() {
        let mut rng = Seed::new(1).rng();
        for (channels, height, width) in [(1, 28, 28), (3, 17, 9), (1, 70, 33)] {
            let windows = windows(channels, height, width);
            let mut draw = |length: usize| (0..length).map(|_| rng.random::<f32>() - 0.5).collect::<Vec<_>>();
            let images = draw(2 * windows.pooled.volume());
            let values = draw(2 * windows.positions() * windows.volume());
            let inner = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let (left, right) =
                (inner(&values, &windows.cut_with_zeros(&images)), inner(&windows.add(&values), &images));
            assert!((left - right).abs() < 1e-3, "{left} for {right}");
        }
    }
}
