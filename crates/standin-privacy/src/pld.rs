//! Bounds on ε by privacy loss distributions.
//!
//! The privacy loss of an outcome is ln of the ratio of its probabilities under two neighbouring data sets. Losses of
//! composed mechanisms add, so the distribution of the whole loss is a convolution, and with it goes the exact δ(ε): the
//! P-expectation of (1 − e^(ε − loss)) over losses above ε (Sommer, Meiser & Mohammadi 2019; Koskela, Jälkö & Honkela
//! 2020). What is returned is no estimate but a bracket: an ε that holds and an ε that does not, with everything between
//! paid for.
//!
//! - Losses are put on a lattice twice, spread out and united, which bounds every divergence from above and from below
//!   by O(d²) a step (`lattice`).
//! - Probabilities are tilted towards the losses that matter (`tilt`), so that a δ of 1e-10 after 10⁶ steps is computed
//!   as precisely as any other.
//! - Composition takes powers in the frequency domain; what the transform folds over is bounded by Chernoff's inequality,
//!   its round-off a posteriori (`fourier`). Both enter the bracket.
//! - Removal and addition of a unit are accounted separately, and the larger ε counts.
//! - If the bracket is too wide, the lattice is refined until it is not, or the stretch of losses has outgrown
//!   [`MOST_POINTS`].

mod crossing;
mod fourier;
mod gauss_legendre;
mod lattice;
mod pair;
mod tilt;

use crossing::Crossing;
use fourier::compose;
use lattice::{Cells, Masses};
use pair::Pair;
use tilt::{Spectrum, Tilt};

use crate::event::Composition;

/// The longest stretch of losses that is computed: about a second and 500 MiB.
const MOST_POINTS: usize = 1 << 22;

/// The most cells one event may have.
const MOST_CELLS: f64 = 4e6;

/// Relative width of the bracket at which refinement ends.
const WIDTH: f64 = 0.004;

/// Relative width that the first lattice aims at, which it meets where losses vary smoothly.
const AIM: f64 = 3e-4;

/// An ε below this is as good as none; its bracket is not refined further.
const NEGLIGIBLE: f64 = 1e-6;

/// Noise of less than this many sensitivities: √(P·Q) underflows between the two modes.
const LEAST_SIGMA: f64 = 0.03;

/// Laplace noise of a smaller scale is as good as none.
const LEAST_SCALE: f64 = 0.005;

/// How often the lattice is refined.
const REFINEMENTS: usize = 8;

/// Share of δ that may be spent on outcomes beyond the lattice.
const TAIL_SHARE: f64 = 1e-5;

/// How often the tilt is corrected.
const TILTS: usize = 5;

/// No less than this is left out on either side of a stretch of losses: round-off is of that order.
const LEAST_OUTSIDE: f64 = 1e-15;

/// What a composition's ε lies between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bracket {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// Why no bracket could be computed, in words that name the parameter.
pub(crate) type Reason = String;

/// Brackets ε of `composition` at `delta`.
///
/// # Errors
/// The reason, if a parameter is too extreme for any bracket.
pub(crate) fn epsilon(composition: &Composition, delta: f64) -> Result<Bracket, Reason> {
    let parts = parts(composition)?;
    if parts.iter().map(|(pair, count)| count * pair.total_variation()).sum::<f64>() <= delta {
        return Ok(Bracket { low: 0.0, high: 0.0 });
    }
    let removal = Direction::new(&parts, delta, false).refined(AIM, 0.0)?;
    if parts.iter().all(|(pair, _)| pair.is_symmetric()) {
        return Ok(removal);
    }
    let addition = Direction::new(&parts, delta, true);
    // Chernoff's bound often shows at once that adding a unit costs less than removing one.
    let ceiling = addition.tilt.epsilon * (1.0 + 1e-9);
    if ceiling <= removal.low {
        return Ok(removal);
    }
    let addition = addition.refined(WIDTH, removal.low).unwrap_or(Bracket { low: 0.0, high: ceiling });
    let high = addition.high.min(ceiling);
    Ok(Bracket { low: removal.low.max(addition.low.min(high)), high: removal.high.max(high) })
}

