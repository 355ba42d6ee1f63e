use super::fourier::Composed;

/// Where δ(ε) of a composition crosses a given δ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Crossing {
    /// At this ε.
    At(f64),
    /// Below the stretch of losses that was computed, which begins at this ε.
    Below(f64),
    /// Above it, or nowhere.
    Above,
}

impl Composed {
    /// Whether all numbers are.
    pub(crate) fn is_finite(&self) -> bool {
        let numbers = [self.cumulant, self.first, self.error, self.ln_error, self.infinite];
        numbers.iter().chain(&self.probabilities).all(|number| number.is_finite())
    }

    /// The smallest ε ≥ 0 for which the upper bound on δ(ε) is at most `delta`.
    pub(crate) fn upper(&self, delta: f64) -> Crossing {
        let left = delta - self.infinite;
        if left <= 0.0 {
            return Crossing::Above;
        }
        // Everything above the stretch counts as if it lay right there, where it weighs most.
        self.cross(left.ln() - self.ln_error, self.outside.1, |probability| probability.max(0.0) + self.error, 0.0)
    }

    /// The largest ε ≥ 0 for which the lower bound on δ(ε) is at least `delta`.
    pub(crate) fn lower(&self, delta: f64) -> Crossing {
        let folded = self.outside.0 + self.outside.1;
        self.cross(delta.ln() + self.ln_error, 0.0, |probability| probability - self.error, folded)
    }

    /// Scans losses from above until δ(ε) reaches e^`ln_delta`.
    ///
    /// With x = l − ε over losses l > ε, δ(ε) = e^(cumulant − θε) Σ p e^(−θx) (1 − e^(−x)). Both S = Σ p e^(−θx) and
    /// G = Σ p e^(−θx) (1 − e^(−x)), seen from a loss d further down, follow from sums of positive terms. Between two
    /// losses δ is linear in e^ε, so the crossing is exact. `folded` is the probability that may have been folded into
    /// the stretch from outside; it is taken off where it counts most.
    fn cross(&self, ln_delta: f64, above: f64, probability: impl Fn(f64) -> f64, folded: f64) -> Crossing {
        let (theta, spacing) = (self.theta, self.spacing);
        let (decay, step, rise) = ((-theta * spacing).exp(), (-spacing).exp(), -(-spacing).exp_m1());
        let most = (theta * theta.ln() - (1.0 + theta) * theta.ln_1p() + theta * spacing).exp();
        let taken = if folded > 0.0 { folded * most } else { 0.0 };
        let threshold = |loss: f64| (ln_delta - self.cumulant + theta * loss).exp();
        let (mut s, mut g) = (above, above);
        let last = self.first + (self.probabilities.len() - 1) as f64 * spacing;
        if g >= threshold(last) {
            return Crossing::Above;
        }
        for (index, &value) in self.probabilities.iter().enumerate().rev() {
            let loss = self.first + index as f64 * spacing;
            if loss <= 0.0 {
                return Crossing::At(0.0);
            }
            s += probability(value);
            // With v = 1 − e^(ε − loss), δ is G + v (S − G) from this loss down to the next.
            let (needed, slope) = (threshold(loss) + taken - g, s - g);
            if rise * slope >= needed {
                let v = if needed > 0.0 { (needed / slope).min(rise) } else { 0.0 };
                return Crossing::At((loss + (-v).ln_1p()).max(0.0));
            }
            g = decay * (step * g + rise * s);
            s *= decay;
        }
        Crossing::Below(self.first)
    }
}
