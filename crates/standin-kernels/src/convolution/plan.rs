use super::Convolution;
use super::layout::{Axis, Layout};
use crate::instructions::{Instructions, Kernel};
use crate::offsets::Offsets;
use crate::simd::{LANES, Simd};

/// What a work buffer may hold before a sample is cut into bands: half of a usual second-level cache.
const BUFFER: usize = 128 * 1024;

/// Positions a register tile should have to choose from, so that few of its rows are idle and weights are read rarely.
const POSITIONS: usize = 256;

/// Below so many channels of a result its positions fill vectors better than its channels do.
const FEW_CHANNELS: usize = 8;

/// Below so many products to a sum, putting channels side by side for the sum and in rows again costs more than it saves.
const FEW_PRODUCTS: usize = 20;

/// Whether vectors are to hold positions of a result of so many channels and products to a sum, else channels.
pub(super) fn prefers_positions(channels: usize, products: usize) -> bool {
    channels < FEW_CHANNELS || products < FEW_PRODUCTS
}

/// A sum over taps at every position of an image: the forward pass, and for each remainder of the positions by the stride
/// the gradient of the input.
#[derive(Clone, Debug)]
pub(super) struct Class {
    /// Start of each row of positions in the buffer and in the result, for one sample.
    pub runs: Vec<(u32, u32)>,
    /// Positions of a row.
    pub length: usize,
    /// Distance of a row's positions in the result.
    pub step: usize,
    /// Rows for each index of the outer axis, and those indices.
    rows_per_outer: usize,
    outer: Vec<usize>,
    /// Every position of as many samples as are done together: in the buffer and in the result.
    pub sources: Vec<u32>,
    pub destinations: Vec<u32>,
    /// What each tap adds to a position's place in the buffer, channel by channel.
    offsets: Vec<u32>,
    /// Index in the kernel of each tap of a channel.
    pub taps: Vec<usize>,
}

impl Class {
    /// With the positions of so many samples, so far apart in the buffer and in the result.
    fn of_samples(mut self, samples: usize, (in_buffer, in_result): (usize, usize)) -> Self {
        for sample in 0..samples {
            for &(source, destination) in &self.runs {
                let (source, destination) =
                    (sample * in_buffer + source as usize, sample * in_result + destination as usize);
                self.sources.extend((0..self.length).map(|at| (source + at) as u32));
                self.destinations.extend((0..self.length).map(|at| (destination + at * self.step) as u32));
            }
        }
        self
    }

    /// What each tap adds to a position's place in the buffer.
    pub(super) fn offsets(&self) -> Offsets<'_> {
        Offsets::new(&self.offsets)
    }

    /// Rows of positions whose outer index is below `outer`.
    pub(super) fn rows(&self, outer: usize) -> usize {
        self.outer.iter().filter(|&&at| at < outer).count() * self.rows_per_outer
    }
}

/// Everything about a convolution or the gradient of its input that does not depend on the numbers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub layout: Layout,
    pub classes: Vec<Class>,
    pub groups: usize,
    together: usize,
    /// Channels of a group that are read, and that are written.
    pub from: usize,
    pub to: usize,
    /// Positions of a channel that are read, and that are written.
    pub source: usize,
    pub destination: usize,
    /// Samples that are done together.
    pub samples: usize,
    /// Length of a band along the outer axis, how many there are, and how much of the result an outer index holds.
    pub band: usize,
    pub bands: usize,
    pub inner: usize,
    outer_length: usize,
    /// The source's shift for a band that starts at d is d·multiply/divide.
    multiply: usize,
    divide: usize,
}

/// One remainder of one axis: places of its positions (buffer, result), and of its taps (buffer, kernel).
struct AxisClass {
    positions: Vec<(usize, usize)>,
    taps: Vec<(usize, usize)>,
}

/// Whether positions are those of the output or of the input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

