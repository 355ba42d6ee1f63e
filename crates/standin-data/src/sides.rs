use crate::{Amount, Error, ImageSet, Parts, Result, Seed, Split, SplitOptions};

/// The three sides a study needs, disjoint.
#[derive(Clone, Debug)]
pub struct Sides {
    /// Images generators and classifiers are trained on.
    pub train: ImageSet,
    /// Images of the same population that nothing is trained on.
    pub holdout: ImageSet,
    /// Images on which utility is measured; may be empty.
    pub test: ImageSet,
}

impl Sides {
    /// The sides of a set, keeping whatever division it comes with.
    ///
    /// - A set with the parts train and holdout is divided already; its test part, if any, is the test side.
    /// - A set with a train part is divided there; its test part is the test side unless `options.test` asks for images
    ///   of the train part. A validation part stays unused.
    /// - A set without parts is divided as [`Split::new`] does it.
    ///
    /// # Errors
    /// As [`Split::new`]; and if the set has parts but no train part, or is divided already and the options ask for
    /// another division.
    pub fn of(parts: &Parts, options: &SplitOptions, seed: Seed) -> Result<Self> {
        if parts.names().all(str::is_empty) {
            let set = parts.only()?;
            return Ok(Split::new(set, options, seed)?.sides(set));
        }
        let train = parts.get("train")?;
        if let Some(holdout) = parts.find("holdout") {
            if *options != SplitOptions::default() {
                return Err(Error::inconsistent(
                    format!("{} is divided into train and holdout already", train.describe()),
                    "remove the options of the split, or give the undivided set",
                ));
            }
            let test = parts.find("test").cloned().unwrap_or_else(|| holdout.select(&[]));
            return Ok(Self { train: train.clone(), holdout: holdout.clone(), test });
        }
        match parts.find("test").filter(|_| options.test.is_none()) {
            Some(test) => {
                let options = SplitOptions { test: Some(Amount::Count(0)), ..options.clone() };
                let sides = Split::new(train, &options, seed)?.sides(train);
                Ok(Self { test: test.clone(), ..sides })
            }
            None => Ok(Split::new(train, options, seed)?.sides(train)),
        }
    }

    /// The sides with their names, in the order train, holdout, test.
    pub fn named(&self) -> [(&'static str, &ImageSet); 3] {
        [("train", &self.train), ("holdout", &self.holdout), ("test", &self.test)]
    }

    /// The same as parts, without sides that are empty.
    ///
    /// # Errors
    /// If the sides differ in shape or labelling, which only fields set by hand can.
    pub fn into_parts(self) -> Result<Parts> {
        let parts = [("train", self.train), ("holdout", self.holdout), ("test", self.test)];
        Parts::divided(
            parts.into_iter().filter(|(_, set)| !set.is_empty()).map(|(name, set)| (name.to_owned(), set)).collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digits;

    fn part(range: std::ops::Range<usize>) -> ImageSet {
        digits().select(&range.collect::<Vec<_>>())
    }

    #[test]
    fn an_official_test_part_stays_the_test_side() {
        let parts = Parts::divided(vec![("train".into(), part(0..1000)), ("test".into(), part(1000..1200))]).unwrap();
        let sides = Sides::of(&parts, &SplitOptions::default(), Seed::new(1)).unwrap();
        assert_eq!(sides.named().map(|(_, set)| set.len()), [500, 500, 200]);
        assert_eq!(sides.test.digest(), part(1000..1200).digest());
        let own = SplitOptions { test: Some(Amount::Share(0.2)), ..SplitOptions::default() };
        let sides = Sides::of(&parts, &own, Seed::new(1)).unwrap();
        assert_eq!(sides.named().map(|(_, set)| set.len()), [400, 400, 200]);
        assert_ne!(sides.test.digest(), part(1000..1200).digest());
    }

    #[test]
    fn a_finished_division_is_kept_or_refused() {
        let parts = Parts::divided(vec![("train".into(), part(0..10)), ("holdout".into(), part(10..20))]).unwrap();
        let sides = Sides::of(&parts, &SplitOptions::default(), Seed::new(1)).unwrap();
        assert_eq!(sides.named().map(|(_, set)| set.len()), [10, 10, 0]);
        assert_eq!(sides.into_parts().unwrap().names().collect::<Vec<_>>(), ["train", "holdout"]);
        let again = SplitOptions { train: Some(Amount::Count(5)), ..SplitOptions::default() };
        let message = Sides::of(&parts, &again, Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("divided into train and holdout already"), "{message}");
    }

    #[test]
    fn an_undivided_set_gets_three_sides() {
        let sides = Sides::of(&Parts::undivided(digits()), &SplitOptions::default(), Seed::new(1)).unwrap();
        assert_eq!(sides.named().map(|(_, set)| set.len()), [719, 719, 359]);
    }

    #[test]
    fn parts_without_train_are_refused() {
        let parts = Parts::divided(vec![("test".into(), part(0..10))]).unwrap();
        let message = Sides::of(&parts, &SplitOptions::default(), Seed::new(1)).unwrap_err().to_string();
        assert!(message.contains("no part \"train\""), "{message}");
    }
}
