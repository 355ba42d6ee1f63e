use rayon::prelude::*;

use crate::parts::in_parts;

/// Where the values between those that are known come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interpolation {
    /// The nearest known value.
    Nearest,
    /// The line between the two nearest; at the rim the outermost value.
    Linear,
}

/// Images of up to three axes made twice as long along some of them, one axis after the other.
///
/// The values are samples in the middle of their voxels, so that along an axis that is doubled linearly
/// y\[2i] = ¾·x\[i] + ¼·x\[i − 1] and y\[2i + 1] = ¾·x\[i] + ¼·x\[i + 1], indices cut to the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Upsampling {
    /// Images: samples times channels.
    pub images: usize,
    /// Size of the input.
    pub size: [usize; 3],
    /// Which axes become twice as long.
    pub doubled: [bool; 3],
    /// What comes between.
    pub interpolation: Interpolation,
}

impl Upsampling {
    /// Size of the output.
    pub fn output(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.size[axis] << usize::from(self.doubled[axis]))
    }

    /// y: `images × output`.
    ///
    /// # Panics
    /// If x is not `images × size` long.
    pub fn forward(&self, x: &[f32]) -> Vec<f32> {
        let (from, to) = (product(self.size), product(self.output()));
        assert_eq!(x.len(), self.images * from, "the input is to be as long as {self:?} says");
        in_parts(
            self.images * to,
            to.max(1),
            x.par_chunks(from.max(1)),
            || (Vec::new(), Vec::new()),
            |(image, scratch), _, into, x| {
                image.clear();
                image.extend_from_slice(x);
                let mut size = self.size;
                // The last axis first, while there is least to read.
                for axis in (0..3).rev().filter(|&axis| self.doubled[axis]) {
                    scratch.clear();
                    scratch.resize(2 * image.len(), 0.0);
                    let inner: usize = size[axis + 1..].iter().product();
                    double(image, scratch, size[axis], inner, self.interpolation);
                    std::mem::swap(image, scratch);
                    size[axis] *= 2;
                }
                into.copy_from_slice(image);
            },
        )
    }

    /// Gradient of the input, `images × size`, from that of the output.
    ///
    /// # Panics
    /// If the gradient is not `images × output` long.
    pub fn input_gradient(&self, output_gradient: &[f32]) -> Vec<f32> {
        let (from, to) = (product(self.output()), product(self.size));
        assert_eq!(output_gradient.len(), self.images * from, "the gradient is to be as long as {self:?} says");
        in_parts(
            self.images * to,
            to.max(1),
            output_gradient.par_chunks(from.max(1)),
            || (Vec::new(), Vec::new()),
            |(image, scratch), _, into, gradient| {
                image.clear();
                image.extend_from_slice(gradient);
                let mut size = self.output();
                for axis in (0..3).filter(|&axis| self.doubled[axis]) {
                    size[axis] /= 2;
                    scratch.clear();
                    scratch.resize(image.len() / 2, 0.0);
                    let inner: usize = size[axis + 1..].iter().product();
                    halve(image, scratch, size[axis], inner, self.interpolation);
                    std::mem::swap(image, scratch);
                }
                into.copy_from_slice(image);
            },
        )
    }
}

fn product(size: [usize; 3]) -> usize {
    size.iter().product()
}

/// One axis of `length` lines of `inner` numbers, to twice as many lines.
fn double(x: &[f32], y: &mut [f32], length: usize, inner: usize, interpolation: Interpolation) {
    let slabs = x.chunks(length * inner).zip(y.chunks_mut(2 * length * inner));
    match interpolation {
        Interpolation::Nearest => slabs.for_each(|(x, y)| {
            for (x, y) in x.chunks(inner).zip(y.chunks_mut(2 * inner)) {
                let (even, odd) = y.split_at_mut(inner);
                even.copy_from_slice(x);
                odd.copy_from_slice(x);
            }
        }),
        Interpolation::Linear => slabs.for_each(|(x, y)| {
            for (at, y) in y.chunks_mut(2 * inner).enumerate() {
                let line = |at: usize| &x[at * inner..(at + 1) * inner];
                let (before, own, after) = (line(at.saturating_sub(1)), line(at), line((at + 1).min(length - 1)));
                let (even, odd) = y.split_at_mut(inner);
                for (((even, odd), own), (before, after)) in
                    even.iter_mut().zip(odd).zip(own).zip(before.iter().zip(after))
                {
                    let most = 0.75 * own;
                    *even = 0.25f32.mul_add(*before, most);
                    *odd = 0.25f32.mul_add(*after, most);
                }
            }
        }),
    }
}

