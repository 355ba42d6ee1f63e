//! What a network says of a whole volume: a window that slides, with the probabilities of overlapping windows averaged.
//!
//! Windows are taken slab by slab, from below. As soon as no later window reaches a plane, its classes are decided and its
//! probabilities forgotten, so that beside the volume and its labels only what lies under one slab of windows is held.

use std::collections::VecDeque;
use std::path::Path;

use standin_data::Progress;
use standin_nn::DeviceChoice;
use standin_nn::tensor::{Tensor, TensorData};

use crate::losses::Maps;
use crate::network::VNet;
use crate::preprocess::{linear, read_image};
use crate::{Error, LabelVolume, Model, Prepared, Result, Settings};

/// How the window slides: the distance of neighbouring windows along each axis, at most the window's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// Voxels from one window to the next.
    pub stride: [usize; 3],
}

impl Sliding {
    /// Windows that overlap by half.
    pub fn half(window: [usize; 3]) -> Self {
        Self { stride: window.map(|length| length.div_ceil(2)) }
    }

    fn check(self, window: [usize; 3]) -> Result<()> {
        if (0..3).any(|axis| !(1..=window[axis]).contains(&self.stride[axis])) {
            let expected =
                format!("give three numbers from 1 to those of the window, {window:?}, or voxels are left out");
            return Err(Error::setting("stride", format!("{:?}", self.stride), expected));
        }
        Ok(())
    }
}

/// Where windows begin along an axis: every stride, and one that ends at the end.
fn begins(length: usize, window: usize, stride: usize) -> Vec<usize> {
    let last = length.saturating_sub(window);
    let mut begins: Vec<usize> = (0..last).step_by(stride).collect();
    begins.push(last);
    begins
}

/// A plane whose windows are not all seen yet.
struct Plane {
    /// `classes × rows × columns` sums of probabilities.
    sums: Vec<f32>,
    /// Windows over each place.
    windows: Vec<f32>,
}

/// Receives the planes of a prepared volume in order, as probabilities `classes × rows × columns`.
trait Planes {
    fn plane(&mut self, probabilities: Vec<f32>);
}

/// Slides over a volume and hands each plane on when it is decided.
fn slide(
    network: &VNet,
    image: &Prepared,
    settings: &Settings,
    sliding: &Sliding,
    into: &mut dyn Planes,
    progress: &dyn Progress,
) {
    let window = settings.patch;
    let [columns, rows, slabs] = image.shape;
    let area = columns * rows;
    let of_axis = |axis: usize| begins(image.shape[axis], window[axis], sliding.stride[axis]);
    let (lines, stack) = (of_axis(1), of_axis(2));
    let places: Vec<[usize; 2]> =
        lines.iter().flat_map(|&row| of_axis(0).into_iter().map(move |column| [column, row])).collect();
    let mut planes: VecDeque<Plane> = VecDeque::new();
    let mut done = 0;
    // Together as many windows as there are threads, which share the samples of a batch.
    let together = rayon::current_num_threads().clamp(1, 8);
    // Several slabs of height 1 fill a batch as well as several places of one slab.
    for (at, &slab) in stack.iter().enumerate() {
        let next = stack.get(at + 1).copied().unwrap_or(slabs);
        for places in places.chunks(together) {
            let (maps, probabilities) = probabilities(network, image, settings, slab, places);
            while planes.len() < (slab + window[2]).min(slabs) - done {
                planes.push_back(Plane { sums: vec![0.0; maps.classes * area], windows: vec![0.0; area] });
            }
            for (sample, &[column, row]) in probabilities.chunks(maps.sample()).zip(places) {
                for depth in 0..window[2].min(slabs - slab) {
                    let plane = &mut planes[slab + depth - done];
                    for line in 0..window[1].min(rows - row) {
                        let length = window[0].min(columns - column);
                        let to = (row + line) * columns + column;
                        for class in 0..maps.classes {
                            let from = class * maps.voxels + (depth * window[1] + line) * window[0];
                            let into = &mut plane.sums[class * area + to..][..length];
                            for (into, value) in into.iter_mut().zip(&sample[from..from + length]) {
                                *into += value;
                            }
                        }
                        plane.windows[to..to + length].iter_mut().for_each(|windows| *windows += 1.0);
                    }
                }
            }
        }
        while done < next {
            let Some(Plane { mut sums, windows }) = planes.pop_front() else { break };
            for class in sums.chunks_mut(area) {
                for (sum, windows) in class.iter_mut().zip(&windows) {
                    *sum /= windows;
                }
            }
            into.plane(sums);
            done += 1;
        }
        progress.advance(1);
    }
}

