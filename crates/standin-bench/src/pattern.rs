//! Names with stars for any letters.

use serde::{Deserialize, Serialize};

/// One pattern, or several of which one has to fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Patterns {
    /// One.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Patterns {
    /// Whether one of them fits a name.
    pub fn fit(&self, name: &str) -> bool {
        match self {
            Self::One(pattern) => fits(pattern, name),
            Self::Several(patterns) => patterns.iter().any(|pattern| fits(pattern, name)),
        }
    }
}

/// Whether a name is like a pattern in which `*` stands for any letters, also none.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices().map(|(at, _)| at).chain([rest.len()]).any(|at| fits(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_letters() {
        assert!(fits("dp-*-1", "dp-merf-1") && fits("*", "") && fits("a*", "a"));
        assert!(!fits("dp-*-1", "dp-merf-10") && !fits("", "a"));
    }
}
