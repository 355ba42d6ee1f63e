use rustfft::num_complex::Complex32;

use super::ANGLES;
use crate::fourier::{Fourier, Workspace};
use crate::wavelets::{Wavelet, gaussian_kernels, morlet_bank};

/// Paths of each order of a plane at J = `scales`: 1, J·L and L²·J(J−1)/2, as far as the highest order that is computed.
pub(super) fn paths(scales: usize, highest: Order) -> [usize; 3] {
    let second = ANGLES * ANGLES * scales * (scales - 1) / 2;
    [1, scales * ANGLES, if highest == Order::Second { second } else { 0 }]
}

/// The highest order of a transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    First,
    Second,
}

/// The scattering of planes of one size.
pub(super) struct Transform {
    height: usize,
    width: usize,
    scales: usize,
    highest: Order,
    padded: (usize, usize),
    cells: (usize, usize),
    wavelets: Vec<Wavelet>,
    /// For planes subsampled by 2^j, at index j.
    fourier: Vec<Fourier>,
    average: Vec<Average>,
}

/// What one thread writes into while it transforms.
pub(super) struct Buffers {
    image: Vec<Complex32>,
    first: Vec<Complex32>,
    second: Vec<Complex32>,
    modulus: Vec<f32>,
    rows: Vec<f32>,
    work: Workspace,
}

impl Transform {
    pub(super) fn new(height: usize, width: usize, scales: usize, cells: (usize, usize), highest: Order) -> Self {
        let step = 1 << scales;
        let pad = |length: usize| ((length + step) / step + 1) * step;
        let padded = (pad(height), pad(width));
        let vertical = axes(padded.0, scales, cells.0);
        let horizontal = axes(padded.1, scales, cells.1);
        Self {
            height,
            width,
            scales,
            highest,
            padded,
            cells,
            wavelets: morlet_bank(padded.0, padded.1, scales, ANGLES),
            fourier: (0..scales).map(|level| Fourier::new(padded.0 >> level, padded.1 >> level)).collect(),
            average: vertical
                .into_iter()
                .zip(horizontal)
                .map(|(vertical, horizontal)| Average { vertical, horizontal })
                .collect(),
        }
    }

    /// Values of one plane's features.
    pub(super) fn features(&self) -> usize {
        paths(self.scales, self.highest).iter().sum::<usize>() * self.cells.0 * self.cells.1
    }

    /// Values of all wavelet coefficients of one plane, as [`Transform::apply`] hands them out.
    pub(super) fn coefficients(&self) -> usize {
        let inner = |outer| self.inner(outer).map(|inner| self.fourier[inner.j].len()).sum::<usize>();
        self.wavelets.iter().map(|outer| self.fourier[outer.j].len() + inner(outer)).sum()
    }

    /// The wavelets of the second order that follow one of the first.
    fn inner(&self, outer: &Wavelet) -> impl Iterator<Item = &Wavelet> {
        let j = outer.j;
        self.wavelets.iter().filter(move |inner| self.highest == Order::Second && inner.j > j)
    }

    pub(super) fn buffers(&self) -> Buffers {
        let plane = vec![Complex32::default(); self.padded.0 * self.padded.1];
        Buffers {
            image: plane.clone(),
            first: plane.clone(),
            second: plane.clone(),
            modulus: vec![0.0; plane.len()],
            rows: vec![0.0; self.cells.0 * self.padded.1],
            work: Workspace::new(&self.fourier),
        }
    }

    /// Scatters one plane of values in \[0, 1\], `height × width`, into `paths × rows × columns`: order 0, order 1, order 2.
    /// `keep` is given the wavelet coefficients of each path on the way: after each one of order 1, those of order 2 that
    /// follow it.
    pub(super) fn apply(
        &self,
        plane: &[f32],
        features: &mut [f32],
        buffers: &mut Buffers,
        mut keep: impl FnMut(&[Complex32]),
    ) {
        let Buffers { image, first, second, modulus, rows, work } = buffers;
        let per_path = self.cells.0 * self.cells.1;
        let (low, high) = features.split_at_mut(per_path * (1 + self.wavelets.len()));
        let mut order_one = low.chunks_exact_mut(per_path);
        let mut order_two = high.chunks_exact_mut(per_path);

        self.pad(plane, modulus);
        let order_zero = order_one.next().expect("the first path is the average");
        self.average[0].apply(modulus, rows, order_zero);
        for (to, &value) in image.iter_mut().zip(modulus.iter()) {
            *to = Complex32::from(value);
        }
        self.fourier[0].forward(image, work);

        for (outer, averaged) in self.wavelets.iter().zip(&mut order_one) {
            self.convolve(image, 0, outer, first, modulus, work);
            keep(&first[..self.fourier[outer.j].len()]);
            self.average[outer.j].apply(&modulus[..self.fourier[outer.j].len()], rows, averaged);
            if self.inner(outer).next().is_none() {
                continue;
            }
            let first = &mut first[..self.fourier[outer.j].len()];
            for (to, &value) in first.iter_mut().zip(modulus.iter()) {
                *to = Complex32::from(value);
            }
            self.fourier[outer.j].forward(first, work);
            for (inner, averaged) in self.inner(outer).zip(&mut order_two) {
                self.convolve(first, outer.j, inner, second, modulus, work);
                keep(&second[..self.fourier[inner.j].len()]);
                self.average[inner.j].apply(&modulus[..self.fourier[inner.j].len()], rows, averaged);
            }
        }
    }

