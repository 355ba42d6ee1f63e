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

/// An ε below this is as good as none; its bracket is not refined further.
const NEGLIGIBLE: f64 = 1e-6;

/// Noise of less than this many sensitivities: √(P·Q) underflows between the two modes.
const LEAST_SIGMA: f64 = 0.03;

/// Share of δ that may be spent on outcomes beyond the lattice.
const TAIL_SHARE: f64 = 1e-5;

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
    let plan = Plan::new(composition, delta)?;
    let mut spacing = plan.spacing;
    let mut best: Option<Bracket> = None;
    for _ in 0..6 {
        let Some(bracket) = plan.bracket(spacing)? else { break };
        let bracket = match best {
            Some(known) => Bracket { low: bracket.low.max(known.low), high: bracket.high.min(known.high) },
            None => bracket,
        };
        best = Some(bracket);
        let width = (bracket.high - bracket.low) / bracket.high;
        if bracket.high <= NEGLIGIBLE || width <= WIDTH {
            break;
        }
        // The width falls with the square of the spacing.
        spacing *= (0.6 * WIDTH / width).sqrt().clamp(0.1, 0.7);
    }
    best.ok_or_else(|| plan.reason())
}

/// What is computed once for all spacings.
struct Plan {
    parts: Vec<(Pair, f64)>,
    delta: f64,
    /// Standard deviations of noise up to which outcomes are followed.
    reach: f64,
    removal: Direction,
    /// Nothing if losses are distributed alike in both directions.
    addition: Option<Direction>,
    spacing: f64,
    description: String,
}

/// One direction of change between neighbours.
struct Direction {
    spectra: Vec<Spectrum>,
    tilt: Tilt,
}

impl Direction {
    fn new(parts: &[(Pair, f64)], reach: f64, reversed: bool, delta: f64) -> Self {
        let spectra: Vec<Spectrum> =
            parts.iter().map(|&(pair, count)| Spectrum::of(pair, count, reach, reversed)).collect();
        let tilt = tilt::tilt(&spectra, delta);
        Self { spectra, tilt }
    }
}

impl Plan {
    fn new(composition: &Composition, delta: f64) -> Result<Self, Reason> {
        let mut parts: Vec<(Pair, f64)> =
            composition.parts.iter().map(|&(part, count)| (Pair::from(part), count as f64)).collect();
        if composition.mu > 0.0 {
            parts.push((Pair::Gaussian { rate: 1.0, sigma: composition.mu.recip() }, 1.0));
        }
        for (pair, _) in &parts {
            match *pair {
                Pair::Gaussian { rate: 1.0, sigma } if sigma < LEAST_SIGMA => {
                    return Err(format!("the full-batch Gaussians have σ = {sigma} together, below {LEAST_SIGMA}"));
                }
                Pair::Gaussian { sigma, .. } if sigma < LEAST_SIGMA => {
                    return Err(format!("a noise multiplier of {sigma} is below {LEAST_SIGMA}"));
                }
                Pair::Laplace { scale } if scale < 0.005 => {
                    return Err(format!("a Laplace scale of {scale} is below 0.005"));
                }
                _ => {}
            }
        }
        let steps: f64 = parts.iter().map(|(_, count)| count).sum();
        // e^(−z²/2) bounds what a Gaussian has beyond z on either side.
        let reach = (-2.0 * (TAIL_SHARE * delta / steps).ln()).sqrt();
        let removal = Direction::new(&parts, reach, false, delta);
        let symmetric = parts.iter().all(|(pair, _)| pair.is_symmetric());
        let addition = (!symmetric).then(|| Direction::new(&parts, reach, true, delta));
        let likely = removal.tilt;
        // Spreading adds about T d² (θ + 1)/12 to ε, uniting takes off as much or twice that.
        let target = 0.25 * WIDTH * likely.epsilon.max(1e-9);
        let spacing = (12.0 * target / (steps * (likely.theta + 1.0))).sqrt();
        let spacing = spacing.min(0.5 * likely.step_deviation.max(1e-12)).min(0.02 * likely.epsilon.max(1e-9));
        let description = format!("{} events", steps);
        Ok(Self { parts, delta, reach, removal, addition, spacing, description })
    }

