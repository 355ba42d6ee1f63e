/// Passes over the lattice in which negative masses are filled.
const ROUNDS: usize = 64;

/// Negative masses up to this share of what was there are rounding.
const ROUNDING: f64 = 1e-13;

/// The masses of one event's pair of distributions, each half of each cell of a lattice of losses having its own.
///
/// A share of outcomes with masses (P, Q) is a vector, and so is a lattice point: (e^(u/2), e^(−u/2)) a unit of M-mass.
/// Outcomes whose losses lie in a cell add up to a vector between those of the cell's ends, and hence have exactly one
/// division between these ends which keeps P and Q: sinh((u − uᵢ)/2) / sinh(d/2) of the M-mass goes to the upper end.
///
/// - Putting the divided masses on the lattice spreads losses out, which can only raise every hockey-stick divergence:
///   the pessimistic bound (Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022, "Connect the dots").
/// - Uniting outcomes is post-processing, which can only lower every divergence: mass at uᵢ₋₁ and as much at uᵢ₊₁ unite to
///   2 cosh(d/2) times as much at uᵢ. The optimistic bound unites κᵢ of them around every lattice point of what the
///   pessimistic one spread. Of a half cell with shares (l, t) at its lower and upper end, a part φ comes to lie on the
///   lower end if κ there is at least φ t, and the rest on the upper end if κ there is at least (1 − φ) l. So κᵢ =
///   max(t of the half above, l of the half below) brings every half cell to its nearest lattice point.
///
/// Spreading adds d²/6 to the variance of a smooth distribution's loss and uniting takes d²/12 off it, in both directions
/// of change at once.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    /// The loss of lattice point 0.
    pub(crate) origin: f64,
    /// The distance d between lattice points.
    pub(crate) spacing: f64,
    /// Of each cell, the M-mass of its lower half and of its upper half, each as the shares of the cell's two ends.
    shares: Vec<[(f64, f64); 2]>,
    /// The first so many cells add up to a vector exactly at lattice point `head` − 1; 0 if they do not.
    pub(crate) head: usize,
    /// M-masses that lie on lattice points themselves.
    pub(crate) points: Vec<(usize, f64)>,
    /// M-mass of one single loss in the last cell, as shares of the cell's ends.
    loose: Option<(f64, f64)>,
    /// P-mass that may have any loss, and Q-mass that may have any loss in the other direction.
    pub(crate) infinite: (f64, f64),
    /// Lattice points with M-mass that the pessimistic bound adds there.
    edges: [(usize, f64); 2],
    sinh: f64,
}

/// M-masses on lattice points `origin` + j · `spacing`.
#[derive(Clone, Debug)]
pub(crate) struct Masses {
    pub(crate) origin: f64,
    pub(crate) spacing: f64,
    pub(crate) masses: Vec<f64>,
    /// Mass of the direction's first distribution that counts as an infinite loss.
    pub(crate) infinite: f64,
}

impl Masses {
    /// Whether there is no mass at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.masses.iter().all(|&mass| mass == 0.0)
    }

    /// The same pair in the other direction: all losses change their sign.
    pub(crate) fn reversed(&self, infinite: f64) -> Self {
        let last = (self.masses.len() - 1) as f64;
        let origin = -(self.origin + last * self.spacing);
        Self { origin, spacing: self.spacing, masses: self.masses.iter().rev().copied().collect(), infinite }
    }
}

impl Cells {
    pub(crate) fn new(origin: f64, spacing: f64, count: usize) -> Self {
        Self {
            origin,
            spacing,
            shares: vec![[(0.0, 0.0); 2]; count],
            head: 0,
            points: Vec::new(),
            loose: None,
            infinite: (0.0, 0.0),
            edges: [(0, 0.0); 2],
            sinh: (0.5 * spacing).sinh(),
        }
    }

    /// Adds M-mass to cell `index`, at `above` over its lower end.
    pub(crate) fn divide(&mut self, index: usize, above: f64, mass: f64) {
        let (lower, upper) = self.division(above);
        let half = &mut self.shares[index][usize::from(above > 0.5 * self.spacing)];
        half.0 += lower * mass;
        half.1 += upper * mass;
    }

    /// Puts M-mass of one single loss into the last cell, at `above` over its lower end.
    pub(crate) fn put_loose(&mut self, above: f64, mass: f64) {
        let (lower, upper) = self.division(above);
        self.loose = Some((lower * mass, upper * mass));
    }

    /// The shares of a cell's ends in a unit of M-mass at `above` over its lower end.
    fn division(&self, above: f64) -> (f64, f64) {
        let below = self.spacing - above;
        let (lower, upper) = if self.spacing < 1e-3 {
            // sinh(x/2)/sinh(d/2) to the fourth order.
            let share = |x: f64| x / self.spacing * (1.0 + (x * x - self.spacing * self.spacing) / 24.0);
            (share(below), share(above))
        } else {
            ((0.5 * below).sinh() / self.sinh, (0.5 * above).sinh() / self.sinh)
        };
        (lower.max(0.0), upper.max(0.0))
    }