    /// The gradient with respect to a plane, `height × width`, given that with respect to its features and the coefficients
    /// that [`Transform::apply`] handed out: the adjoint of each step, last to first.
    pub(super) fn pull_back(
        &self,
        mut coefficients: &[Complex32],
        gradient: &[f32],
        plane: &mut [f32],
        buffers: &mut Buffers,
    ) {
        let Buffers { image, first, second, modulus, rows, work } = buffers;
        let per_path = self.cells.0 * self.cells.1;
        let (low, high) = gradient.split_at(per_path * (1 + self.wavelets.len()));
        let mut order_one = low.chunks_exact(per_path);
        let mut order_two = high.chunks_exact(per_path);
        let order_zero = order_one.next().expect("the first path is the average");

        image.fill(Complex32::default());
        for (outer, averaged) in self.wavelets.iter().zip(&mut order_one) {
            let fourier = &self.fourier[outer.j];
            let coefficient = coefficients.split_off(..fourier.len()).expect("one path");
            let first = &mut first[..fourier.len()];
            first.fill(Complex32::default());
            let mut followed = false;
            for (inner, averaged) in self.inner(outer).zip(&mut order_two) {
                let coefficient = coefficients.split_off(..self.fourier[inner.j].len()).expect("one path");
                let modulus = &mut modulus[..coefficient.len()];
                self.average[inner.j].spread(averaged, rows, modulus);
                self.correlate(coefficient, modulus, second, inner, outer.j, first, work);
                followed = true;
            }
            let modulus = &mut modulus[..fourier.len()];
            self.average[outer.j].spread(averaged, rows, modulus);
            if followed {
                fourier.inverse(first, work);
                modulus.iter_mut().zip(first.iter()).for_each(|(to, value)| *to += value.re);
            }
            self.correlate(coefficient, modulus, second, outer, 0, image, work);
        }
        self.fourier[0].inverse(image, work);
        self.average[0].spread(order_zero, rows, modulus);
        modulus.iter_mut().zip(image.iter()).for_each(|(to, value)| *to += value.re);
        self.unpad(modulus, plane);
    }

    /// The adjoint of [`Transform::convolve`]: adds to the gradient with respect to a spectrum, subsampled by 2^level, what
    /// the gradient with respect to the moduli of its coefficients says. Where a coefficient is 0, so is the slope of its
    /// modulus.
    #[expect(clippy::too_many_arguments, reason = "those of the step it reverses, and its gradients")]
    fn correlate(
        &self,
        coefficients: &[Complex32],
        modulus: &[f32],
        product: &mut [Complex32],
        wavelet: &Wavelet,
        level: usize,
        spectrum: &mut [Complex32],
        work: &mut Workspace,
    ) {
        let product = &mut product[..coefficients.len()];
        for ((to, &value), &slope) in product.iter_mut().zip(coefficients).zip(modulus) {
            let norm = value.norm_sqr().sqrt();
            *to = if norm > 0.0 { value * (slope / norm) } else { Complex32::default() };
        }
        self.fourier[wavelet.j].forward(product, work);
        let columns = self.padded.0 >> level;
        let (rows_kept, columns_kept) = (self.padded.1 >> wavelet.j, self.padded.0 >> wavelet.j);
        let lines = spectrum.chunks_exact_mut(columns).zip(wavelet.levels[level].chunks_exact(columns));
        for (row, (into, filter)) in lines.enumerate() {
            let from = &product[row % rows_kept * columns_kept..][..columns_kept];
            for (into, filter) in into.chunks_exact_mut(columns_kept).zip(filter.chunks_exact(columns_kept)) {
                for ((to, &x), &weight) in into.iter_mut().zip(from).zip(filter) {
                    *to += x * weight;
                }
            }
        }
    }

    /// |x ⋆ ψ|, subsampled to the wavelet's scale, from the spectrum of x subsampled by 2^level.
    fn convolve(
        &self,
        spectrum: &[Complex32],
        level: usize,
        wavelet: &Wavelet,
        product: &mut [Complex32],
        modulus: &mut [f32],
        work: &mut Workspace,
    ) {
        let fourier = &self.fourier[wavelet.j];
        let product = &mut product[..fourier.len()];
        let (rows, columns) = (self.padded.1 >> level, self.padded.0 >> level);
        let (rows_kept, columns_kept) = (self.padded.1 >> wavelet.j, self.padded.0 >> wavelet.j);
        // Subsampling in space is folding in frequency.
        product.fill(Complex32::default());
        for row in 0..rows {
            let into = &mut product[row % rows_kept * columns_kept..][..columns_kept];
            let (from, filter) = (&spectrum[row * columns..], &wavelet.levels[level][row * columns..]);
            for at in (0..columns).step_by(columns_kept) {
                for ((to, &x), &weight) in into.iter_mut().zip(&from[at..]).zip(&filter[at..]) {
                    *to += x * weight;
                }
            }
        }
        fourier.inverse(product, work);
        for (to, value) in modulus.iter_mut().zip(product.iter()) {
            *to = value.norm_sqr().sqrt();
        }
    }