    fn reason(&self) -> Reason {
        let extent = self.parts.iter().map(|(pair, _)| pair.extent(self.reach)).fold(0.0, f64::max);
        format!(
            "with {} the losses of one step reach over {extent:.3e} and those of all deviate by {:.3e}, which takes a \
             lattice of spacing {:.3e} with more than {MOST_POINTS} points",
            self.description, self.removal.tilt.deviation, self.spacing
        )
    }

    /// The bracket with this lattice spacing; nothing if that takes too many points.
    fn bracket(&self, spacing: f64) -> Result<Option<Bracket>, Reason> {
        let spacing = self.aligned(spacing);
        if self.parts.iter().any(|(pair, _)| pair.extent(self.reach) / spacing > MOST_CELLS) {
            return Ok(None);
        }
        let cells: Vec<(Cells, f64)> =
            self.parts.iter().map(|&(pair, count)| (pair.cells(spacing, self.reach), count)).collect();
        let both = |reversed: bool| -> [Vec<(Masses, f64)>; 2] {
            let turned = |masses: Masses, cells: &Cells| {
                if reversed { masses.reversed(cells.infinite.1) } else { masses }
            };
            [
                cells.iter().map(|(cells, count)| (turned(cells.pessimistic(), cells), *count)).collect(),
                cells
                    .iter()
                    .map(|(cells, count)| {
                        let mut masses = turned(cells.optimistic(), cells);
                        masses.infinite = 0.0;
                        (masses, *count)
                    })
                    .collect(),
            ]
        };
        let Some(mut bracket) = self.direction(&both(false), &self.removal)? else { return Ok(None) };
        if let Some(addition) = self.addition.as_ref().filter(|addition| addition.tilt.epsilon > bracket.low) {
            let Some(other) = self.direction(&both(true), addition)? else { return Ok(None) };
            bracket = Bracket { low: bracket.low.max(other.low), high: bracket.high.max(other.high) };
        }
        Ok(Some(bracket))
    }

    /// The bracket in one direction.
    fn direction(&self, sides: &[Vec<(Masses, f64)>; 2], direction: &Direction) -> Result<Option<Bracket>, Reason> {
        let mut tilt = direction.tilt;
        let (mut low, mut high): (Option<f64>, Option<f64>) = (None, None);
        for _ in 0..6 {
            let Some((above, below)) = compose(&sides[0], &sides[1], tilt.theta, tilt.deviation, MOST_POINTS) else {
                return Ok(None);
            };
            match above.upper(self.delta) {
                Crossing::At(epsilon) => high = Some(epsilon),
                Crossing::Below(epsilon) => high = Some(high.map_or(epsilon, |known| known.min(epsilon))),
                Crossing::Above => return Ok(None),
            }
            if let Crossing::At(epsilon) = below.lower(self.delta) {
                low = Some(epsilon);
                break;
            }
            // ε lies below all losses that are likely under this tilt.
            tilt = tilt::at(&direction.spectra, 0.5 * tilt.theta, self.delta);
        }
        Ok(high.map(|high| Bracket { low: low.unwrap_or(0.0).min(high), high }))
    }

    /// The largest spacing up to `spacing` that puts both ends of the first Laplace distribution's losses on the lattice.
    fn aligned(&self, spacing: f64) -> f64 {
        let scale = self.parts.iter().find_map(|(pair, _)| match pair {
            Pair::Laplace { scale } => Some(*scale),
            Pair::Gaussian { .. } => None,
        });
        scale.map_or(spacing, |scale| 2.0 / scale / (2.0 / scale / spacing).ceil())
    }
}
