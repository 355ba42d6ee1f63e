//! From numbers to words: what may be released, and the four questions.
//!
//! The questions are those of the generation–sampling–classification benchmark (arXiv 2506.19360): replacement, release
//! strategy, mitigations, choice of generator.

mod front;
mod judge;
mod mitigations;
mod questions;

use crate::summary::{Release, Utility};
pub use judge::judge;
pub use mitigations::mitigations;
pub use questions::answer;

/// The classifier the verdict rests on: the first of the study.
fn headline_utility(release: &Release) -> Option<&Utility> {
    release.utility.first()
}

/// "a", "a and b", "a, b and c".
fn join(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
