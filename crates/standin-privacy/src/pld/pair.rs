use std::f64::consts::FRAC_1_SQRT_2;

use statrs::function::erf::{erf, erfc};

use super::gauss_legendre::{EIGHT, FOUR, TWO};
use super::lattice::Cells;
use crate::event::Part;

/// So many cells above the head give every half cell two neighbours to unite with.
const LEAST_CELLS: usize = 4;

/// ln √(2π).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_7;

/// The pair of output distributions (P, Q) of one event that dominates those of all neighbours under removal of a unit;
/// under addition it is (Q, P). The loss of an outcome is u = ln(dP/dQ).
///
/// Masses are kept as those of the measure M = √(P·Q), from which P = M e^(u/2) and Q = M e^(−u/2): it treats both
/// directions alike, and neither underflows where the other is large.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pair {
    /// P = (1 − q) N(0, σ²) + q N(1, σ²) and Q = N(0, σ²) (Zhu, Dong & Wang 2022, "Optimal accounting of differential
    /// privacy via characteristic function", Theorem 11); rate q in (0, 1], where 1 is the plain Gaussian.
    Gaussian { rate: f64, sigma: f64 },
    /// Laplace distributions of this scale around 1 and 0.
    Laplace { scale: f64 },
}

impl From<Part> for Pair {
    fn from(part: Part) -> Self {
        match part {
            Part::Subsampled { sampling_rate, sigma } => Self::Gaussian { rate: sampling_rate, sigma },
            Part::Laplace { scale } => Self::Laplace { scale },
        }
    }
}

/// A part of the outcomes' range that a lattice is laid over, and what lies beyond it.
struct Range {
    low: f64,
    high: f64,
}

impl Pair {
    /// Whether losses are distributed alike under addition and removal.
    pub(crate) fn is_symmetric(self) -> bool {
        match self {
            Self::Gaussian { rate, .. } => rate == 1.0,
            Self::Laplace { .. } => true,
        }
    }

    /// The total variation distance between P and Q: δ at ε = 0.
    pub(crate) fn total_variation(self) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } => rate * erf(FRAC_1_SQRT_2 / (2.0 * sigma)),
            Self::Laplace { scale } => -(-0.5 / scale).exp_m1(),
        }
    }

    /// Losses and ln of the M-mass around them: a quadrature rule for sums over M e^(ηu), for finding scales with, at
    /// outcomes up to `reach` standard deviations away.
    pub(crate) fn nodes(self, reach: f64) -> Vec<(f64, f64)> {
        match self {
            Self::Gaussian { rate, sigma } => {
                let step = (0.25 * sigma).min(0.6 * sigma * sigma);
                let from = -reach * sigma;
                let count = ((1.0 + 2.0 * reach * sigma) / step).ceil() as usize;
                let ln_norm = (step / sigma).ln() - LN_SQRT_TAU;
                (0..=count)
                    .map(|index| {
                        let y = from + index as f64 * step;
                        let u = gaussian_loss(rate, sigma, y);
                        (u, ln_norm - 0.5 * (y / sigma).powi(2) + 0.5 * u)
                    })
                    .collect()
            }
            Self::Laplace { scale } => {
                let end = scale.recip();
                let count = 64;
                let width = 2.0 * end / f64::from(count);
                let inside =
                    (0..count).map(|index| ((f64::from(index) + 0.5) * width - end, (0.25 * width).ln() - 0.5 * end));
                let atoms = [-end, end].map(|loss| (loss, 0.5_f64.ln() - 0.5 * end));
                inside.chain(atoms).collect()
            }
        }
    }

    /// Lays a lattice of spacing `spacing` over the losses of outcomes up to `reach` standard deviations away, and
    /// divides every cell's mass between the ends of the cell; `reach` is for small and for large losses.
    ///
    /// Cost: a few evaluations of the density a cell, and the number of cells is the range of losses over the spacing.
    pub(crate) fn cells(self, spacing: f64, reach: (f64, f64)) -> Cells {
        match self {
            Self::Gaussian { rate, sigma } => gaussian_cells(rate, sigma, spacing, reach),
            Self::Laplace { scale } => laplace_cells(scale, spacing),
        }
    }

    /// The range of losses of outcomes up to `reach` standard deviations away.
    pub(crate) fn extent(self, reach: (f64, f64)) -> f64 {
        match self {
            Self::Gaussian { rate, sigma } => {
                gaussian_loss(rate, sigma, 1.0 + reach.1 * sigma) - gaussian_loss(rate, sigma, -reach.0 * sigma)
            }
            Self::Laplace { scale } => 2.0 / scale,
        }
    }
}

/// ln(1 − q + q e^((2y − 1)/2σ²)), precise near 0 too.
fn gaussian_loss(rate: f64, sigma: f64, y: f64) -> f64 {
    let x = (2.0 * y - 1.0) / (2.0 * sigma * sigma);
    if rate == 1.0 {
        x
    } else if x < 30.0 {
        (rate * x.exp_m1()).ln_1p()
    } else {
        let shifted = x + rate.ln();
        shifted + ((-rate).ln_1p() - shifted).exp().ln_1p()
    }
}

/// The outcome with this loss; −∞ where no outcome has so small a loss.
fn gaussian_outcome(rate: f64, sigma: f64, loss: f64) -> f64 {
    let variance = sigma * sigma;
    if rate == 1.0 {
        return variance * loss + 0.5;
    }
    let ratio = if loss < 30.0 {
        ((loss.exp_m1() + rate) / rate).ln()
    } else {
        loss - rate.ln() + (-(1.0 - rate) * (-loss).exp()).ln_1p()
    };
    if ratio.is_nan() { f64::NEG_INFINITY } else { variance * ratio + 0.5 }
}

/// Φ(x).
fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

