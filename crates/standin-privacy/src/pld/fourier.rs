use std::sync::{Arc, LazyLock, Mutex};

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlanner};

use super::lattice::Masses;
use super::tilt::Tilt;

/// Unit round-off of f64.
const ROUND_OFF: f64 = f64::EPSILON / 2.0;

/// Relative error of the M-masses and their tilts: quadrature and exponentials.
const MASS_ERROR: f64 = 2e-13;

/// Plans are reused: making one costs more than a transform.
static PLANNER: LazyLock<Mutex<FftPlanner<f64>>> = LazyLock::new(|| Mutex::new(FftPlanner::new()));

fn plan(length: usize, inverse: bool) -> Arc<dyn Fft<f64>> {
    let mut planner = PLANNER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if inverse { planner.plan_fft_inverse(length) } else { planner.plan_fft_forward(length) }
}

/// The losses of a composition under a tilt: probabilities on a stretch of a lattice, all known up to an absolute error,
/// and what lies outside.
///
/// The P-mass at loss l is e^(`cumulant` − θl) times the probability.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    /// θ.
    pub(crate) theta: f64,
    /// ln of the factor between probabilities and masses, at loss 0.
    pub(crate) cumulant: f64,
    /// The loss of the first probability.
    pub(crate) first: f64,
    /// The distance between losses.
    pub(crate) spacing: f64,
    /// Computed probabilities; those outside the stretch are folded into it.
    pub(crate) probabilities: Vec<f64>,
    /// Bound on the error of every probability by round-off.
    pub(crate) error: f64,
    /// Bounds on the probability below and above the stretch.
    pub(crate) outside: (f64, f64),
    /// Bound on the error of the logarithm of all masses together, by round-off.
    pub(crate) ln_error: f64,
    /// Mass of infinite loss.
    pub(crate) infinite: f64,
}

/// A lattice under a tilt.
struct Tilted<'a> {
    masses: &'a Masses,
    count: f64,
    eta: f64,
    /// Probabilities, adding up to 1.
    probabilities: Vec<f64>,
    /// ln Σ M e^(ηu).
    cumulant: f64,
    /// The index that transforms take for 0, near the mean.
    centre: usize,
    mean: f64,
}

impl<'a> Tilted<'a> {
    fn new(masses: &'a Masses, count: f64, theta: f64) -> Self {
        let eta = theta + 0.5;
        let loss = |index: usize| masses.origin + index as f64 * masses.spacing;
        let exponents = masses
            .masses
            .iter()
            .enumerate()
            .map(|(index, &mass)| if mass > 0.0 { mass.ln() + eta * loss(index) } else { f64::NEG_INFINITY });
        let exponents: Vec<f64> = exponents.collect();
        let top = exponents.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut probabilities: Vec<f64> = exponents.iter().map(|exponent| (exponent - top).exp()).collect();
        let sum: f64 = probabilities.iter().sum();
        probabilities.iter_mut().for_each(|probability| *probability /= sum);
        let index = probabilities.iter().enumerate().map(|(index, weight)| weight * index as f64).sum::<f64>();
        Self {
            masses,
            count,
            eta,
            probabilities,
            cumulant: top + sum.ln(),
            centre: index.round() as usize,
            mean: masses.origin + index * masses.spacing,
        }
    }

    /// ln E[e^(s(u − mean))].
    fn ln_moment(&self, order: f64) -> f64 {
        let step = order * self.masses.spacing;
        let from = order * (self.masses.origin - self.mean);
        let weighted = self.probabilities.iter().enumerate().filter(|(_, weight)| **weight > 0.0);
        let sum: f64 = weighted.map(|(index, weight)| weight * (from + index as f64 * step).exp()).sum();
        sum.ln()
    }
}

