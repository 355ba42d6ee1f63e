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
    /// What a step along each axis adds to the place within one remainder's image, and what a step of its remainder adds.
    steps: [usize; 3],
    phase_steps: [usize; 3],
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
        let plane: usize = axes.iter().map(|axis| axis.used_phases() * axis.pitch()).product();
        // Channels a multiple of 4 KiB apart would compete for the same few lines of the cache.
        let plane = if plane.is_multiple_of(256) { plane + 16 } else { plane };
        Self { axes, steps, phase_steps, outer, plane }
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
        let along = |axis: usize| self.along(axis, coordinates[axis]);
        Some(along(0)? + along(1)? + along(2)?)
    }

    fn along(&self, axis: usize, coordinate: usize) -> Option<usize> {
        let stride = self.axes[axis].stride;
        if stride == 1 {
            return Some(coordinate * self.steps[axis]);
        }
        let phase = self.axes[axis].phases[coordinate % stride]?;
        Some(phase * self.phase_steps[axis] + coordinate / stride * self.steps[axis])
    }

    /// Copies one channel of an image, moved back by `shift` along the outer axis. The padding of `into` is zero already.
    #[inline(always)]
    pub(super) fn fill(&self, image: &[f32], shift: usize, into: &mut [f32]) {
        let shift_of = |axis: usize| if axis == self.outer { shift } else { 0 };
        let coordinate = |axis: usize, at: usize| (at as isize + self.axes[axis].low) as usize - shift_of(axis);
        let visible = |axis: usize| self.axes[axis].visible(shift_of(axis));
        let (slabs, lines, columns) = (visible(0), visible(1), visible(2));
        if columns.is_empty() {
            return;
        }
        let first = coordinate(2, columns.start);
        let stride = self.axes[2].stride;
        for at in slabs {
            let Some(slab) = self.along(0, coordinate(0, at)) else { continue };
            for row in lines.clone() {
                let Some(place) = self.along(1, coordinate(1, row)) else { continue };
                let line = (at * self.axes[1].size + row) * self.axes[2].size;
                let line = &image[line + columns.start..line + columns.end];
                let into = &mut into[slab + place..];
                if stride == 1 {
                    into[first..first + line.len()].copy_from_slice(line);
                    continue;
                }
                for skip in 0..stride.min(line.len()) {
                    let Some(start) = self.along(2, first + skip) else { continue };
                    every(stride, &line[skip..], &mut into[start..]);
                }
            }
        }
    }
}

/// Every `stride`-th number from the first on; of every second the compiler makes vectors.
#[inline(always)]
fn every(stride: usize, from: &[f32], into: &mut [f32]) {
    if stride == 2 {
        let (pairs, last) = from.as_chunks::<2>();
        let into = &mut into[..from.len().div_ceil(2)];
        for (into, pair) in into.iter_mut().zip(pairs) {
            *into = pair[0];
        }
        if let ([number], Some(into)) = (last, into.last_mut()) {
            *into = *number;
        }
    } else {
        for (into, &number) in into.iter_mut().zip(from.iter().step_by(stride)) {
            *into = number;
        }
    }
}