impl Plan {
    /// Buffers hold the channels of `together` groups of no more than `most` samples.
    pub(super) fn new(geometry: &Convolution, direction: Direction, together: usize, most: usize) -> Self {
        let output = geometry.output();
        let (from, to) = (geometry.inputs / geometry.groups, geometry.outputs / geometry.groups);
        let (from, to, source_size, size) = match direction {
            Direction::Forward => (from, to, geometry.size, output),
            Direction::Backward => (to, from, output, geometry.size),
        };
        let outer = if size[0] > 1 { 0 } else { 1 };
        let stride = geometry.stride[outer];
        let axes_for = |band: usize| {
            let mut classes = Vec::with_capacity(3);
            let mut axes = Vec::with_capacity(3);
            for axis in 0..3 {
                let length = if axis == outer { band } else { size[axis] };
                let (one, of) = match direction {
                    Direction::Forward => forward_axis(geometry, axis, length),
                    Direction::Backward => backward_axis(geometry, axis, length, output[axis]),
                };
                axes.push(one);
                classes.push(of);
            }
            let axes: [Axis; 3] = axes.try_into().expect("three axes");
            (Layout::new(axes, outer), classes)
        };
        let channels = together * from;
        let mut band = size[outer];
        let (mut layout, mut of_axes) = axes_for(band);
        while channels * layout.plane() > BUFFER && band > 8 * stride {
            band = band.div_ceil(2).next_multiple_of(stride);
            (layout, of_axes) = axes_for(band);
        }
        let bands = size[outer].div_ceil(band);
        let destination: usize = size.iter().product();
        let samples = match bands {
            1 => POSITIONS.div_ceil(destination).min(most).max(1),
            _ => 1,
        };
        let step_of_sample = (channels * layout.plane(), geometry.groups * to * destination);
        let furthest = samples * step_of_sample.0.max(step_of_sample.1);
        assert!(u32::try_from(furthest).is_ok(), "a sample of {furthest} numbers is too large to convolve");
        let mut classes = Vec::new();
        for first in &of_axes[0] {
            for second in &of_axes[1] {
                for third in &of_axes[2] {
                    let class = class(&layout, [first, second, third], geometry, size, outer, from);
                    classes.push(class.of_samples(samples, step_of_sample));
                }
            }
        }
        let (multiply, divide) = match direction {
            Direction::Forward => (stride, 1),
            Direction::Backward => (1, stride),
        };
        Self {
            layout,
            classes,
            groups: geometry.groups,
            together,
            from,
            to,
            source: source_size.iter().product(),
            destination,
            samples,
            band,
            bands,
            inner: destination / size[outer],
            outer_length: size[outer],
            multiply,
            divide,
        }
    }

    /// First index and length along the outer axis.
    pub(super) fn band(&self, index: usize) -> (usize, usize) {
        let start = index * self.band;
        (start, self.band.min(self.outer_length - start))
    }

    /// A work buffer for as many samples as are done together.
    pub(super) fn buffer(&self) -> Vec<f32> {
        vec![0.0; self.samples * self.sample() + LANES]
    }

    /// Numbers from one sample to the next in a work buffer.
    pub(super) fn sample(&self) -> usize {
        self.together * self.from * self.layout.plane()
    }

    /// Lays a band of each sample out in a buffer, from the first of the groups that it holds.
    pub(super) fn fill(
        &self,
        instructions: Instructions,
        source: &[f32],
        samples: &[u32],
        group: usize,
        band: usize,
        buffer: &mut [f32],
    ) {
        if self.bands > 1 {
            buffer.fill(0.0);
        }
        instructions.run(Fill { plan: self, source, samples, group, band, buffer });
    }
}

struct Fill<'a> {
    plan: &'a Plan,
    source: &'a [f32],
    samples: &'a [u32],
    group: usize,
    band: usize,
    buffer: &'a mut [f32],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd, const ROWS: usize>(self, simd: S) {
        let Self { plan, source, samples, group, band, buffer } = self;
        let shift = plan.band(band).0 * plan.multiply / plan.divide;
        let channels = plan.together * plan.from;
        let plane = plan.layout.plane();
        for (&sample, into) in samples.iter().zip(buffer.chunks_mut(channels * plane)) {
            let first = (sample as usize * plan.groups + group) * plan.from;
            let images = source[first * plan.source..].chunks(plan.source).take(channels);
            for (image, into) in images.zip(into.chunks_mut(plane)) {
                plan.layout.fill(simd, image, shift, into);
            }
        }
    }
}