/// The mean probabilities of the decoders for windows of one slab.
fn probabilities(
    network: &VNet,
    image: &Prepared,
    settings: &Settings,
    slab: usize,
    places: &[[usize; 2]],
) -> (Maps, Vec<f32>) {
    let window = settings.patch;
    let [columns, rows, slabs] = image.shape;
    let mut voxels = vec![image.padding; places.len() * window.iter().product::<usize>()];
    for (into, &[column, row]) in voxels.chunks_mut(window.iter().product()).zip(places) {
        for depth in 0..window[2].min(slabs - slab) {
            for line in 0..window[1].min(rows - row) {
                let length = window[0].min(columns - column);
                let from = ((slab + depth) * rows + row + line) * columns + column;
                into[(depth * window[1] + line) * window[0]..][..length]
                    .copy_from_slice(&image.voxels[from..from + length]);
            }
        }
    }
    let [depth, height, width] = settings.patch_shape();
    let shape = [places.len(), 1, depth, height, width];
    let images = Tensor::from_data(TensorData::new(voxels, shape), &DeviceChoice::chosen().inference());
    let answers = network.forward(images);
    let count = answers.len() as f32;
    let mut sum: Option<(Maps, Vec<f32>)> = None;
    for logits in answers {
        let [samples, classes, ..] = logits.dims();
        let maps = Maps { samples, classes, voxels: depth * height * width };
        let logits: Vec<f32> = logits.into_data().iter::<f32>().collect();
        let own = maps.softmax(&logits, 1.0);
        match &mut sum {
            None => sum = Some((maps, own)),
            Some((_, sum)) => sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own),
        }
    }
    let (maps, mut sum) = sum.expect("a network has decoders");
    sum.iter_mut().for_each(|value| *value /= count);
    (maps, sum)
}

/// The most probable class of each place of `classes × area` probabilities.
fn most_probable(probabilities: &[f32], area: usize, place: usize) -> u8 {
    let mut best = (0, f32::MIN);
    for (class, values) in probabilities.chunks(area).enumerate() {
        if values[place] > best.1 {
            best = (class, values[place]);
        }
    }
    best.0 as u8
}

/// The most probable classes of a prepared volume.
pub(crate) fn classes_of(network: &VNet, image: &Prepared, settings: &Settings, sliding: &Sliding) -> Vec<u8> {
    struct Classes {
        area: usize,
        classes: Vec<u8>,
    }
    impl Planes for Classes {
        fn plane(&mut self, probabilities: Vec<f32>) {
            let area = self.area;
            self.classes.extend((0..area).map(|place| most_probable(&probabilities, area, place)));
        }
    }
    let area = image.shape[0] * image.shape[1];
    let mut into = Classes { area, classes: Vec::with_capacity(area * image.shape[2]) };
    slide(network, image, settings, sliding, &mut into, &standin_data::Silent);
    into.classes
}

/// Brings planes back to the grid of the file: between resampled voxels probabilities are interpolated, and outside of the
/// body everything is background.
struct Restored<'a> {
    image: &'a Prepared,
    labels: &'a [u32],
    /// For each axis of the turned volume, where its voxels lie among the prepared ones.
    places: [Vec<Option<(usize, f32)>>; 3],
    /// The last two planes, and the number of the later.
    recent: VecDeque<Vec<f32>>,
    seen: usize,
    voxels: Vec<u32>,
}

impl<'a> Restored<'a> {
    fn new(image: &'a Prepared, labels: &'a [u32]) -> Self {
        let placement = &image.placement;
        let places = std::array::from_fn(|axis| {
            linear(placement.turned[axis], placement.resampled[axis], placement.begin[axis], image.shape[axis])
        });
        let voxels = Vec::with_capacity(placement.turned.iter().product());
        Self { image, labels, places, recent: VecDeque::new(), seen: 0, voxels }
    }

