//! Lower bounds on ε from what an attack achieved.
//!
//! An accountant says what a mechanism leaks at most; an attack shows what this run of it leaks at least. A lower bound
//! above the accountant's ε proves, up to the bound's error probability, that the mechanism that ran is not the one that
//! was accounted for. A lower bound below it proves nothing.
//!
//! | bound | from | valid for |
//! |---|---|---|
//! | [`from_rates`] | hits and false alarms of one test | independent trials: many runs, or canaries in one run taken as such |
//! | [`gaussian_from_rates`] | the same | mechanisms whose trade-off is Gaussian (Nasr et al. 2023); larger |
//! | [`one_run`] | guesses about canaries of one run | any (ε, δ)-private mechanism (Steinke, Nasr & Jagielski 2023) |
//! | [`gaussian_one_run`] | the same | mechanisms whose trade-off is Gaussian (Mahloujifar, Melis & Chaudhuri 2024); larger |
//!
//! For the bounds from one run every canary must have been put in or left out by its own fair coin, and guesses must not
//! look at the coins. DP-SGD's trade-off over many steps is close to Gaussian, but a bound that assumes so audits that
//! assumption too.

mod binomial;
mod one_run;
mod rates;

pub use binomial::clopper_pearson_at;
pub use one_run::{Guesses, SHARES, gaussian_one_run, guesses_at, one_run, over_shares};
pub use rates::{Rates, from_rates, gaussian_from_rates};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// ε is at least this, with some confidence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LowerBound {
    /// The largest ε that was refuted; 0 if none was.
    pub epsilon: f64,
    /// The δ at which it was.
    pub delta: f64,
    /// The probability with which a mechanism of smaller ε does not yield such a bound.
    pub confidence: f64,
    /// How it was computed, and what that assumes.
    pub method: String,
}