fn forward_axis(geometry: &Convolution, axis: usize, length: usize) -> (Axis, Vec<AxisClass>) {
    let (kernel, stride) = (geometry.kernel[axis], geometry.stride[axis]);
    let dilation = geometry.dilation[axis];
    let taps: Vec<_> = (0..kernel).map(|tap| (tap * dilation, tap)).collect();
    let needed = |phase: usize| taps.iter().any(|(at, _)| at % stride == phase);
    let phases = (0..stride).map(|phase| needed(phase).then(|| (0..phase).filter(|&before| needed(before)).count()));
    let phases = phases.collect();
    let axis = Axis {
        size: geometry.size[axis],
        low: geometry.padding[axis] as isize,
        extent: (length - 1) * stride + (kernel - 1) * dilation + 1,
        stride,
        phases,
    };
    (axis, vec![AxisClass { positions: (0..length).map(|at| (at * stride, at)).collect(), taps }])
}

/// dx\[i] = Σ w\[a]·dy\[o] over the taps a with i + padding = o·stride + a·dilation: for the positions i of one remainder
/// of i + padding by the stride these are the taps of the same remainder, and o = ⌊(i + padding)/stride⌋ −
/// ⌊a·dilation/stride⌋.
fn backward_axis(geometry: &Convolution, axis: usize, length: usize, output: usize) -> (Axis, Vec<AxisClass>) {
    let (kernel, stride) = (geometry.kernel[axis], geometry.stride[axis]);
    let (padding, dilation) = (geometry.padding[axis], geometry.dilation[axis]);
    let first = padding / stride;
    let furthest = (kernel - 1) * dilation / stride;
    let classes = (0..stride).map(|remainder| AxisClass {
        positions: (0..length)
            .filter(|at| (at + padding) % stride == remainder)
            .map(|at| ((at + padding) / stride - first, at))
            .collect(),
        taps: (0..kernel)
            .filter(|tap| tap * dilation % stride == remainder)
            .map(|tap| (furthest - tap * dilation / stride, tap))
            .collect(),
    });
    let axis = Axis {
        size: output,
        low: furthest as isize - first as isize,
        extent: (length - 1 + padding) / stride - first + furthest + 1,
        stride: 1,
        phases: vec![Some(0)],
    };
    (axis, classes.filter(|class| !class.positions.is_empty()).collect())
}

/// Of each axis one class: the rows of its positions, and its taps in every channel.
fn class(
    layout: &Layout,
    [first, second, third]: [&AxisClass; 3],
    geometry: &Convolution,
    size: [usize; 3],
    outer: usize,
    from: usize,
) -> Class {
    let address =
        |coordinates| layout.address(coordinates).expect("positions and taps are of remainders that are seen");
    let mut runs = Vec::with_capacity(first.positions.len() * second.positions.len());
    for slab in &first.positions {
        for row in &second.positions {
            let source = address([slab.0, row.0, third.positions[0].0]);
            let destination = (slab.1 * size[1] + row.1) * size[2] + third.positions[0].1;
            runs.push((source as u32, destination as u32));
        }
    }
    let (mut taps, mut within) = (Vec::new(), Vec::new());
    for slab in &first.taps {
        for row in &second.taps {
            for column in &third.taps {
                taps.push((slab.1 * geometry.kernel[1] + row.1) * geometry.kernel[2] + column.1);
                within.push(address([slab.0, row.0, column.0]));
            }
        }
    }
    let offsets = (0..from).flat_map(|channel| within.iter().map(move |at| (channel * layout.plane() + at) as u32));
    Class {
        length: third.positions.len(),
        step: third.positions.get(1).map_or(1, |next| next.1 - third.positions[0].1),
        outer: [first, second][outer].positions.iter().map(|position| position.1).collect(),
        rows_per_outer: if outer == 0 { second.positions.len() } else { 1 },
        offsets: offsets.collect(),
        runs,
        taps,
        sources: Vec::new(),
        destinations: Vec::new(),
    }
}