/// The pairs of distributions of a composition, with their counts.
fn parts(composition: &Composition) -> Result<Vec<(Pair, f64)>, Reason> {
    let mut parts: Vec<(Pair, f64)> =
        composition.parts.iter().map(|&(part, count)| (Pair::from(part), count as f64)).collect();
    if composition.mu > 0.0 {
        parts.push((Pair::Gaussian { rate: 1.0, sigma: composition.mu.recip() }, 1.0));
    }
    for (pair, _) in &parts {
        match *pair {
            Pair::Gaussian { rate: 1.0, sigma } if sigma < LEAST_SIGMA => {
                return Err(format!("the Gaussians on all units have σ = {sigma} together, below {LEAST_SIGMA}"));
            }
            Pair::Gaussian { sigma, .. } if sigma < LEAST_SIGMA => {
                return Err(format!("a noise multiplier of {sigma} is below {LEAST_SIGMA}"));
            }
            Pair::Laplace { scale } if scale < LEAST_SCALE => {
                return Err(format!("a Laplace scale of {scale} is below {LEAST_SCALE}"));
            }
            _ => {}
        }
    }
    Ok(parts)
}

/// One direction of change between neighbours: P against Q if a unit is removed, Q against P if one is added.
struct Direction<'a> {
    parts: &'a [(Pair, f64)],
    delta: f64,
    reversed: bool,
    spectra: Vec<Spectrum>,
    tilt: Tilt,
    /// Standard deviations of noise up to which outcomes are followed, on the side of small and of large losses under
    /// removal.
    reach: (f64, f64),
}

impl<'a> Direction<'a> {
    fn new(parts: &'a [(Pair, f64)], delta: f64, reversed: bool) -> Self {
        let steps: f64 = parts.iter().map(|(_, count)| count).sum();
        // e^(−z²/2) bounds what a Gaussian has beyond z on either side.
        let beyond = |probability: f64| (-2.0 * probability.ln()).sqrt();
        let reach = beyond(TAIL_SHARE * delta / steps);
        let spectra: Vec<Spectrum> =
            parts.iter().map(|&(pair, count)| Spectrum::of(pair, count, reach, reversed)).collect();
        let tilt = tilt::for_delta(&spectra, delta);
        // Under addition the largest losses under removal are the smallest, and raising them a little costs next to
        // nothing.
        let small = (1e-4 * tilt.theta * tilt.epsilon / steps).clamp(f64::MIN_POSITIVE, 1e-3);
        let reach = (reach, if reversed { reach.min(beyond(small)) } else { reach });
        Self { parts, delta, reversed, spectra, tilt, reach }
    }

    /// The bracket on a lattice that aims at the relative width `aim` and is refined until it is narrow, or until all of it
    /// lies below `enough`.
    fn refined(mut self, aim: f64, enough: f64) -> Result<Bracket, Reason> {
        let steps: f64 = self.parts.iter().map(|(_, count)| count).sum();
        let expected = self.tilt.epsilon.max(NEGLIGIBLE);
        // Spreading adds about T d² (θ + 1)/12 to ε, and uniting takes off half of that.
        let mut spacing = (8.0 * aim * expected / (steps * (self.tilt.theta + 1.0))).sqrt().min(0.02 * expected);
        let mut best: Option<(f64, Bracket)> = None;
        let mut refused = 0.0;
        for _ in 0..REFINEMENTS {
            let Some(bracket) = self.on_lattice(spacing)? else {
                // Halfway between what is too much and what was not.
                refused = spacing;
                match best {
                    Some((known, _)) if known > 2.0 * spacing => spacing = (known * spacing).sqrt(),
                    _ => break,
                }
                continue;
            };
            let known = best.map_or(Bracket { low: 0.0, high: f64::INFINITY }, |(_, bracket)| bracket);
            let bracket = Bracket { low: bracket.low.max(known.low), high: bracket.high.min(known.high) };
            best = Some((spacing, bracket));
            let width = (bracket.high - bracket.low) / bracket.high;
            if bracket.high <= NEGLIGIBLE.max(enough) || width <= WIDTH {
                break;
            }
            // The width falls with the square of the spacing.
            let finer = spacing * (0.6 * WIDTH / width).sqrt().clamp(0.1, 0.7);
            if finer < 1.5 * refused {
                break;
            }
            spacing = finer;
        }
        best.map(|(_, bracket)| bracket).ok_or_else(|| self.reason(spacing))
    }

