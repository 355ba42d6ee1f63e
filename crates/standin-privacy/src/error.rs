/// What can go wrong with targets, mechanisms and noise.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter is outside its range.
    #[error("{parameter} is {value}; it must be {expected}")]
    OutOfRange {
        /// The parameter's name in configurations and on the command line.
        parameter: &'static str,
        /// The value found.
        value: f64,
        /// The range, and what to do.
        expected: &'static str,
    },
    /// δ is so large that publishing a whole record with probability δ would be called private.
    #[error(
        "delta is {delta}, at least 1/N = {limit:e} for N = {units}: such a δ allows publishing some records outright; \
         use delta = \"auto\" (1/(N ln N)) or a smaller value, or set allow_large_delta = true if that is meant"
    )]
    LargeDelta {
        /// δ as asked for.
        delta: f64,
        /// 1/N.
        limit: f64,
        /// The number of units N.
        units: usize,
    },
    /// Too few units for the automatic δ.
    #[error(
        "delta = \"auto\" is 1/(N ln N), which needs at least 3 units, and there are {units}; \
         give more images or set delta to a number"
    )]
    TooFewUnits {
        /// The number of units N.
        units: usize,
    },
    /// δ is neither a number nor "auto".
    #[error("delta is `{found}`; it must be a number in (0, 1), such as 1e-6, or \"auto\"")]
    UnreadableDelta {
        /// The text found.
        found: String,
    },
    /// No standard deviation that a computer can hold meets the request.
    #[error(
        "no finite noise gives epsilon {epsilon}, delta {delta} at sensitivity {sensitivity}; \
         rescale the release so that its sensitivity is near 1"
    )]
    NoSuchNoise {
        /// ε as asked for.
        epsilon: f64,
        /// δ as asked for.
        delta: f64,
        /// Sensitivity of the release.
        sensitivity: f64,
    },
    /// The operating system gave no entropy, so no secret noise can be drawn.
    #[error(
        "the operating system gave no entropy for secret noise: {reason}; \
         make its random source available (on Linux the getrandom call or /dev/urandom) and run again"
    )]
    NoEntropy {
        /// The system's reason.
        reason: String,
    },
    /// Counts that contradict each other.
    #[error("{part} is {parts} of {of} {whole}: it must be at most that, and there must be at least one to count")]
    Counts {
        /// What was counted.
        part: &'static str,
        /// How many.
        parts: u64,
        /// What it is a part of.
        whole: &'static str,
        /// How many of those there are.
        of: u64,
    },
    /// A sampler for which no sound accountant is here.
    #[error(
        "`{found}` is no event that can be accounted for: the bounds here hold for Poisson sampling (each unit enters a \
         batch independently with the same probability) and for no sampling at all; draw batches by Poisson sampling and \
         write poisson:RATE,NOISE_MULTIPLIER*STEPS, or write gaussian:NOISE_MULTIPLIER*COUNT if every step sees all units"
    )]
    UnknownSampler {
        /// The name found.
        found: String,
    },
    /// An event that cannot be read.
    #[error(
        "`{found}` is no event; write gaussian:NOISE_MULTIPLIER, laplace:SCALE, histogram:NOISE_MULTIPLIER or \
         poisson:RATE,NOISE_MULTIPLIER, each with *COUNT behind it if it ran more than once"
    )]
    UnreadableEvent {
        /// The text found.
        found: String,
    },
    /// Poisson sampling under replacement of a unit.
    #[error(
        "Poisson sampling is accounted for under add-or-remove adjacency only; use adjacency = \"add_remove\", whose \
         guarantee (ε, δ) implies (2ε, (1 + e^ε) δ) for the replacement of one unit by another"
    )]
    ReplaceOneSampled,
    /// More events than can be counted.
    #[error("more than {} events cannot be counted", u64::MAX)]
    TooManyEvents,
    /// The accountant has no finite ε for what ran.
    #[error(
        "no finite epsilon at delta = {delta} after {events}: {reason}; add noise, sample less or take fewer steps"
    )]
    NoFiniteEpsilon {
        /// δ as asked for.
        delta: f64,
        /// What ran.
        events: String,
        /// Which parameter is extreme.
        reason: String,
    },
    /// What ran already, or must run, costs more than the budget.
    #[error(
        "epsilon {epsilon} at delta {delta} cannot be kept: the least that can be had is epsilon {}; ask for that or more, \
         let less run before, add noise, or take fewer steps",
        rounded_up(*needed)
    )]
    BudgetSpent {
        /// ε as asked for.
        epsilon: f64,
        /// δ as asked for.
        delta: f64,
        /// The smallest attainable ε.
        needed: f64,
    },
    /// Two accountants contradict each other.
    #[error(
        "internal error: the bound from Rényi differential privacy, ε = {rdp}, lies below the lower bound {low} from \
         privacy loss distributions for {events} at δ = {delta}; please report these numbers, and trust neither"
    )]
    Contradiction {
        /// Bound from Rényi differential privacy.
        rdp: f64,
        /// Lower bound from privacy loss distributions.
        low: f64,
        /// δ.
        delta: f64,
        /// What ran.
        events: String,
    },
}

/// The result of an operation on privacy.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Checks that a parameter is finite and positive.
pub(crate) fn positive(parameter: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange { parameter, value, expected: "finite and greater than 0" })
}

/// Checks that a sampling rate is a probability above 0.
pub(crate) fn rate(parameter: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value <= 1.0 {
        return Ok(());
    }
    let expected = "greater than 0 and at most 1: the probability with which a unit enters a batch";
    Err(Error::OutOfRange { parameter, value, expected })
}

/// Checks that δ is a probability strictly between 0 and 1.
pub(crate) fn probability(parameter: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(Error::OutOfRange { parameter, value, expected: "greater than 0 and less than 1, such as 1e-6" })
}

/// Checks that a parameter is finite and not negative.
pub(crate) fn not_negative(parameter: &'static str, value: f64) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(Error::OutOfRange { parameter, value, expected: "finite and at least 0" })
}

/// Checks that a parameter is in [0, 1).
pub(crate) fn fraction(parameter: &'static str, value: f64) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange { parameter, value, expected: "at least 0 and less than 1" })
}

/// Four significant digits, not below the value.
fn rounded_up(value: f64) -> String {
    if value <= 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let unit = 10_f64.powi(value.log10().floor() as i32 - 3);
    format!("{:.4e}", (value / unit).ceil() * unit).parse::<f64>().unwrap_or(value).to_string()
}