    /// The plane with its mirror image around it.
    fn pad(&self, plane: &[f32], padded: &mut [f32]) {
        let (top, left) = self.margin();
        for (y, row) in padded.chunks_exact_mut(self.padded.1).enumerate() {
            let from = &plane[mirror(y, top, self.height) * self.width..][..self.width];
            for (x, value) in row.iter_mut().enumerate() {
                *value = from[mirror(x, left, self.width)];
            }
        }
    }

    /// The adjoint of [`Transform::pad`]: adds up what mirror images say about a value.
    fn unpad(&self, padded: &[f32], plane: &mut [f32]) {
        let (top, left) = self.margin();
        plane.fill(0.0);
        for (y, row) in padded.chunks_exact(self.padded.1).enumerate() {
            let into = &mut plane[mirror(y, top, self.height) * self.width..][..self.width];
            for (x, value) in row.iter().enumerate() {
                into[mirror(x, left, self.width)] += value;
            }
        }
    }

    /// Values above and to the left of a plane.
    fn margin(&self) -> (usize, usize) {
        ((self.padded.0 - self.height) / 2, (self.padded.1 - self.width) / 2)
    }
}

/// The position in a signal of `length` that is seen at `at` when `before` values are mirrored in front of it; the first
/// and last values are not repeated.
fn mirror(at: usize, before: usize, length: usize) -> usize {
    let period = 2 * (length as i64 - 1);
    let position = (at as i64 - before as i64).rem_euclid(period);
    position.min(period - position) as usize
}

/// Averaging with φ, subsampling, cutting the padding off and pooling positions, along both axes at once.
struct Average {
    vertical: Axis,
    horizontal: Axis,
}

/// The weights of every cell along one axis, `cells × length`.
struct Axis {
    length: usize,
    weights: Vec<f32>,
}

impl Average {
    /// `cells × cells` averages of a plane; `rows` is memory for the averages down the columns.
    fn apply(&self, plane: &[f32], rows: &mut [f32], cells: &mut [f32]) {
        let (height, width) = (self.vertical.length, self.horizontal.length);
        let down = self.vertical.weights.chunks_exact(height);
        let rows = &mut rows[..down.len() * width];
        rows.fill(0.0);
        for (row, weights) in rows.chunks_exact_mut(width).zip(down) {
            for (&weight, from) in weights.iter().zip(plane.chunks_exact(width)) {
                for (to, &value) in row.iter_mut().zip(from) {
                    *to += weight * value;
                }
            }
        }
        let across = self.horizontal.weights.chunks_exact(width);
        for (row, into) in rows.chunks_exact(width).zip(cells.chunks_exact_mut(across.len())) {
            for (to, weights) in into.iter_mut().zip(across.clone()) {
                *to = weights.iter().zip(row).map(|(weight, value)| weight * value).sum();
            }
        }
    }

    /// The adjoint of [`Average::apply`]: each value of a plane from the cells it counts in.
    fn spread(&self, cells: &[f32], rows: &mut [f32], plane: &mut [f32]) {
        let (height, width) = (self.vertical.length, self.horizontal.length);
        let down = self.vertical.weights.chunks_exact(height);
        let across = self.horizontal.weights.chunks_exact(width);
        let rows = &mut rows[..down.len() * width];
        rows.fill(0.0);
        for (row, cells) in rows.chunks_exact_mut(width).zip(cells.chunks_exact(across.len())) {
            for (&cell, weights) in cells.iter().zip(across.clone()) {
                row.iter_mut().zip(weights).for_each(|(to, weight)| *to += weight * cell);
            }
        }
        plane.fill(0.0);
        for (row, weights) in rows.chunks_exact(width).zip(down) {
            for (&weight, into) in weights.iter().zip(plane.chunks_exact_mut(width)) {
                into.iter_mut().zip(row).for_each(|(to, value)| *to += weight * value);
            }
        }
    }
}

/// For signals of `padded` values subsampled by 2^j, at index j, the weights of every cell.
fn axes(padded: usize, scales: usize, cells: usize) -> Vec<Axis> {
    let positions = (padded >> scales) - 2;
    gaussian_kernels(padded, scales)
        .into_iter()
        .enumerate()
        .map(|(level, kernel)| {
            let length = kernel.len();
            let step = 1 << (scales - level);
            let mut weights = vec![0.0; cells * length];
            for (cell, weights) in weights.chunks_exact_mut(length).enumerate() {
                let covered = cell * positions / cells..((cell + 1) * positions).div_ceil(cells);
                for (u, weight) in weights.iter_mut().enumerate() {
                    let at = |position: usize| kernel[((position + 1) * step + length - u) % length];
                    *weight = (covered.clone().map(at).sum::<f64>() / covered.len() as f64) as f32;
                }
            }
            Axis { length, weights }
        })
        .collect()
}
