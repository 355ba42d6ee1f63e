/// The masses of one event's pair of distributions, each cell of a lattice of losses having its own.
///
/// A share of outcomes with masses (P, Q) is a vector, and so is a lattice point: (e^(u/2), e^(−u/2)) a unit of M-mass.
/// Outcomes whose losses lie in a cell add up to a vector between those of the cell's ends, and hence have exactly one
/// division between these ends which keeps P and Q: sinh((u − uᵢ)/2) / sinh(d/2) of the M-mass goes to the upper end.
///
/// - Putting the divided masses on the lattice spreads losses out, which can only raise every hockey-stick divergence:
///   the pessimistic bound (Doroshenko, Ghazi, Kamath, Kumar & Manurangsi 2022, "Connect the dots").
/// - Uniting outcomes is post-processing, which can only lower every divergence: mass at uᵢ₋₁ and as much at uᵢ₊₁ unite to
///   2 cosh(d/2) times as much at uᵢ. Uniting until everything lies on the lattice is the optimistic bound.
///
/// Both err by O(d²) a step, and both hold in both directions at once.
#[derive(Clone, Debug)]
pub(crate) struct Cells {
    /// The loss of lattice point 0.
    pub(crate) origin: f64,
    /// The distance d between lattice points.
    pub(crate) spacing: f64,
    /// Of each cell, the share of its M-mass that belongs to its lower and to its upper end.
    shares: Vec<(f64, f64)>,
    /// The first so many cells add up to a vector exactly at lattice point `head` − 1; 0 if they do not.
    pub(crate) head: usize,
    /// M-masses that lie on lattice points themselves.
    pub(crate) points: Vec<(usize, f64)>,
    /// P-mass that may have any loss, and Q-mass that may have any loss in the other direction.
    pub(crate) infinite: (f64, f64),
    /// M-masses that the pessimistic bound adds at the first and the last lattice point.
    edges: (f64, f64),
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
            shares: vec![(0.0, 0.0); count],
            head: 0,
            points: Vec::new(),
            infinite: (0.0, 0.0),
            edges: (0.0, 0.0),
            sinh: (0.5 * spacing).sinh(),
        }
    }

    /// Adds M-mass to cell `index`, at `above` over its lower end.
    pub(crate) fn divide(&mut self, index: usize, above: f64, mass: f64) {
        let below = self.spacing - above;
        let (lower, upper) = if self.spacing < 1e-3 {
            // sinh(x/2)/sinh(d/2) to the fourth order.
            let share = |x: f64| x / self.spacing * (1.0 + (x * x - self.spacing * self.spacing) / 24.0);
            (share(below), share(above))
        } else {
            ((0.5 * below).sinh() / self.sinh, (0.5 * above).sinh() / self.sinh)
        };
        self.shares[index].0 += lower.max(0.0) * mass;
        self.shares[index].1 += upper.max(0.0) * mass;
    }

    /// Accounts for outcomes outside the lattice, given by their masses: below it (P, Q) and above it (P, Q). The
    /// optimistic bound leaves them out; the pessimistic one gives each the largest loss it may have in either direction.
    pub(crate) fn tails(&mut self, p_below: f64, q_below: f64, p_above: f64, q_above: f64) {
        let last = self.origin + self.shares.len() as f64 * self.spacing;
        self.edges = (p_below * (-0.5 * self.origin).exp(), q_above * (0.5 * last).exp());
        self.infinite = (p_above, q_below);
    }

    /// Masses on the lattice whose every hockey-stick divergence is at least that of the pair, in the direction of P.
    pub(crate) fn pessimistic(&self) -> Masses {
        let mut masses = vec![0.0; self.shares.len() + 1];
        for (index, (lower, upper)) in self.shares.iter().enumerate() {
            masses[index] += lower;
            masses[index + 1] += upper;
        }
        masses[0] += self.edges.0;
        masses[self.shares.len()] += self.edges.1;
        self.on_lattice(masses, self.infinite.0)
    }

    /// Masses on the lattice whose every hockey-stick divergence is at most that of the pair.
    pub(crate) fn optimistic(&self) -> Masses {
        let mut masses = vec![0.0; self.shares.len() + 1];
        let cosh = |steps: usize| (0.5 * self.spacing * steps as f64).cosh();
        let sinh = |steps: usize| (0.5 * self.spacing * steps as f64).sinh();
        if self.head > 0 {
            let at = self.head - 1;
            masses[at] = self.shares[..self.head]
                .iter()
                .enumerate()
                .map(|(index, (lower, upper))| lower * cosh(at - index) + upper * cosh(at.abs_diff(index + 1)))
                .sum();
        }
        // What is carried lies between lattice points target − 1 and target, as a share of either.
        let mut carried = (0.0, 0.0);
        let mut target = 0;
        for (index, &(lower, upper)) in self.shares.iter().enumerate().skip(self.head) {
            if carried == (0.0, 0.0) {
                (carried, target) = ((lower, upper), index + 1);
                continue;
            }
            let away = index - target;
            let (up, down) = (lower * sinh(away) + upper * sinh(away + 1), carried.0 * self.sinh);
            if up >= down && up > 0.0 {
                let part = down / up;
                masses[target] +=
                    carried.1 + carried.0 * cosh(1) + part * (lower * cosh(away) + upper * cosh(away + 1));
                carried = ((1.0 - part) * lower, (1.0 - part) * upper);
                target = index + 1;
            } else {
                carried.0 -= up / self.sinh;
                carried.1 += (lower * sinh(away + 1) + upper * sinh(away + 2)) / self.sinh;
            }
        }
        self.settle(&mut masses, carried, target);
        self.on_lattice(masses, 0.0)
    }

    /// Unites what is carried at the end with mass from below, so that it comes to lie on lattice point target − 1.
    fn settle(&self, masses: &mut [f64], carried: (f64, f64), target: usize) {
        let (lower, mut upper) = carried;
        if target == 0 || (lower == 0.0 && upper == 0.0) {
            return;
        }
        let at = target - 1;
        masses[at] += lower;
        let half = 0.5 * self.spacing;
        for below in (0..at).rev() {
            if upper == 0.0 {
                return;
            }
            let away = (at - below) as f64;
            let needed = upper * self.sinh / (half * away).sinh();
            let used = needed.min(masses[below]);
            let part = if needed > 0.0 { upper * (used / needed) } else { 0.0 };
            masses[below] -= used;
            masses[at] += part * half.cosh() + used * (half * away).cosh();
            upper -= part;
        }
        // What finds nothing to unite with is left out, which lowers divergences too.
    }

    fn on_lattice(&self, mut masses: Vec<f64>, infinite: f64) -> Masses {
        for &(point, mass) in &self.points {
            masses[point] += mass;
        }
        Masses { origin: self.origin, spacing: self.spacing, masses, infinite }
    }
}