/// Composes events given as masses of their lattices, all of one spacing, each with its count, and two ways to bound the
/// same events at once: `first` and `second` go through one complex transform as its real and its imaginary part.
///
/// Nothing if the stretch would need more than `limit` points.
///
/// Cost: O(N log N) for N points, which is 12 standard deviations of the composed loss over the spacing.
pub(crate) fn compose(
    first: &[(Masses, f64)],
    second: &[(Masses, f64)],
    tilt: Tilt,
    limit: usize,
) -> Option<(Composed, Composed)> {
    let sides = [first, second].map(|parts| -> Vec<Tilted<'_>> {
        parts.iter().map(|(masses, count)| Tilted::new(masses, *count, tilt.theta)).collect()
    });
    let windows = sides.each_ref().map(|parts| Window::of(parts, tilt));
    let spacing = first.first()?.0.spacing;
    // One stretch for both, as far as either needs.
    let base = |parts: &[Tilted<'_>]| -> f64 {
        parts.iter().map(|part| part.count * (part.masses.origin + part.centre as f64 * spacing)).sum()
    };
    let bases = sides.each_ref().map(|parts| base(parts));
    let low = (0..2).map(|side| ((windows[side].low - bases[side]) / spacing).floor()).fold(f64::INFINITY, f64::min);
    let high = (0..2).map(|side| ((windows[side].high - bases[side]) / spacing).ceil()).fold(f64::MIN, f64::max);
    let needed = high - low + 2.0;
    if needed.is_nan() || needed >= limit as f64 {
        return None;
    }
    let length = (needed as usize).max(64).next_power_of_two();
    // What is left over lies below, where small losses take longest to vanish.
    let start = low - ((length as f64 - needed) / 2.0).floor();
    let (probabilities, errors) = convolve(&sides, length, start);
    let mut composed = (0..2).zip(probabilities).map(|(side, probabilities)| {
        let parts = &sides[side];
        let infinite: f64 = parts.iter().map(|part| part.count * part.masses.infinite).sum();
        let cumulant: f64 = parts.iter().map(|part| part.count * part.cumulant).sum();
        let ln_error = parts
            .iter()
            .map(|part| {
                part.count * (MASS_ERROR + 4.0 * ROUND_OFF * (part.cumulant.abs() + part.eta * part.mean.abs()))
            })
            .sum();
        Composed {
            theta: tilt.theta,
            cumulant,
            first: bases[side] + start * spacing,
            spacing,
            probabilities,
            error: errors[side],
            outside: windows[side].outside,
            ln_error,
            infinite,
        }
    });
    Some((composed.next()?, composed.next()?))
}

/// Losses beyond which little probability lies, by Chernoff's bound.
struct Window {
    low: f64,
    high: f64,
    outside: (f64, f64),
}