    /// Accounts for outcomes of losses below and above certain lattice points, given as the point with the outcomes' P- and
    /// Q-mass. The optimistic bound leaves them out; the pessimistic one gives each the largest loss it may have in either
    /// direction: infinity in one, and that of the lattice point in the other.
    pub(crate) fn tails(&mut self, below: (usize, f64, f64), above: (usize, f64, f64)) {
        let loss = |point: usize| self.origin + point as f64 * self.spacing;
        self.edges =
            [(below.0, below.1 * (-0.5 * loss(below.0)).exp()), (above.0, above.2 * (0.5 * loss(above.0)).exp())];
        self.infinite = (above.1, below.2);
    }

    /// Masses on the lattice whose every hockey-stick divergence is at least that of the pair, in the direction of P.
    pub(crate) fn pessimistic(&self) -> Masses {
        let mut masses = self.spread(0);
        if let Some((lower, upper)) = self.loose {
            masses[self.shares.len() - 1] += lower;
            masses[self.shares.len()] += upper;
        }
        for (point, mass) in self.edges {
            masses[point] += mass;
        }
        for &(point, mass) in &self.points {
            masses[point] += mass;
        }
        self.masses(masses, self.infinite.0)
    }

    fn masses(&self, masses: Vec<f64>, infinite: f64) -> Masses {
        Masses { origin: self.origin, spacing: self.spacing, masses, infinite }
    }

    /// Masses on the lattice whose every hockey-stick divergence is at most that of the pair. Outcomes beyond the lattice
    /// are left out; where masses are too uneven to unite, everything is.
    pub(crate) fn optimistic(&self) -> Masses {
        let cosh = |steps: usize| (0.5 * self.spacing * steps as f64).cosh();
        let mut masses = self.spread(self.head);
        if self.head > 0 {
            let at = self.head - 1;
            masses[at] += self.shares[..self.head]
                .iter()
                .enumerate()
                .flat_map(|(index, halves)| halves.iter().map(move |half| (index, half)))
                .map(|(index, (lower, upper))| lower * cosh(at - index) + upper * cosh(at.abs_diff(index + 1)))
                .sum::<f64>();
        }
        for &(point, mass) in &self.points {
            masses[point] += mass;
        }
        if let Some((lower, upper)) = self.loose {
            // Unites with mass at lattice point 0, so as to come to lie on the last point but one.
            let at = self.shares.len() - 1;
            let half = 0.5 * self.spacing;
            let needed = upper * self.sinh / (half * at as f64).sinh();
            let part = if needed > masses[0] { masses[0] / needed } else { 1.0 };
            masses[0] -= part * needed;
            masses[at] += part * (lower + upper * half.cosh() + needed * (half * at as f64).cosh());
        }
        self.unite(&mut masses, 2.0 * cosh(1));
        self.masses(masses, 0.0)
    }

    /// Unites spread masses so far that every half cell lies on its nearest lattice point, or, where too little lies
    /// beyond that point to unite with, partly on the cell's other end.
    fn unite(&self, masses: &mut [f64], twice: f64) {
        let count = self.shares.len();
        let spread = masses.to_vec();
        let unite = |masses: &mut [f64], at: usize, amount: f64| {
            masses[at - 1] -= amount;
            masses[at] += twice * amount;
            masses[at + 1] -= amount;
        };
        let first = self.head.max(1);
        // Neither sweep below reaches the ends, where there may be too little, from the far side.
        let mode = (first..count).max_by(|&a, &b| masses[a].total_cmp(&masses[b])).unwrap_or(first);
        let mode = mode.clamp(first + 1, count - 2);
        // From the left, halves above a lattice point may find too little below it.
        let mut pushed = if self.head == 0 { self.shares[0][0].0 } else { 0.0 };
        let below = |at: usize| if at > self.head { self.shares[at - 1][1].0 } else { 0.0 };
        for at in first..mode {
            let (needed, (lower, upper)) = (below(at) + pushed, self.shares[at][0]);
            let amount = needed.max(upper.min(masses[at - 1]));
            pushed = if upper > amount { (1.0 - amount / upper) * lower } else { 0.0 };
            unite(masses, at, amount);
        }
        let from_below = below(mode) + pushed;
        // From the right, halves below a lattice point may find too little above it.
        let mut pushed = self.shares[count - 1][1].1;
        for at in (mode + 1..count).rev() {
            let (needed, (lower, upper)) = (self.shares[at][0].1 + pushed, self.shares[at - 1][1]);
            let lower = if at > self.head { lower } else { 0.0 };
            let amount = needed.max(lower.min(masses[at + 1]));
            pushed = if lower > amount { (1.0 - amount / lower) * upper } else { 0.0 };
            unite(masses, at, amount);
        }
        unite(masses, mode, from_below.max(self.shares[mode][0].1 + pushed));
        // Uniting more than needed is allowed, and fills what uneven masses have left negative.
        for _ in 0..ROUNDS {
            let mut settled = true;
            for at in 1..count {
                if masses[at] < 0.0 {
                    unite(masses, at, -masses[at] / twice);
                    settled = false;
                }
            }
            if settled {
                break;
            }
        }
        if masses.iter().zip(&spread).any(|(mass, spread)| *mass < -ROUNDING * spread) {
            masses.fill(0.0);
        }
        masses.iter_mut().for_each(|mass| *mass = mass.max(0.0));
    }