fn gaussian_cells(rate: f64, sigma: f64, spacing: f64, reach: (f64, f64)) -> Cells {
    let range = Range { low: -reach.0 * sigma, high: 1.0 + reach.1 * sigma };
    let (least, greatest) = (gaussian_loss(rate, sigma, range.low), gaussian_loss(rate, sigma, range.high));
    let head = head(rate, sigma, spacing, &range);
    let (origin, head_cells) = match head {
        Some(centre) => {
            let below = ((centre - least) / spacing).ceil().max(0.0);
            (centre - below * spacing, below as usize + 1)
        }
        None => (least, 0),
    };
    let count = (((greatest - origin) / spacing).ceil() as usize).max(head_cells + LEAST_CELLS);
    let mut cells = Cells::new(origin, spacing, count);
    cells.head = head_cells;
    let outcome_at = |place: f64| {
        let outcome = gaussian_outcome(rate, sigma, origin + place * spacing);
        if place >= count as f64 { range.high } else { outcome.clamp(range.low, range.high) }
    };
    let mut from = range.low;
    for index in 0..count {
        let loss_below = origin + index as f64 * spacing;
        for half in [0.5, 1.0] {
            let to = outcome_at(index as f64 + half);
            integrate(rate, sigma, from, to, |loss, mass| cells.divide(index, loss - loss_below, mass));
            from = to;
        }
    }
    let shift = sigma.recip();
    let q_below = normal_cdf(-reach.0);
    let p_below = (1.0 - rate) * q_below + rate * normal_cdf(-reach.0 - shift);
    let q_above = normal_cdf(-reach.1 - shift);
    let p_above = (1.0 - rate) * q_above + rate * normal_cdf(-reach.1);
    let inside = |loss: f64| (loss - origin) / spacing;
    cells.tails(
        (inside(least).ceil() as usize, p_below, q_below),
        (inside(greatest).floor() as usize, p_above, q_above),
    );
    cells
}

/// The lattice point d below the loss up to which the outcomes' mean loss (of Q, in e^u) is that very point; nothing if
/// that lies below the range.
///
/// Where most outcomes have nearly the same loss, a lattice that misses this loss must be much finer than one that meets
/// it, and outcomes below it could not be united with anything on a lattice that begins elsewhere.
fn head(rate: f64, sigma: f64, spacing: f64, range: &Range) -> Option<f64> {
    if rate == 1.0 {
        return None;
    }
    let mean_below = |loss: f64| {
        let y = gaussian_outcome(rate, sigma, loss);
        let (shifted, plain) = (normal_cdf((y - 1.0) / sigma), normal_cdf(y / sigma));
        if plain > 0.0 { (rate * (shifted / plain - 1.0)).ln_1p() } else { (-rate).ln_1p() }
    };
    let gap = |loss: f64| loss - mean_below(loss) - spacing;
    let (mut low, mut high) = (gaussian_loss(rate, sigma, range.low), gaussian_loss(rate, sigma, range.high));
    if gap(low) > 0.0 {
        return None;
    }
    if gap(high) <= 0.0 {
        // All losses lie closer together than lattice points.
        return Some(mean_below(high));
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if gap(middle) > 0.0 { high = middle } else { low = middle }
    }
    Some(mean_below(high))
}

/// Hands out the loss and M-mass at the nodes of a quadrature rule on outcomes from `from` to `to`.
fn integrate(rate: f64, sigma: f64, from: f64, to: f64, mut each: impl FnMut(f64, f64)) {
    if to <= from {
        return;
    }
    let (width, far) = (to - from, from.abs().max(to.abs()) + 0.5);
    // Widths over which the density and the loss change by a factor of about e.
    let scale = (sigma * sigma / far).min(sigma * sigma).min(sigma);
    let relative = width / scale;
    let (rule, panels): (&[(f64, f64)], usize) = if relative < 0.004 {
        (&TWO, 1)
    } else if relative < 0.3 {
        (&FOUR, 1)
    } else {
        (&EIGHT, (relative / 2.5).ceil() as usize)
    };
    let half = 0.5 * width / panels as f64;
    let ln_norm = -(sigma.ln() + LN_SQRT_TAU);
    for panel in 0..panels {
        let centre = from + (2 * panel + 1) as f64 * half;
        for &(node, weight) in rule {
            let y = centre + half * node;
            let loss = gaussian_loss(rate, sigma, y);
            let density = (ln_norm - 0.5 * (y / sigma).powi(2) + 0.5 * loss).exp();
            each(loss, half * weight * density);
        }
    }
}

fn laplace_cells(scale: f64, spacing: f64) -> Cells {
    let end = scale.recip();
    // Inside, outcomes 0 < y < 1 have loss (2y − 1)/b and √(pq) = e^(−1/2b)/2b, hence a constant density of losses.
    let density = 0.25 * (-0.5 * end).exp();
    let atom = 0.5 * (-0.5 * end).exp();
    let exact = 2.0 * end / spacing;
    let whole = exact.round().max(1.0);
    let aligned = (exact - whole).abs() < 1e-9 * whole;
    let count = if aligned { whole as usize } else { exact.ceil() as usize };
    let mut cells = Cells::new(-end, spacing, count);
    for index in 0..count {
        let below = index as f64 * spacing;
        for from in [0.0, 0.5 * spacing] {
            let half = 0.5 * (2.0 * end - below - from).clamp(0.0, 0.5 * spacing);
            for &(node, weight) in &FOUR {
                cells.divide(index, from + half * (1.0 + node), half * weight * density);
            }
        }
    }
    cells.points.push((0, atom));
    if aligned {
        cells.points.push((count, atom));
    } else {
        cells.put_loose(2.0 * end - (count - 1) as f64 * spacing, atom);
    }
    cells
}
