use std::path::Path;

use crate::labels::sort_class_names;
use crate::{Column, Error, ImageSet, Result};

/// The order in which parts are listed.
const ORDER: [&str; 4] = ["train", "holdout", "validation", "test"];

/// One image set, or the named parts of one that comes with an official division.
///
/// Canonical collections are published as a training and a test part, and results are only comparable if that division
/// is kept. All parts have one shape and the same class names in the same order.
#[derive(Clone, Debug)]
pub struct Parts {
    parts: Vec<(String, ImageSet)>,
}

impl Parts {
    /// One set without a division.
    pub fn undivided(set: ImageSet) -> Self {
        Self { parts: vec![(String::new(), set)] }
    }

    /// Parts by name, listed in the order train, holdout, validation, test, then others as given.
    ///
    /// Class names are united, sorted if the parts disagree, so that an index means the same class in every part.
    ///
    /// # Errors
    /// If there is no part, a name is empty or occurs twice, the shapes differ, or only some parts have labels.
    pub fn divided(mut parts: Vec<(String, ImageSet)>) -> Result<Self> {
        parts.sort_by_key(|(name, _)| ORDER.iter().position(|part| part == name).unwrap_or(ORDER.len()));
        let Some((first_name, first)) = parts.first() else {
            return Err(Error::inconsistent("a divided set without parts", "at least one part is needed"));
        };
        for (index, (name, set)) in parts.iter().enumerate() {
            if name.is_empty() || parts[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Error::inconsistent(
                    format!("part name \"{name}\" is empty or occurs twice"),
                    "every part needs a name of its own",
                ));
            }
            if set.shape() != first.shape() {
                return Err(Error::inconsistent(
                    format!("part {first_name} has images of {}, part {name} of {}", first.shape(), set.shape()),
                    "all parts need one shape: --resize HxW, --grey or --colour convert them",
                ));
            }
            if set.labels().is_some() != first.labels().is_some() {
                return Err(Error::inconsistent(
                    format!("of the parts {first_name} and {name} only one has labels"),
                    "give both labels, or import them one by one",
                ));
            }
        }
        Ok(Self { parts: unite_classes(parts)? })
    }

    /// The parts' names, empty for a set without a division.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(name, _)| name.as_str())
    }

    /// The parts with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ImageSet)> {
        self.parts.iter().map(|(name, set)| (name.as_str(), set))
    }

    /// The part of that name, if there is one.
    pub fn find(&self, name: &str) -> Option<&ImageSet> {
        self.iter().find(|(part, _)| *part == name).map(|(_, set)| set)
    }

    /// The part of that name.
    ///
    /// # Errors
    /// If there is none; the message suggests the nearest.
    pub fn get(&self, name: &str) -> Result<&ImageSet> {
        self.find(name).ok_or_else(|| Error::unknown("part", name, self.names().filter(|name| !name.is_empty())))
    }

    /// The only set.
    ///
    /// # Errors
    /// If there are several parts, since choosing one is the caller's decision.
    pub fn only(&self) -> Result<&ImageSet> {
        match self.parts.as_slice() {
            [(_, set)] => Ok(set),
            [(_, first), ..] => Err(Error::inconsistent(
                format!("{} has the parts {}", first.describe(), self.names().collect::<Vec<_>>().join(", ")),
                "one set was expected: name the part",
            )),
            [] => unreachable!("both constructors demand at least one part"),
        }
    }

    /// All parts in one set, with the part's name in the column "part" if there are several. Copies every pixel.
    ///
    /// # Errors
    /// None that the constructors have not excluded already.
    pub fn merged(&self) -> Result<ImageSet> {
        if let [(_, set)] = self.parts.as_slice() {
            return Ok(set.clone());
        }
        let mut whole: Option<ImageSet> = None;
        for (name, set) in self.iter() {
            let set = set
                .clone()
                .with_column(Column { name: "part".to_owned(), values: vec![name.to_owned(); set.len()] })?;
            whole = Some(match whole {
                Some(whole) => whole.concat(&set)?,
                None => set,
            });
        }
        whole.ok_or_else(|| Error::inconsistent("a divided set without parts", "at least one part is needed"))
    }

    /// Applies `change` to every part.
    pub(crate) fn map(self, mut change: impl FnMut(&str, ImageSet) -> Result<ImageSet>) -> Result<Self> {
        let parts = self
            .parts
            .into_iter()
            .map(|(name, set)| {
                let set = change(&name, set)?;
                Ok((name, set))
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { parts: unite_classes(parts)? })
    }

    /// Writes the own form: the set itself, or one subfolder for each part. See [`ImageSet::save`].
    ///
    /// # Errors
    /// As [`ImageSet::save`].
    pub fn save(&self, folder: &Path) -> Result<()> {
        for (name, set) in self.iter() {
            set.save(&folder.join(name))?;
        }
        Ok(())
    }
}