    /// The shares of all cells from `first` on, added up on their lattice points.
    fn spread(&self, first: usize) -> Vec<f64> {
        let mut masses = vec![0.0; self.shares.len() + 1];
        for (index, halves) in self.shares.iter().enumerate().skip(first) {
            for (lower, upper) in halves {
                masses[index] += lower;
                masses[index + 1] += upper;
            }
        }
        masses
    }
}

#[cfg(test)]
mod tests {
    use statrs::function::erf::erfc;

    use super::*;
    use crate::event::Part;
    use crate::pld::pair::Pair;

    /// Σ max(0, P − e^ε Q) over lattice points, and what is infinite.
    fn divergence(masses: &Masses, epsilon: f64) -> f64 {
        let loss = |index: usize| masses.origin + index as f64 * masses.spacing;
        let terms = masses.masses.iter().enumerate().filter(|(index, _)| loss(*index) > epsilon);
        let sum: f64 =
            terms.map(|(index, mass)| mass * (0.5 * loss(index)).exp() * -(epsilon - loss(index)).exp_m1()).sum();
        sum + masses.infinite
    }

    /// The same of the sampled Gaussian itself, when a unit is removed or added (Balle & Wang 2018 for each component).
    fn exact(rate: f64, sigma: f64, epsilon: f64, added: bool) -> f64 {
        let above = |x: f64| 0.5 * erfc(x / std::f64::consts::SQRT_2);
        let outcome = |loss: f64| sigma * sigma * ((loss.exp_m1() + rate) / rate).ln() + 0.5;
        if added {
            if -epsilon <= (-rate).ln_1p() {
                return 0.0;
            }
            let y = outcome(-epsilon);
            let (q, p) = (above(-y / sigma), (1.0 - rate) * above(-y / sigma) + rate * above((1.0 - y) / sigma));
            q - epsilon.exp() * p
        } else {
            let y = outcome(epsilon);
            let (q, p) = (above(y / sigma), (1.0 - rate) * above(y / sigma) + rate * above((y - 1.0) / sigma));
            p - epsilon.exp() * q
        }
    }

    fn gaussian(rate: f64, sigma: f64) -> Pair {
        Pair::from(Part::Subsampled { sampling_rate: rate, sigma })
    }

    #[test]
    fn divergences_of_a_step_lie_between_the_bounds_in_both_directions() {
        for (rate, sigma) in [(0.01, 1.0), (1e-4, 0.5), (0.3, 2.0), (0.9, 0.7), (0.999, 1.0), (1e-3, 20.0)] {
            let scale = gaussian(rate, sigma).extent((8.0, 8.0));
            for cells in [7.0, 40.0, 300.0, 3000.0] {
                let cells = gaussian(rate, sigma).cells(scale / cells, (8.0, 8.0));
                let (above, below) = (cells.pessimistic(), cells.optimistic());
                let turned = (above.reversed(cells.infinite.1), below.reversed(0.0));
                for step in 0..60 {
                    let epsilon = scale * f64::from(step) / 50.0;
                    let slack = 1e-13;
                    for (added, above, below) in [(false, &above, &below), (true, &turned.0, &turned.1)] {
                        let exact = exact(rate, sigma, epsilon, added);
                        let (upper, lower) = (divergence(above, epsilon), divergence(below, epsilon));
                        assert!(upper >= exact - slack, "{upper} for {exact} at ε {epsilon}, q {rate}, σ {sigma}");
                        assert!(lower <= exact + slack, "{lower} for {exact} at ε {epsilon}, q {rate}, σ {sigma}");
                    }
                }
            }
        }
    }

    #[test]
    fn bounds_close_in_with_the_square_of_the_spacing() {
        let gap = |spacing: f64| {
            let cells = gaussian(0.2, 1.5).cells(spacing, (9.0, 9.0));
            divergence(&cells.pessimistic(), 0.1) - divergence(&cells.optimistic(), 0.1)
        };
        for spacing in [0.04, 0.02, 0.01] {
            let ratio = gap(spacing) / gap(spacing / 4.0);
            assert!((10.0..24.0).contains(&ratio), "{ratio} at {spacing}");
        }
    }

    #[test]
    fn spreading_and_uniting_keep_both_distributions_whole() {
        for pair in [gaussian(0.05, 0.8), gaussian(1.0, 2.0), Pair::Laplace { scale: 1.7 }] {
            let cells = pair.cells(0.013, (9.0, 9.0));
            for masses in [cells.pessimistic(), cells.optimistic()] {
                for sign in [0.5, -0.5] {
                    let loss = |index: usize| masses.origin + index as f64 * masses.spacing;
                    let sum: f64 =
                        masses.masses.iter().enumerate().map(|(index, mass)| mass * (sign * loss(index)).exp()).sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{pair:?}: {sum}");
                }
            }
        }
    }
}
