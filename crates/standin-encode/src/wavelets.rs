//! The Morlet wavelets and the Gaussian average of the scattering transform, in the frequency domain.
//!
//! Filters follow the definitions of Kymatio (Andreux et al., "Kymatio: Scattering Transforms in Python", JMLR 2020), so
//! that features can be compared across tools: σ = 0.8·2^j, central frequency ¾π·2^−j, slant 4/L.

use std::f64::consts::PI;

use rustfft::FftPlanner;
use rustfft::num_complex::{Complex32, Complex64};

use crate::fourier::{Fourier, Workspace};

/// Kymatio's value of π in the normalisation of a Gaussian.
#[expect(clippy::approx_constant, reason = "features are to equal those of other tools to single precision")]
const NORMALISING_PI: f64 = 3.1415;
/// Periods of the plane over which a filter is summed, on each side.
const PERIODS: i64 = 2;

/// One wavelet's spectrum, `width × height` (transposed like every spectrum), real because ψ(−u) is ψ(u) conjugated.
pub(crate) struct Wavelet {
    /// Scale: the wavelet is 2^j times the finest.
    pub(crate) j: usize,
    /// The spectrum for planes subsampled by 1, 2, 4, …, as far as the transform needs it, each divided by its number of
    /// values so that an unnormalised inverse transform needs no further factor.
    pub(crate) levels: Vec<Vec<f32>>,
}

/// All J·L wavelets for planes of `height × width`: scales outer, angles inner.
pub(crate) fn morlet_bank(height: usize, width: usize, scales: usize, angles: usize) -> Vec<Wavelet> {
    let fourier = Fourier::new(height, width);
    let mut work = Workspace::new(std::slice::from_ref(&fourier));
    let mut bank = Vec::with_capacity(scales * angles);
    for j in 0..scales {
        for angle in 0..angles {
            let dilation = (1 << j) as f64;
            let theta = ((angles - angles / 2 - 1) as f64 - angle as f64) * PI / angles as f64;
            let slant = 4.0 / angles as f64;
            let mut wave = morlet(height, width, 0.8 * dilation, theta, 0.75 * PI / dilation, slant);
            fourier.forward(&mut wave, &mut work);
            let spectrum: Vec<f64> = wave.iter().map(|value| f64::from(value.re)).collect();
            let levels = (0..=j.min(scales.saturating_sub(2)))
                .map(|level| {
                    let cropped = crop(&spectrum, width, height, level);
                    let values = cropped.len() as f64;
                    cropped.into_iter().map(|value| (value / values) as f32).collect()
                })
                .collect();
            bank.push(Wavelet { j, levels });
        }
    }
    bank
}

/// A Gabor wave minus the multiple of its envelope that makes its mean zero.
fn morlet(height: usize, width: usize, sigma: f64, theta: f64, frequency: f64, slant: f64) -> Vec<Complex32> {
    let wave = gabor(height, width, sigma, theta, frequency, slant);
    let envelope = gabor(height, width, sigma, theta, 0.0, slant);
    let balance = wave.iter().sum::<Complex64>() / envelope.iter().sum::<Complex64>();
    let balanced = wave.iter().zip(&envelope).map(|(wave, envelope)| wave - balance * envelope);
    balanced.map(|value| Complex32::new(value.re as f32, value.im as f32)).collect()
}

