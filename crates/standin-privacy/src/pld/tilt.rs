use super::pair::Pair;

/// What a stretch leaves out to begin with.
const OUTSIDE: f64 = 1e-9;

/// The exponential tilt under which the loss of a whole composition is near its ε, and what can be said in advance.
///
/// With P-probabilities weighted by e^(θL), losses near ε become the likely ones, so that δ, which is the mass of losses
/// above ε, is computed to a *relative* precision however small it is. The θ that minimises the bound of Chernoff on δ
/// puts the mean loss at about that ε.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tilt {
    /// θ > 0.
    pub(crate) theta: f64,
    /// An ε that is slightly too large.
    pub(crate) epsilon: f64,
    /// The standard deviation of the composed loss under the tilt.
    pub(crate) deviation: f64,
    /// Probability, under the tilt, that either side of the stretch of losses that is computed may leave out.
    pub(crate) outside: f64,
}

impl Tilt {
    /// How much probability under the tilt makes up δ at ε, given ln of the factor between probabilities and masses.
    pub(crate) fn weight(&self, cumulant: f64, epsilon: f64, delta: f64) -> f64 {
        (delta.ln() - cumulant + self.theta * epsilon).exp()
    }
}

/// One event's losses and ln M-masses with the event's count, for sums over M e^(ηu).
pub(crate) struct Spectrum {
    nodes: Vec<(f64, f64)>,
    count: f64,
}

impl Spectrum {
    pub(crate) fn of(pair: Pair, count: f64, reach: f64, reversed: bool) -> Self {
        let mut nodes = pair.nodes(reach);
        if reversed {
            nodes.iter_mut().for_each(|(loss, _)| *loss = -*loss);
        }
        Self { nodes, count }
    }

    /// ln Σ M e^(ηu).
    fn cumulant(&self, eta: f64) -> f64 {
        let exponents = || self.nodes.iter().map(|(loss, ln_mass)| ln_mass + eta * loss);
        let top = exponents().fold(f64::NEG_INFINITY, f64::max);
        top + exponents().map(|exponent| (exponent - top).exp()).sum::<f64>().ln()
    }

    /// ln Σ M e^(ηu), and the mean and variance of u under these weights.
    fn moments(&self, eta: f64) -> (f64, f64, f64) {
        let top = self.nodes.iter().map(|(loss, ln_mass)| ln_mass + eta * loss).fold(f64::NEG_INFINITY, f64::max);
        let weights = || self.nodes.iter().map(|(loss, ln_mass)| ((ln_mass + eta * loss - top).exp(), loss));
        let sum: f64 = weights().map(|(weight, _)| weight).sum();
        let mean = weights().map(|(weight, loss)| weight * loss).sum::<f64>() / sum;
        let variance = weights().map(|(weight, loss)| weight * (loss - mean).powi(2)).sum::<f64>() / sum;
        (top + sum.ln(), mean, variance)
    }
}

/// ln of the largest value of e^(−θx)(1 − e^(−x)) over x > 0, which sharpens Chernoff's bound from masses to δ.
fn ln_peak(theta: f64) -> f64 {
    theta * theta.ln() - (1.0 + theta) * theta.ln_1p()
}

/// The tilt that minimises Chernoff's bound on ε at a δ.
pub(crate) fn for_delta(spectra: &[Spectrum], delta: f64) -> Tilt {
    let bound = |theta: f64| (cumulant(spectra, theta) + ln_peak(theta) - delta.ln()) / theta;
    at(spectra, minimum(bound), delta)
}

/// The tilt that minimises Chernoff's bound on δ at an ε.
pub(crate) fn for_epsilon(spectra: &[Spectrum], epsilon: f64, delta: f64) -> Tilt {
    at(spectra, minimum(|theta| cumulant(spectra, theta) + ln_peak(theta) - theta * epsilon), delta)
}

fn cumulant(spectra: &[Spectrum], theta: f64) -> f64 {
    spectra.iter().map(|part| part.count * part.cumulant(theta + 0.5)).sum()
}

/// The θ at which a function with one minimum has it, by golden-section search for ln θ.
fn minimum(function: impl Fn(f64) -> f64) -> f64 {
    let value = |ln_theta: f64| function(ln_theta.exp());
    let (mut low, mut high) = ((1e-7_f64).ln(), (1e9_f64).ln());
    let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
    let mut inner = (high - ratio * (high - low), low + ratio * (high - low));
    let mut values = (value(inner.0), value(inner.1));
    while high - low > 0.02 {
        if values.0 <= values.1 {
            high = inner.1;
            inner = (high - ratio * (high - low), inner.0);
            values = (value(inner.0), values.0);
        } else {
            low = inner.0;
            inner = (inner.1, low + ratio * (high - low));
            values = (values.1, value(inner.1));
        }
    }
    (0.5 * (low + high)).exp()
}

/// What holds at a given θ.
fn at(spectra: &[Spectrum], theta: f64, delta: f64) -> Tilt {
    let moments: Vec<_> = spectra.iter().map(|part| (part.count, part.moments(theta + 0.5))).collect();
    let cumulant: f64 = moments.iter().map(|(count, (ln_sum, ..))| count * ln_sum).sum();
    Tilt {
        theta,
        epsilon: (cumulant + ln_peak(theta) - delta.ln()) / theta,
        deviation: moments.iter().map(|(count, (.., variance))| count * variance).sum::<f64>().sqrt(),
        outside: OUTSIDE,
    }
}