    /// Why not even the first lattice was possible.
    fn reason(&self, spacing: f64) -> Reason {
        let extent = self.parts.iter().map(|(pair, _)| pair.extent(self.reach)).fold(0.0, f64::max);
        format!(
            "the losses of one step reach over {extent:.3e} and those of all deviate by {:.3e}, which on a lattice of \
             spacing {spacing:.3e} takes more than {MOST_POINTS} points",
            self.tilt.deviation
        )
    }

    /// The bracket on a lattice of this spacing; nothing if that takes too many points.
    fn on_lattice(&mut self, spacing: f64) -> Result<Option<Bracket>, Reason> {
        let spacing = self.aligned(spacing);
        if self.parts.iter().any(|(pair, _)| pair.extent(self.reach) / spacing > MOST_CELLS) {
            return Ok(None);
        }
        let cells: Vec<(Cells, f64)> =
            self.parts.iter().map(|&(pair, count)| (pair.cells(spacing, self.reach), count)).collect();
        let masses = |of: fn(&Cells) -> Masses| -> Vec<(Masses, f64)> {
            let turned = |cells| if self.reversed { of(cells).reversed(cells.infinite.1) } else { of(cells) };
            cells.iter().map(|(cells, count)| (turned(cells), *count)).collect()
        };
        let (pessimistic, optimistic) = (masses(Cells::pessimistic), masses(Cells::optimistic));
        // Without any mass to bound from below, the other side takes the place of this one, and 0 is the bound.
        let empty = optimistic.iter().any(|(masses, _)| masses.is_empty());
        let optimistic = if empty { &pessimistic } else { &optimistic };
        self.tilted(&pessimistic, optimistic, empty)
    }

    /// The bracket from masses on one lattice, under a tilt that is corrected if the first ε is far from what was
    /// expected.
    fn tilted(
        &mut self,
        pessimistic: &[(Masses, f64)],
        optimistic: &[(Masses, f64)],
        empty: bool,
    ) -> Result<Option<Bracket>, Reason> {
        let mut best: Option<Bracket> = None;
        for _ in 0..TILTS {
            let Some((above, below)) = compose(pessimistic, optimistic, self.tilt, MOST_POINTS) else { break };
            if !(above.is_finite() && below.is_finite()) {
                return Err("masses are beyond the range of floating-point numbers".into());
            }
            let (high, reached) = match above.upper(self.delta) {
                Crossing::At(epsilon) => (epsilon, true),
                Crossing::Below(epsilon) => (epsilon, false),
                Crossing::Above => break,
            };
            let low = match below.lower(self.delta) {
                Crossing::At(epsilon) if !empty => epsilon,
                _ => 0.0,
            };
            let known = best.unwrap_or(Bracket { low: 0.0, high: f64::INFINITY });
            let high = high.min(known.high);
            best = Some(Bracket { low: low.max(known.low).min(high), high });
            let weight = self.tilt.weight(above.cumulant, high, self.delta);
            if reached && (self.tilt.outside <= 1e-4 * weight || self.tilt.outside <= LEAST_OUTSIDE) {
                break;
            }
            // The losses that matter are far from those that Chernoff's bound had expected.
            let outside = if reached { (1e-6 * weight).max(LEAST_OUTSIDE) } else { self.tilt.outside };
            self.tilt = Tilt { outside, ..tilt::for_epsilon(&self.spectra, high, self.delta) };
        }
        Ok(best)
    }

    /// The largest spacing up to `spacing` that puts both ends of the losses of a Laplace distribution on the lattice: of
    /// the one that weighs most.
    fn aligned(&self, spacing: f64) -> f64 {
        let weighed = self.parts.iter().filter_map(|(pair, count)| match pair {
            Pair::Laplace { scale } => Some((*scale, count / scale)),
            Pair::Gaussian { .. } => None,
        });
        let scale = weighed.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(scale, _)| scale);
        scale.map_or(spacing, |scale| 2.0 / scale / (2.0 / scale / spacing).ceil().max(8.0))
    }
}