/// exp(−uᵀCu + iξ·u)/norm, made periodic; the envelope is `slant` times as narrow along the wave as across.
fn gabor(height: usize, width: usize, sigma: f64, theta: f64, frequency: f64, slant: f64) -> Vec<Complex64> {
    let (sin, cos) = theta.sin_cos();
    let precision = 1.0 / (2.0 * sigma * sigma);
    let yy = (cos * cos + slant * slant * sin * sin) * precision;
    let xx = (sin * sin + slant * slant * cos * cos) * precision;
    let xy = 2.0 * sin * cos * (1.0 - slant * slant) * precision;
    let norm = 2.0 * NORMALISING_PI * sigma * sigma / slant;
    let at = |y: i64, x: i64| {
        let (y, x) = (y as f64, x as f64);
        let decay = yy * y * y + xy * y * x + xx * x * x;
        // Below the smallest single-precision number nothing is added.
        if decay > 100.0 {
            return Complex64::default();
        }
        Complex64::from_polar((-decay).exp() / norm, frequency * (y * cos + x * sin))
    };
    let (rows, columns) = (height as i64, width as i64);
    let mut values = Vec::with_capacity(height * width);
    for y in 0..rows {
        for x in 0..columns {
            let mut sum = Complex64::default();
            for shift_y in -PERIODS..=PERIODS {
                for shift_x in -PERIODS..=PERIODS {
                    sum += at(y + shift_y * rows, x + shift_x * columns);
                }
            }
            values.push(sum);
        }
    }
    values
}

/// The Gaussian average φ at σ = 0.8·2^(J−1) along one axis, as kernels for signals subsampled by 1, 2, …, 2^(J−1).
///
/// In two dimensions φ is the product of its kernels along both axes, so averaging is two small matrix products.
pub(crate) fn gaussian_kernels(length: usize, scales: usize) -> Vec<Vec<f64>> {
    let sigma = 0.8 * (1 << (scales - 1)) as f64;
    let period = length as i64;
    let mut spectrum: Vec<Complex64> = (0..period)
        .map(|u| {
            let at = |shift: i64| (-((u + shift * period) as f64).powi(2) / (2.0 * sigma * sigma)).exp();
            let sum: f64 = (-PERIODS..=PERIODS).map(at).sum();
            Complex64::from(sum / ((2.0 * NORMALISING_PI).sqrt() * sigma))
        })
        .collect();
    let mut planner = FftPlanner::new();
    planner.plan_fft_forward(length).process(&mut spectrum);
    let spectrum: Vec<f64> = spectrum.iter().map(|value| value.re).collect();
    (0..scales)
        .map(|level| {
            let mut cropped: Vec<Complex64> =
                crop(&spectrum, length, 1, level).into_iter().map(Complex64::from).collect();
            let values = cropped.len();
            planner.plan_fft_inverse(values).process(&mut cropped);
            cropped.iter().map(|value| value.re / values as f64).collect()
        })
        .collect()
}

/// The spectrum for a plane subsampled by 2^level along each axis longer than 1: frequencies that the smaller plane
/// cannot hold are dropped, so that they do not come back as aliases. Kept lengths are even.
fn crop(spectrum: &[f64], rows: usize, columns: usize, level: usize) -> Vec<f64> {
    let axis = |length: usize| -> Vec<usize> {
        if length == 1 {
            return vec![0];
        }
        let kept = length >> level;
        (0..kept).map(|at| if at < kept / 2 { at } else { length - kept + at }).collect()
    };
    let columns_kept = axis(columns);
    axis(rows)
        .into_iter()
        .flat_map(|row| columns_kept.iter().map(move |column| spectrum[row * columns + column]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wavelets_have_zero_mean_and_one_direction_each() {
        let bank = morlet_bank(36, 36, 2, 8);
        assert_eq!(bank.len(), 16);
        for wavelet in &bank {
            assert!(wavelet.levels[0][0].abs() < 1e-8);
        }
        let peak = |wavelet: &Wavelet| {
            let level = &wavelet.levels[0];
            (0..level.len()).max_by(|&a, &b| level[a].total_cmp(&level[b])).unwrap()
        };
        let mut peaks: Vec<_> = bank.iter().map(peak).collect();
        peaks.sort_unstable();
        peaks.dedup();
        assert_eq!(peaks.len(), 16);
    }

    #[test]
    fn averaging_keeps_a_constant() {
        for kernel in gaussian_kernels(48, 3) {
            let sum: f64 = kernel.iter().sum();
            assert!((sum - 1.0).abs() < 1e-4, "{sum}");
        }
    }
}