    /// Writes the slabs that need no plane but those seen.
    fn write(&mut self) {
        let [turned_columns, turned_rows, turned_slabs] = self.image.placement.turned;
        let turned_area = turned_columns * turned_rows;
        let last = self.image.shape[2];
        while self.voxels.len() < turned_area * turned_slabs {
            let slab = self.voxels.len() / turned_area;
            let Some((below, fraction)) = self.places[2][slab] else {
                // Below the body at once, above it when all of it is there.
                if self.seen < last && self.places[2][slab..].iter().all(Option::is_none) {
                    return;
                }
                self.voxels.resize(self.voxels.len() + turned_area, self.labels[0]);
                continue;
            };
            let above = if fraction > 0.0 { (below + 1).min(last - 1) } else { below };
            if above >= self.seen {
                return;
            }
            let held = |plane: usize| &self.recent[plane + self.recent.len() - self.seen];
            let (low, high) = (held(below), held(above));
            let labels = slab_labels(self.image.shape, &self.places, (low, high, fraction), self.labels);
            self.voxels.extend(labels);
        }
    }
}

fn slab_labels(
    [columns, rows, _]: [usize; 3],
    places: &[Vec<Option<(usize, f32)>>; 3],
    (low, high, fraction): (&[f32], &[f32], f32),
    labels: &[u32],
) -> Vec<u32> {
    let area = columns * rows;
    let mut into = Vec::with_capacity(places[0].len() * places[1].len());
    for row in &places[1] {
        for column in &places[0] {
            let (Some((row, down)), Some((column, along))) = (*row, *column) else {
                into.push(labels[0]);
                continue;
            };
            let corners = [(row, column), (row, (column + 1).min(columns - 1)), ((row + 1).min(rows - 1), column)];
            let far = ((row + 1).min(rows - 1), (column + 1).min(columns - 1));
            let weights = [(1.0 - down) * (1.0 - along), (1.0 - down) * along, down * (1.0 - along), down * along];
            let value = |plane: &[f32], class: usize| -> f32 {
                corners
                    .into_iter()
                    .chain([far])
                    .zip(weights)
                    .map(|((row, column), weight)| weight * plane[class * area + row * columns + column])
                    .sum()
            };
            let mut best = (0, f32::MIN);
            for class in 0..labels.len() {
                let value = (1.0 - fraction) * value(low, class) + fraction * value(high, class);
                if value > best.1 {
                    best = (class, value);
                }
            }
            into.push(labels[best.0]);
        }
    }
    into
}

impl Planes for Restored<'_> {
    fn plane(&mut self, probabilities: Vec<f32>) {
        self.recent.push_back(probabilities);
        self.seen += 1;
        self.write();
        while self.recent.len() > 2 {
            self.recent.pop_front();
        }
    }
}

impl Model {
    /// The labels of the image in a file, on its own grid.
    ///
    /// Time is that of the windows: volume over stride, times a forward pass on a window. Beside the volume and its labels,
    /// memory is a batch of windows on their way through the network and the planes under one slab of windows.
    ///
    /// # Errors
    /// If the file cannot be read or prepared, or the stride leaves voxels out.
    pub fn predict(&self, path: &Path, sliding: &Sliding, progress: &dyn Progress) -> Result<LabelVolume> {
        let settings = &self.description.settings;
        sliding.check(settings.patch)?;
        let (image, grid) = read_image(&settings.preprocessing, path, progress)?;
        let slabs = begins(image.shape[2], settings.patch[2], sliding.stride[2]).len();
        progress.begin("windows", slabs as u64);
        let mut restored = Restored::new(&image, &self.description.labels);
        slide(&self.network, &image, settings, sliding, &mut restored, progress);
        restored.write();
        progress.end();
        let voxels = image.placement.orientation.turned_back(&restored.voxels, grid.shape());
        Ok(LabelVolume::new(grid, voxels)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_an_axis_to_its_end() {
        assert_eq!(begins(90, 48, 24), [0, 24, 42]);
        assert_eq!(begins(48, 48, 24), [0]);
        assert_eq!(begins(20, 48, 24), [0]);
        assert_eq!(begins(96, 48, 48), [0, 48]);
    }

    #[test]
    fn a_stride_that_leaves_voxels_out_is_refused() {
        let message = Sliding { stride: [16, 17, 4] }.check([16, 16, 16]).unwrap_err().to_string();
        assert!(message.contains("[16, 17, 4]") && message.contains("[16, 16, 16]"), "{message}");
        assert!(Sliding::half([16, 16, 1]).check([16, 16, 1]).is_ok());
    }
}
