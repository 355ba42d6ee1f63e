use std::collections::HashMap;

use crate::{Error, Result};

/// One class per image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// For each image an index into `classes`.
    pub values: Vec<u32>,
    /// The classes' names.
    pub classes: Vec<String>,
}

impl Labels {
    /// Labels from one class name per image. Classes are sorted: as numbers if all names are integers, else as text.
    pub fn from_names<S: AsRef<str>>(names: &[S]) -> Self {
        let mut classes: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
        sort_class_names(&mut classes);
        let index: HashMap<&str, u32> = classes.iter().zip(0..).map(|(&name, value)| (name, value)).collect();
        let values = names.iter().map(|name| index[name.as_ref()]).collect();
        Self { values, classes: classes.into_iter().map(str::to_owned).collect() }
    }

    /// The class name of each image.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|&value| self.classes[value as usize].as_str())
    }

    /// The same labels counted among `classes`, which must hold every name in use.
    ///
    /// # Errors
    /// If a class that occurs is not among `classes`.
    pub fn among(&self, classes: &[String]) -> Result<Self> {
        let index: HashMap<&str, u32> = classes.iter().zip(0..).map(|(name, value)| (name.as_str(), value)).collect();
        let values = self
            .names()
            .map(|name| {
                index
                    .get(name)
                    .copied()
                    .ok_or_else(|| Error::unknown("class", name, classes.iter().map(String::as_str)))
            })
            .collect::<Result<_>>()?;
        Ok(Self { values, classes: classes.to_vec() })
    }

    /// Number of images of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &value in &self.values {
            counts[value as usize] += 1;
        }
        counts
    }

    /// The images of each class, in order.
    pub fn by_class(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.classes.len()];
        for (index, &class) in self.values.iter().enumerate() {
            members[class as usize].push(index);
        }
        members
    }
}

/// Sorts class names and removes repetitions: as numbers if all are integers, so that "10" follows "9", else as text.
pub(crate) fn sort_class_names(names: &mut Vec<&str>) {
    names.sort_unstable();
    names.dedup();
    if names.iter().all(|name| name.parse::<i64>().is_ok()) {
        names.sort_by_key(|name| name.parse::<i64>().ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_classes_are_sorted_as_numbers() {
        let labels = Labels::from_names(&["10", "9", "-1", "9"]);
        assert_eq!(labels.classes, ["-1", "9", "10"]);
        assert_eq!(labels.values, [2, 1, 0, 1]);
        assert_eq!(labels.counts(), [1, 2, 1]);
        assert_eq!(Labels::from_names(&["b", "10", "9"]).classes, ["10", "9", "b"]);
    }

    #[test]
    fn labels_are_recounted_among_other_classes() {
        let classes = ["x", "b", "a"].map(str::to_owned);
        assert_eq!(Labels::from_names(&["a", "b"]).among(&classes).unwrap().values, [2, 1]);
        let message = Labels::from_names(&["c"]).among(&classes).unwrap_err().to_string();
        assert!(message.contains("no class \"c\""), "{message}");
    }
}
