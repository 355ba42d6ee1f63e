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
