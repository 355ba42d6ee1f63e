use standin_bench::summary::Gate;

/// Figures of a gate shown at once: those that fail come first.
const FIGURES: usize = 3;

/// Conditions that a user set, those that failed first.
pub(crate) struct Gates<'a> {
    pub(crate) tested: Vec<Tested<'a>>,
    pub(crate) failed: usize,
}

/// A gate with the figures that are shown at once, and the others.
pub(crate) struct Tested<'a> {
    pub(crate) gate: &'a Gate,
    pub(crate) first: &'a [String],
    pub(crate) others: &'a [String],
}

impl<'a> Gates<'a> {
    pub(crate) fn of(gates: &'a [Gate]) -> Self {
        let (passed, mut ordered): (Vec<&Gate>, Vec<&Gate>) = gates.iter().partition(|gate| gate.passed);
        let failed = ordered.len();
        ordered.extend(passed);
        let tested = |gate: &'a Gate| {
            let (first, others) = gate.figures.split_at(gate.figures.len().min(FIGURES));
            Tested { gate, first, others }
        };
        Self { tested: ordered.into_iter().map(tested).collect(), failed }
    }
}