impl Window {
    fn of(parts: &[Tilted<'_>], tilt: Tilt) -> Self {
        let mean: f64 = parts.iter().map(|part| part.count * part.mean).sum();
        // On a lattice nothing is concentrated more than this.
        let deviation = parts.iter().map(|part| 0.25 * part.masses.spacing).fold(tilt.deviation, f64::max);
        // The order that is best for a Gaussian of this deviation.
        let order = (-2.0 * tilt.outside.ln()).sqrt() / deviation;
        let reach = |order: f64| {
            let ln_moment: f64 = parts.iter().map(|part| part.count * part.ln_moment(order)).sum();
            (ln_moment - tilt.outside.ln()) / order.abs()
        };
        // Losses with a heavy tail on one side need a smaller order there.
        let enough = 1.3 * order * deviation * deviation;
        let narrowest = |sign: f64| {
            let mut best = f64::INFINITY;
            for share in [1.0, 0.5, 0.2, 0.05] {
                best = reach(sign * share * order).min(best);
                if best < enough {
                    break;
                }
            }
            best
        };
        Self { low: mean - narrowest(-1.0), high: mean + narrowest(1.0), outside: (tilt.outside, tilt.outside) }
    }
}

/// Probabilities of both sides' composed indices `start`, …, `start` + `length` − 1, folded modulo `length`, and bounds
/// on their errors.
///
/// # Error bound
/// Every output of a fast Fourier transform is a sum over all inputs, each taken through at most log₂ N additions and
/// products with roots of unity, so its error is at most E = c u log₂ N times the sum of the inputs' moduli (u the unit
/// round-off, c = 6 for complex products, sums and rounded roots; Higham 2002, "Accuracy and stability of numerical
/// algorithms", Theorem 24.2 bounds the same paths). A characteristic value φ then has the error E, and
/// |Π φ̃ᵗ − Π φᵗ| ≤ Π (|φ̃| + E)ᵗ − Π |φ̃|ᵗ. These add up over frequencies, divided by N, for the inverse transform.
fn convolve(sides: &[Vec<Tilted<'_>>; 2], length: usize, start: f64) -> ([Vec<f64>; 2], [f64; 2]) {
    let stages = (length as f64).log2() + 2.0;
    // Both sides share the transform, so the moduli add up to 2.
    let transform_error = 2.0 * 6.0 * ROUND_OFF * stages;
    let forward = plan(length, false);
    let half = length / 2;
    let parts = sides[0].len();
    // Of all parts but the last: values and errors of both sides.
    let mut products = vec![[(ONE, 0.0_f64); 2]; if parts > 1 { half + 1 } else { 0 }];
    let mut spectrum = vec![Complex::new(0.0, 0.0); length];
    let (mut moduli, mut bounds) = (0.0, [0.0_f64; 2]);
    for part in 0..parts {
        spectrum.fill(Complex::new(0.0, 0.0));
        for (index, &probability) in sides[0][part].probabilities.iter().enumerate() {
            spectrum[wrapped(index, sides[0][part].centre, length)].re += probability;
        }
        for (index, &probability) in sides[1][part].probabilities.iter().enumerate() {
            spectrum[wrapped(index, sides[1][part].centre, length)].im += probability;
        }
        forward.process(&mut spectrum);
        let power = Power::new(sides[0][part].count, transform_error);
        for frequency in 0..=half {
            let opposite = (length - frequency) % length;
            let (z, mirrored) = (spectrum[frequency], spectrum[opposite].conj());
            let values = [0.5 * (z + mirrored), Complex::new(0.0, -0.5) * (z - mirrored)];
            let mut product = values.map(|value| power.of(value));
            if let Some(before) = products.get_mut(frequency) {
                for (product, (value, error)) in product.iter_mut().zip(*before) {
                    let rounding = 4.0 * ROUND_OFF * value.norm() * product.0.norm();
                    let error = error * (product.0.norm() + product.1) + value.norm() * product.1 + rounding;
                    *product = (value * product.0, error);
                }
                *before = product;
            }
            if part + 1 < parts {
                continue;
            }
            let weight = if frequency == opposite { 1.0 } else { 2.0 };
            for (bound, (_, error)) in bounds.iter_mut().zip(product) {
                *bound += weight * error;
            }
            let ((a, _), (b, _)) = (product[0], product[1]);
            if a == ZERO && b == ZERO {
                spectrum[frequency] = ZERO;
                spectrum[opposite] = ZERO;
                continue;
            }
            // Moves index `start` to place 0.
            let turn = (start * frequency as f64).rem_euclid(length as f64) / length as f64;
            let shift = Complex::from_polar(1.0, std::f64::consts::TAU * turn);
            let (a, b) = (a * shift, b * shift);
            let i = Complex::new(0.0, 1.0);
            spectrum[opposite] = a.conj() + i * b.conj();
            spectrum[frequency] = a + i * b;
            let (a, b) = (a.norm(), b.norm());
            moduli += weight * (a + b);
            bounds[0] += weight * 8.0 * ROUND_OFF * a;
            bounds[1] += weight * 8.0 * ROUND_OFF * b;
        }
    }
    plan(length, true).process(&mut spectrum);
    let scale = (length as f64).recip();
    let probabilities = [
        spectrum.iter().map(|value| value.re * scale).collect(),
        spectrum.iter().map(|value| value.im * scale).collect(),
    ];
    (probabilities, bounds.map(|bound| scale * (bound + transform_error * moduli)))
}

const ZERO: Complex<f64> = Complex::new(0.0, 0.0);
const ONE: Complex<f64> = Complex::new(1.0, 0.0);

fn wrapped(index: usize, centre: usize, length: usize) -> usize {
    (index as i64 - centre as i64).rem_euclid(length as i64) as usize
}

/// φᵗ for one t, with a bound on its error.
#[derive(Clone, Copy, Debug)]
struct Power {
    count: f64,
    /// Bound on the error of φ.
    error: f64,
    /// Squared modulus below which φᵗ is below e^−50 and taken for 0.
    negligible: f64,
    /// Bound on the error of doing so.
    neglected: f64,
}

impl Power {
    fn new(count: f64, error: f64) -> Self {
        let negligible: f64 = (-100.0 / count).exp();
        let neglected = (count * (negligible.sqrt() + error).ln()).exp();
        Self { count, error, negligible, neglected }
    }

    fn of(&self, value: Complex<f64>) -> (Complex<f64>, f64) {
        if self.count == 1.0 {
            return (value, self.error);
        }
        let squared = value.norm_sqr();
        if squared <= self.negligible {
            return (ZERO, self.neglected);
        }
        let (ln_modulus, angle) = (0.5 * squared.ln(), value.arg());
        let modulus = (self.count * ln_modulus).exp();
        let power = Complex::from_polar(modulus, (self.count * angle).rem_euclid(std::f64::consts::TAU));
        let rounding = self.count * ROUND_OFF * (4.0 + 2.0 * angle.abs() + 2.0 * ln_modulus.abs());
        let spread = (self.count * (self.error / squared.sqrt()).ln_1p()).exp_m1();
        (power, modulus * (spread + rounding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Part;
    use crate::pld::pair::Pair;
    use crate::pld::tilt::{Spectrum, for_delta};

    fn convolved(a: &[f64], b: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; a.len() + b.len() - 1];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                sum[i + j] += x * y;
            }
        }
        sum
    }

    #[test]
    fn composition_equals_direct_convolution_within_its_error_bound() {
        let pairs = [
            (Pair::from(Part::Subsampled { sampling_rate: 0.1, sigma: 0.9 }), 5.0),
            (Pair::Laplace { scale: 2.0 }, 3.0),
        ];
        let spectra: Vec<Spectrum> = pairs.iter().map(|&(pair, count)| Spectrum::of(pair, count, 7.0, false)).collect();
        let tilt = for_delta(&spectra, 1e-6);
        let spacing = 0.02;
        let masses: Vec<(Masses, f64)> =
            pairs.iter().map(|&(pair, count)| (pair.cells(spacing, (7.0, 7.0)).pessimistic(), count)).collect();
        let (composed, twin) = compose(&masses, &masses, tilt, 1 << 20).unwrap();
        assert_eq!(composed.probabilities.len(), twin.probabilities.len());
        // P-masses of the whole composition, one event after the other.
        let (mut direct, mut origin) = (vec![1.0], 0.0);
        for (masses, count) in &masses {
            let loss = |index: usize| masses.origin + index as f64 * spacing;
            let p: Vec<f64> = masses.masses.iter().enumerate().map(|(i, mass)| mass * (0.5 * loss(i)).exp()).collect();
            for _ in 0..*count as usize {
                direct = convolved(&direct, &p);
                origin += masses.origin;
            }
        }
        let mut largest: f64 = 0.0;
        for (index, probability) in composed.probabilities.iter().enumerate() {
            let loss = composed.first + index as f64 * spacing;
            let place = ((loss - origin) / spacing).round();
            let mass = if place >= 0.0 { direct.get(place as usize).copied().unwrap_or(0.0) } else { 0.0 };
            let expected = mass * (composed.theta * loss - composed.cumulant).exp();
            // Beside round-off there is what was folded over, and the rounding of the direct sums.
            let allowed = composed.error + composed.outside.0 + composed.outside.1 + 1e-11 * expected;
            assert!((probability - expected).abs() <= allowed, "{probability} for {expected} at {loss}");
            largest = largest.max(expected);
        }
        assert!(largest > 1e-4 && composed.error < 1e-12, "{largest} {}", composed.error);
    }

    #[test]
    fn powers_stay_within_their_error_bound() {
        for (modulus, angle, count) in
            [(0.999_f64, 0.3_f64, 1000.0), (0.5, 2.0, 20.0), (1e-3, 1.0, 1.0), (1e-9, 0.1, 3.0)]
        {
            let value = Complex::from_polar(modulus, angle);
            let exact = Complex::from_polar(modulus.powf(count), angle * count);
            let error = 1e-14;
            for turn in 0..8 {
                let wrong = value + Complex::from_polar(0.99 * error, f64::from(turn));
                let (power, bound) = Power::new(count, error).of(wrong);
                assert!((power - exact).norm() <= bound, "{power} for {exact}, bound {bound}");
            }
        }
    }
}