/// The transpose of [`double`]: each line of y collects what its value went into.
fn halve(x: &[f32], y: &mut [f32], length: usize, inner: usize, interpolation: Interpolation) {
    let slabs = x.chunks(2 * length * inner).zip(y.chunks_mut(length * inner));
    slabs.for_each(|(x, y)| {
        for (at, y) in y.chunks_mut(inner).enumerate() {
            let line = |at: usize| &x[at * inner..(at + 1) * inner];
            let (even, odd) = (line(2 * at), line(2 * at + 1));
            match interpolation {
                Interpolation::Nearest => {
                    for ((y, even), odd) in y.iter_mut().zip(even).zip(odd) {
                        *y = even + odd;
                    }
                }
                Interpolation::Linear => {
                    // Past the rim the outermost value stands for itself.
                    let before = line(if at == 0 { 0 } else { 2 * at - 1 });
                    let after = line(if at + 1 == length { 2 * at + 1 } else { 2 * at + 2 });
                    for (((y, even), odd), (before, after)) in
                        y.iter_mut().zip(even).zip(odd).zip(before.iter().zip(after))
                    {
                        *y = 0.75f32.mul_add(even + odd, 0.25 * (before + after));
                    }
                }
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count).map(|at| (((at + seed) * 7919 % 1009) as f32).mul_add(2e-3, -1.0)).collect()
    }

    /// `scipy.ndimage.zoom(x, 2, order=1, mode="nearest", grid_mode=True)`, scipy 1.17.
    #[test]
    fn linear_interpolation_equals_scipy() {
        let of = |size, doubled, x: &[f32]| {
            Upsampling { images: 1, size, doubled, interpolation: Interpolation::Linear }.forward(x)
        };
        assert_eq!(of([1, 1, 3], [false, false, true], &[0.0, 4.0, 2.0]), [0.0, 1.0, 3.0, 3.5, 2.5, 2.0]);
        let plane = of([1, 2, 2], [false, true, true], &[0.0, 4.0, 8.0, 16.0]);
        assert_eq!(plane[..8], [0.0, 1.0, 3.0, 4.0, 2.0, 3.25, 5.75, 7.0]);
        assert_eq!(plane[8..], [6.0, 7.75, 11.25, 13.0, 8.0, 10.0, 14.0, 16.0]);
    }

    /// ⟨A x, g⟩ = ⟨x, Aᵀ g⟩ for every choice of axes and interpolation.
    #[test]
    fn the_gradient_is_the_transpose() {
        for interpolation in [Interpolation::Nearest, Interpolation::Linear] {
            for axes in 0..8 {
                let doubled = std::array::from_fn(|axis| axes >> axis & 1 == 1);
                let upsampling = Upsampling { images: 3, size: [2, 3, 5], doubled, interpolation };
                let x = numbers(3 * 30, 1);
                let y = upsampling.forward(&x);
                let gradient = numbers(y.len(), 2);
                let back = upsampling.input_gradient(&gradient);
                let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
                assert!((dot(&y, &gradient) - dot(&x, &back)).abs() < 1e-4, "{upsampling:?}");
            }
        }
    }

    #[test]
    fn the_nearest_value_is_repeated() {
        let upsampling = Upsampling {
            images: 1,
            size: [2, 1, 2],
            doubled: [true, false, true],
            interpolation: Interpolation::Nearest,
        };
        let y = upsampling.forward(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(y, [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 4.0, 3.0, 3.0, 4.0, 4.0]);
    }
}
