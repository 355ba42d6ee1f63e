use std::sync::Arc;

use rustfft::num_complex::Complex32;
use rustfft::{Fft, FftPlanner};

/// Fourier transforms of one size in two dimensions, unnormalised.
///
/// Spectra are kept transposed, `width × height`: each direction then needs one transposition instead of two.
pub(crate) struct Fourier {
    height: usize,
    width: usize,
    along_rows: [Arc<dyn Fft<f32>>; 2],
    along_columns: [Arc<dyn Fft<f32>>; 2],
}

/// Memory that transforms write into.
pub(crate) struct Workspace {
    transposed: Vec<Complex32>,
    scratch: Vec<Complex32>,
}

impl Workspace {
    /// Enough for each of several sizes.
    pub(crate) fn new(sizes: &[Fourier]) -> Self {
        let plans = sizes.iter().flat_map(|fourier| fourier.along_rows.iter().chain(&fourier.along_columns));
        let scratch = plans.map(|plan| plan.get_inplace_scratch_len()).max().unwrap_or(0);
        let largest = sizes.iter().map(Fourier::len).max().unwrap_or(0);
        Self { transposed: vec![Complex32::default(); largest], scratch: vec![Complex32::default(); scratch] }
    }
}

impl Fourier {
    pub(crate) fn new(height: usize, width: usize) -> Self {
        let mut planner = FftPlanner::new();
        let mut both = |length| [planner.plan_fft_forward(length), planner.plan_fft_inverse(length)];
        Self { height, width, along_rows: both(width), along_columns: both(height) }
    }

    /// Values of one plane.
    pub(crate) fn len(&self) -> usize {
        self.height * self.width
    }

    /// Replaces a plane, `height × width`, by its spectrum, `width × height`.
    pub(crate) fn forward(&self, plane: &mut [Complex32], work: &mut Workspace) {
        let [along_rows, _] = &self.along_rows;
        let [along_columns, _] = &self.along_columns;
        self.transform(plane, work, along_rows, (self.height, self.width), along_columns);
    }

    /// Replaces a spectrum, `width × height`, by `height · width` times its plane, `height × width`.
    pub(crate) fn inverse(&self, spectrum: &mut [Complex32], work: &mut Workspace) {
        let [_, along_rows] = &self.along_rows;
        let [_, along_columns] = &self.along_columns;
        self.transform(spectrum, work, along_columns, (self.width, self.height), along_rows);
    }

    fn transform(
        &self,
        values: &mut [Complex32],
        work: &mut Workspace,
        first: &Arc<dyn Fft<f32>>,
        (rows, columns): (usize, usize),
        second: &Arc<dyn Fft<f32>>,
    ) {
        debug_assert_eq!(values.len(), rows * columns);
        first.process_with_scratch(values, &mut work.scratch);
        let transposed = &mut work.transposed[..values.len()];
        for (column, into) in transposed.chunks_exact_mut(rows).enumerate() {
            for (to, from) in into.iter_mut().zip(values[column..].iter().step_by(columns)) {
                *to = *from;
            }
        }
        values.copy_from_slice(transposed);
        second.process_with_scratch(values, &mut work.scratch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f32::consts::TAU;

    #[test]
    fn a_plane_wave_has_one_line_and_inverting_returns_it() {
        let (height, width) = (6, 10);
        let fourier = Fourier::new(height, width);
        let mut work = Workspace::new(std::slice::from_ref(&fourier));
        let wave: Vec<Complex32> = (0..height * width)
            .map(|at| {
                let phase = 2.0 * (at / width) as f32 / height as f32 + 3.0 * (at % width) as f32 / width as f32;
                Complex32::from_polar(1.0, TAU * phase)
            })
            .collect();
        let mut values = wave.clone();
        fourier.forward(&mut values, &mut work);
        for (at, value) in values.iter().enumerate() {
            let expected = if (at / height, at % height) == (3, 2) { 60.0 } else { 0.0 };
            assert!((value - Complex32::from(expected)).norm() < 1e-4, "{value} at {at}");
        }
        fourier.inverse(&mut values, &mut work);
        for (value, expected) in values.iter().zip(&wave) {
            assert!((value / 60.0 - expected).norm() < 1e-5);
        }
    }
}
