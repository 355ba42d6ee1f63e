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
    /// The axis along which large images are cut.
    outer: usize,
    plane: usize,
}

impl Layout {
    pub(super) fn new(axes: [Axis; 3], outer: usize) -> Self {
        let plane: usize = axes.iter().map(|axis| axis.used_phases() * axis.pitch()).product();
        // Channels a multiple of 4 KiB apart would compete for the same few lines of the cache.
        let plane = if plane.is_multiple_of(256) { plane + 16 } else { plane };
        Self { axes, outer, plane }
    }

    /// Numbers from one channel to the next.
    pub(super) fn plane(&self) -> usize {
        self.plane
    }

    /// Where a coordinate lies within its channel. Additive: the address of a position plus that of a tap is the
    /// address of what the tap sees at the position.
    pub(super) fn address(&self, coordinates: [usize; 3]) -> usize {
        let (mut phase, mut within) = (0, 0);
        for (axis, at) in self.axes.iter().zip(coordinates) {
            phase = phase * axis.used_phases() + axis.phases[at % axis.stride].expect("only taps' remainders are asked");
            within = within * axis.pitch() + at / axis.stride;
        }
        phase * self.axes.iter().map(Axis::pitch).product::<usize>() + within
    }

    /// Copies one channel of an image, moved back by `shift` along the outer axis. The padding of `into` is zero already.
    pub(super) fn fill(&self, image: &[f32], shift: usize, into: &mut [f32]) {
        let shifts: [usize; 3] = std::array::from_fn(|axis| if axis == self.outer { shift } else { 0 });
        let ranges: [_; 3] = std::array::from_fn(|axis| self.axes[axis].visible(shifts[axis]));
        let coordinate =
            |axis: usize, at: usize| (at as isize + self.axes[axis].low - shifts[axis] as isize) as usize;
        let [_, rows, columns] = &self.axes;
        for at in ranges[0].clone() {
            for row in ranges[1].clone() {
                let line = &image[(at * rows.size + row) * columns.size..][..columns.size];
                let (slab, line_at) = (coordinate(0, at), coordinate(1, row));
                if self.axes[0].phases[slab % self.axes[0].stride].is_none() || rows.phases[line_at % rows.stride].is_none()
                {
                    continue;
                }
                for remainder in 0..columns.stride {
                    if columns.phases[remainder].is_none() || ranges[2].is_empty() {
                        continue;
                    }
                    let start = coordinate(2, ranges[2].start);
                    let skip = (remainder + columns.stride - start % columns.stride) % columns.stride;
                    let visible = &line[ranges[2].clone()];
                    if skip >= visible.len() {
                        continue;
                    }
                    let into = &mut into[self.address([slab, line_at, start + skip])..];
                    if columns.stride == 1 {
                        into[..visible.len()].copy_from_slice(visible);
                    } else {
                        for (into, &number) in into.iter_mut().zip(visible[skip..].iter().step_by(columns.stride)) {
                            *into = number;
                        }
                    }
                }
            }
        }
    }
}