/// Gives all labelled parts the same class names in the same order.
fn unite_classes(parts: Vec<(String, ImageSet)>) -> Result<Vec<(String, ImageSet)>> {
    let mut lists = parts.iter().filter_map(|(_, set)| set.labels()).map(|labels| &labels.classes);
    let Some(first) = lists.next() else { return Ok(parts) };
    if lists.all(|classes| classes == first) {
        return Ok(parts);
    }
    let mut union: Vec<&str> = parts
        .iter()
        .filter_map(|(_, set)| set.labels())
        .flat_map(|labels| labels.classes.iter().map(String::as_str))
        .collect();
    sort_class_names(&mut union);
    let union: Vec<String> = union.into_iter().map(str::to_owned).collect();
    parts
        .into_iter()
        .map(|(name, set)| {
            let labels = set.labels().map(|labels| labels.among(&union)).transpose()?;
            let set = match labels {
                Some(labels) => set.with_labels(labels)?,
                None => set,
            };
            Ok((name, set))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Labels, Shape};

    fn labelled(names: &[&str]) -> ImageSet {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let pixels = (0..names.len()).map(|value| value as u8).collect();
        ImageSet::new(shape, pixels).unwrap().with_labels(Labels::from_names(names)).unwrap()
    }

    #[test]
    fn parts_share_class_indices() {
        let parts =
            Parts::divided(vec![("train".into(), labelled(&["b", "c"])), ("test".into(), labelled(&["c", "a"]))])
                .unwrap();
        let train = parts.get("train").unwrap().labels().unwrap();
        let test = parts.get("test").unwrap().labels().unwrap();
        assert_eq!(train.classes, ["a", "b", "c"]);
        assert_eq!(train.classes, test.classes);
        assert_eq!(train.values, [1, 2]);
        assert_eq!(test.values, [2, 0]);
    }

    #[test]
    fn train_is_listed_first() {
        let parts = ["extra", "test", "validation", "train"].map(|name| (name.to_owned(), labelled(&["a"])));
        let parts = Parts::divided(parts.to_vec()).unwrap();
        assert_eq!(parts.names().collect::<Vec<_>>(), ["train", "validation", "test", "extra"]);
    }

    #[test]
    fn merged_says_where_each_image_was() {
        let parts =
            Parts::divided(vec![("train".into(), labelled(&["a", "b"])), ("test".into(), labelled(&["b"]))]).unwrap();
        let whole = parts.merged().unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole.column("part").unwrap().values, ["train", "train", "test"]);
        assert_eq!(whole.labels().unwrap().values, [0, 1, 1]);
    }

    #[test]
    fn a_wrong_part_name_suggests_the_nearest() {
        let parts =
            Parts::divided(vec![("train".into(), labelled(&["a"])), ("test".into(), labelled(&["a"]))]).unwrap();
        let message = parts.get("tests").unwrap_err().to_string();
        assert!(message.contains("did you mean \"test\""), "{message}");
        let message = parts.only().unwrap_err().to_string();
        assert!(message.contains("train, test"), "{message}");
    }
}
