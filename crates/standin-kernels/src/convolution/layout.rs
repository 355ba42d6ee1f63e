use crate::simd::{LANES, Simd};
use crate::transpose::{load_part, store_part};

/// One axis of a zero-padded sample, its coordinates dealt out by their remainder by the stride.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Length of the image.
    pub size: usize,
    /// Coordinate of the image's first number; what falls before 0 is cut off.
    pub low: isize,
    /// Number of coordinates.
    pub extent: usize,
    /// Distance of neighbouring positions.
    pub stride: usize,
    /// Place of each remainder that some tap needs.
    pub phases: Vec<Option<usize>>,
}

impl Axis {
    fn used_phases(&self) -> usize {
        self.phases.iter().flatten().count()
    }

    /// Coordinates of one remainder.
    fn pitch(&self) -> usize {
        self.extent.div_ceil(self.stride)
    }

    /// The part of the image that has a coordinate, where the image is moved back by `shift`.
    fn visible(&self, shift: usize) -> std::ops::Range<usize> {
        let low = self.low - shift as isize;
        let end = (self.extent as isize - low).clamp(0, self.size as isize) as usize;
        (-low).clamp(0, end as isize) as usize..end
    }
}

/// How a channel lies in a work buffer: padded with zeros, and for a stride above 1 split into one image per remainder of
/// the coordinates (a polyphase decomposition), so that the positions of every convolution are neighbours.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    axes: [Axis; 3],
    /// What each coordinate along an axis adds to the place, if some tap can see it.
    places: [Vec<Option<usize>>; 3],
    /// The axis along which large images are cut.
    outer: usize,
    plane: usize,
}

impl Layout {
    pub(super) fn new(axes: [Axis; 3], outer: usize) -> Self {
        let [_, rows, columns] = &axes;
        let steps = [rows.pitch() * columns.pitch(), columns.pitch(), 1];
        let image: usize = axes.iter().map(Axis::pitch).product();
        let phase_steps = [image * rows.used_phases() * columns.used_phases(), image * columns.used_phases(), image];
        let places = std::array::from_fn(|at| {
            let axis: &Axis = &axes[at];
            let place = |coordinate: usize| {
                let phase = axis.phases[coordinate % axis.stride]?;
                Some(phase * phase_steps[at] + coordinate / axis.stride * steps[at])
            };
            (0..axis.extent).map(place).collect()
        });
        let plane: usize = axes.iter().map(|axis| axis.used_phases() * axis.pitch()).product();
        // Channels a multiple of 4 KiB apart would compete for the same few lines of the cache.
        let plane = if plane.is_multiple_of(256) { plane + 16 } else { plane };
        Self { axes, places, outer, plane }
    }

    /// Numbers from one channel to the next.
    pub(super) fn plane(&self) -> usize {
        self.plane
    }

    /// Images of a channel, one for each remainder that is seen, and numbers of each.
    pub(super) fn images(&self) -> (usize, usize) {
        let images = self.axes.iter().map(Axis::used_phases).product();
        (images, self.axes.iter().map(Axis::pitch).product())
    }

    /// Where a coordinate lies within its channel, if some tap can see it. Additive: the address of a position plus that
    /// of a tap is the address of what the tap sees at the position.
    pub(super) fn address(&self, coordinates: [usize; 3]) -> Option<usize> {
        let [slabs, rows, columns] = &self.places;
        Some(slabs[coordinates[0]]? + rows[coordinates[1]]? + columns[coordinates[2]]?)
    }

    /// Copies one channel of an image, moved back by `shift` along the outer axis. The padding of `into` is zero already.
    #[inline(always)]
    pub(super) fn fill<S: Simd>(&self, simd: S, image: &[f32], shift: usize, into: &mut [f32]) {
        let shift_of = |axis: usize| if axis == self.outer { shift } else { 0 };
        let coordinate = |axis: usize, at: usize| (at as isize + self.axes[axis].low) as usize - shift_of(axis);
        let visible = |axis: usize| self.axes[axis].visible(shift_of(axis));
        let (slabs, lines, columns) = (visible(0), visible(1), visible(2));
        if columns.is_empty() {
            return;
        }
        let first = coordinate(2, columns.start);
        let stride = self.axes[2].stride;
        let places = &self.places[2][first..];
        for at in slabs {
            let Some(slab) = self.places[0][coordinate(0, at)] else { continue };
            for row in lines.clone() {
                let Some(place) = self.places[1][coordinate(1, row)] else { continue };
                let line = (at * self.axes[1].size + row) * self.axes[2].size;
                let line = &image[line + columns.start..line + columns.end];
                let into = &mut into[slab + place..];
                match stride {
                    1 => copy(line, &mut into[first..first + line.len()]),
                    2 => halve(simd, line, places, into),
                    _ => {
                        for (skip, place) in places.iter().enumerate().take(stride.min(line.len())) {
                            let Some(start) = place else { continue };
                            for (into, number) in into[*start..].iter_mut().zip(line[skip..].iter().step_by(stride)) {
                                *into = *number;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Every second number from the first on to the first place, the others to the second.
#[inline(always)]
fn halve<S: Simd>(simd: S, from: &[f32], places: &[Option<usize>], into: &mut [f32]) {
    for (block, from) in from.chunks(2 * LANES).enumerate() {
        let (low, high) = from.split_at(from.len().min(LANES));
        let (even, odd) = simd.deinterleave(load_part(simd, low), load_part(simd, high));
        if let Some(Some(start)) = places.first() {
            store_part(simd, even, &mut into[start + block * LANES..][..from.len().div_ceil(2)]);
        }
        if let Some(Some(start)) = places.get(1)
            && from.len() > 1
        {
            store_part(simd, odd, &mut into[start + block * LANES..][..from.len() / 2]);
        }
    }
}

/// Copies as many numbers. Rows of small images are shorter than what a call of the C library's copy costs: two copies of
/// fixed length that overlap are a few instructions.
#[inline(always)]
fn copy(from: &[f32], into: &mut [f32]) {
    match from.len() {
        0..4 => {
            for (into, number) in into.iter_mut().zip(from) {
                *into = *number;
            }
        }
        4..8 => copy_ends::<4>(from, into),
        8..16 => copy_ends::<8>(from, into),
        16..=32 => copy_ends::<16>(from, into),
        _ => into.copy_from_slice(from),
    }
}

/// Copies the first and the last `END` numbers.
#[inline(always)]
fn copy_ends<const END: usize>(from: &[f32], into: &mut [f32]) {
    if let (Some(from), Some(into)) = (from.first_chunk::<END>(), into.first_chunk_mut()) {
        *into = *from;
    }
    if let (Some(from), Some(into)) = (from.last_chunk::<END>(), into.last_chunk_mut()) {
        *into = *from;
    }
}
