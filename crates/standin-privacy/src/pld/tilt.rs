use super::pair::Pair;

/// The exponential tilt under which the loss of a whole composition is near its ε, and what can be said in advance.
///
/// With P-probabilities weighted by e^(θL), losses near ε become the likely ones, so that δ, which is the mass of losses
/// above ε, is computed to a *relative* precision however small it is. The θ that minimises the bound of Chernoff on δ
/// puts the mean loss at that bound's ε.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tilt {
    /// θ > 0.
    pub(crate) theta: f64,
    /// An ε that is slightly too large.
    pub(crate) epsilon: f64,
    /// The mean of the composed loss under the tilt.
    pub(crate) mean: f64,
    /// The standard deviation of the composed loss under the tilt.
    pub(crate) deviation: f64,
    /// The smallest standard deviation of any one event's loss under the tilt.
    pub(crate) step_deviation: f64,
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

    /// ln Σ M e^(ηu), and the mean and variance of u under these weights.
    fn moments(&self, eta: f64) -> (f64, f64, f64) {
        let top = self.nodes.iter().map(|(loss, ln_mass)| ln_mass + eta * loss).fold(f64::NEG_INFINITY, f64::max);
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for (loss, ln_mass) in &self.nodes {
            let weight = (ln_mass + eta * loss - top).exp();
            sum += weight;
            first += weight * loss;
            second += weight * loss * loss;
        }
        let mean = first / sum;
        (top + sum.ln(), mean, (second / sum - mean * mean).max(0.0))
    }
}

/// ln of the largest value of e^(−θx)(1 − e^(−x)) over x > 0, which sharpens Chernoff's bound from masses to δ.
fn ln_peak(theta: f64) -> f64 {
    theta * theta.ln() - (1.0 + theta) * theta.ln_1p()
}

/// The tilt for δ, by golden-section search for ln θ.
pub(crate) fn tilt(spectra: &[Spectrum], delta: f64) -> Tilt {
    let bound = |ln_theta: f64| {
        let theta = ln_theta.exp();
        let cumulant: f64 = spectra.iter().map(|part| part.count * part.moments(theta + 0.5).0).sum();
        (cumulant + ln_peak(theta) - delta.ln()) / theta
    };
    let (mut low, mut high) = ((1e-7_f64).ln(), (1e9_f64).ln());
    let ratio = 0.5 * (5.0_f64.sqrt() - 1.0);
    let mut inner = (high - ratio * (high - low), low + ratio * (high - low));
    let mut values = (bound(inner.0), bound(inner.1));
    while high - low > 0.02 {
        if values.0 <= values.1 {
            high = inner.1;
            inner = (high - ratio * (high - low), inner.0);
            values = (bound(inner.0), values.0);
        } else {
            low = inner.0;
            inner = (inner.1, low + ratio * (high - low));
            values = (values.1, bound(inner.1));
        }
    }
    at(spectra, (0.5 * (low + high)).exp(), delta)
}

/// What holds at a given θ.
pub(crate) fn at(spectra: &[Spectrum], theta: f64, delta: f64) -> Tilt {
    let moments: Vec<_> = spectra.iter().map(|part| (part.count, part.moments(theta + 0.5))).collect();
    let cumulant: f64 = moments.iter().map(|(count, (ln_sum, ..))| count * ln_sum).sum();
    Tilt {
        theta,
        epsilon: (cumulant + ln_peak(theta) - delta.ln()) / theta,
        mean: moments.iter().map(|(count, (_, mean, _))| count * mean).sum(),
        deviation: moments.iter().map(|(count, (.., variance))| count * variance).sum::<f64>().sqrt(),
        step_deviation: moments.iter().map(|(_, (.., variance))| variance.sqrt()).fold(f64::INFINITY, f64::min),
    }
}
