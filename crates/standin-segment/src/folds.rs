use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use standin_data::Seed;

use crate::{Error, Result};

/// One part of a cross-validation: `index` (from 0) of `count` parts is held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Parts in all, at least 2.
    pub count: usize,
    /// The part that is held out, from 0.
    pub index: usize,
}

impl Fold {
    /// Divides volumes into those to train on and those held out. The parts of all indices are disjoint, make up the whole,
    /// and differ in size by at most one; they depend on the names and the seed alone.
    ///
    /// # Errors
    /// If there are fewer than two parts, fewer volumes than parts, or no such part.
    pub fn divide(self, names: &[String], seed: Seed) -> Result<(Vec<String>, Vec<String>)> {
        let Self { count, index } = self;
        if count < 2 || count > names.len() {
            let expected = format!("give 2 to {}, the number of volumes with labels", names.len());
            return Err(Error::setting("folds", count, expected));
        }
        if index >= count {
            return Err(Error::setting("fold", index, format!("give 0 to {}", count - 1)));
        }
        let mut order: Vec<&String> = names.iter().collect();
        order.sort_unstable();
        order.shuffle(&mut seed.derive("folds").rng());
        let held = order.len() * index / count..order.len() * (index + 1) / count;
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (at, name) in order.into_iter().enumerate() {
            if held.contains(&at) { test.push(name.clone()) } else { train.push(name.clone()) }
        }
        train.sort_unstable();
        test.sort_unstable();
        Ok((train, test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|at| format!("v{at:02}")).collect()
    }

    #[test]
    fn folds_hold_each_volume_out_once() {
        let names = names(11);
        let mut held: Vec<String> = (0..4)
            .flat_map(|index| {
                let (train, test) = Fold { count: 4, index }.divide(&names, Seed::new(3)).unwrap();
                assert_eq!(train.len() + test.len(), 11);
                assert!(test.iter().all(|name| !train.contains(name)) && (2..=3).contains(&test.len()));
                test
            })
            .collect();
        held.sort_unstable();
        assert_eq!(held, names);
    }

    #[test]
    fn folds_that_cannot_be_are_refused() {
        for (count, index, says) in [(1, 0, "folds"), (9, 0, "folds"), (3, 3, "give 0 to 2")] {
            let message = Fold { count, index }.divide(&names(8), Seed::new(1)).unwrap_err().to_string();
            assert!(message.contains(says), "{message}");
        }
    }
}
