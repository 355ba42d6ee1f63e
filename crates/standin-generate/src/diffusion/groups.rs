use rand::RngExt;
use rand::seq::index::sample;
use serde::{Deserialize, Serialize};
use standin_data::{Column, ImageSet, Seed};

use crate::{Error, Result};

/// The condition beside the class: to which group an image belongs, such as a skin tone or a scanner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupOptions {
    /// Attribute column of the training images that names the group; an image without a value is learnt without one.
    pub column: String,
    /// The groups to learn; all that there are by default.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Share of training rows whose group is left out, apart from whether their class is: the network also learns the images of all groups
    /// together, which guidance needs. In [0, 1).
    pub drop: f64,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self { column: "group".into(), names: Vec::new(), drop: 0.1 }
    }
}

impl GroupOptions {
    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub(crate) fn check(&self, family: &'static str) -> Result<()> {
        let refused = |reason| Err(Error::Options { family, reason });
        if self.column.is_empty() {
            return refused("group.column is empty; name an attribute column of the training images".into());
        }
        if !(0.0..1.0).contains(&self.drop) {
            return refused(format!("group.drop is {}; it must be at least 0 and below 1", self.drop));
        }
        Ok(())
    }
}

/// The groups that a network knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Groups {
    /// Attribute column that names them.
    pub(crate) column: String,
    /// Their names, in the order of their numbers.
    pub(crate) names: Vec<String>,
}

impl Groups {
    /// Those of the groups to learn that have an image in one of the sets, in alphabetical order.
    ///
    /// # Errors
    /// If the first set has no such column, or no image of it has a value.
    pub(crate) fn of(family: &'static str, options: &GroupOptions, sets: &[&ImageSet]) -> Result<Self> {
        let column = options.column.as_str();
        let first = sets[0];
        if first.column(column).is_none() {
            let columns = first.columns().iter().map(|column| column.name.as_str());
            return Err(standin_data::Error::unknown("attribute column", column, columns).into());
        }
        let present = sets.iter().filter_map(|set| set.column(column)).flat_map(|column| &column.values);
        let mut names: Vec<String> = present.filter(|value| !value.is_empty()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| options.names.is_empty() || options.names.contains(name));
        if names.is_empty() {
            let found = match options.names.as_slice() {
                [] => format!("no image has a value in the column \"{column}\""),
                names => format!("no image has one of {} in the column \"{column}\"", names.join(", ")),
            };
            let remedy = "fill it in, or name another column as group.column".to_owned();
            return Err(Error::Training { family, set: first.describe(), found, remedy });
        }
        Ok(Self { column: column.to_owned(), names })
    }

    /// The number of a group.
    ///
    /// # Errors
    /// If no image of it was trained on.
    pub(crate) fn number(&self, name: &str) -> Result<u32> {
        let found = self.names.iter().position(|known| known == name);
        found.map(|number| number as u32).ok_or_else(|| {
            Error::request(
                format!("no image of the group \"{name}\" of the column \"{}\" was trained on", self.column),
                format!("the generator knows {}", self.names.join(", ")),
            )
        })
    }

    /// The number of each image's group; that of groups for an image without one, or of one that is not known.
    pub(crate) fn numbers(&self, set: &ImageSet) -> Vec<u32> {
        let none = self.names.len() as u32;
        let number = |value: &String| self.names.iter().position(|name| name == value).map_or(none, |at| at as u32);
        set.column(&self.column)
            .map_or_else(|| vec![none; set.len()], |column| column.values.iter().map(number).collect())
    }

    /// A column that says of every image that it is of one group.
    pub(crate) fn column_of(&self, name: &str, images: usize) -> Column {
        Column { name: self.column.clone(), values: vec![name.to_owned(); images] }
    }
}

/// Which image to train on in each of a number of rows, so that small cells of a division count more: a cell of n images, where the
/// largest has N, is seen as often as N · (n / N)^(1 − `balance`) images. 0 leaves all as they are; with 1 all cells count alike.
///
/// `cells` says for each image in which cell it is.
pub(crate) fn balanced_rows(cells: &[usize], balance: f64, seed: Seed) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = Vec::new();
    for (image, &cell) in cells.iter().enumerate() {
        if cell >= members.len() {
            members.resize(cell + 1, Vec::new());
        }
        members[cell].push(image);
    }
    let most = members.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let mut rng = seed.rng();
    let mut rows = Vec::with_capacity(cells.len());
    for images in members.iter().filter(|images| !images.is_empty()) {
        let n = images.len();
        let wanted = most * (n as f64 / most).powf(1.0 - balance);
        let more = f64::from(u8::from(rng.random::<f64>() < wanted.fract()));
        let wanted = (wanted.floor() + more) as usize;
        rows.extend(images.iter().cycle().take(wanted / n * n));
        rows.extend(sample(&mut rng, n, wanted % n).into_iter().map(|at| images[at]));
    }
    rows
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    fn set(values: &[&str]) -> ImageSet {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let values: Vec<String> = values.iter().map(|&value| value.to_owned()).collect();
        let images = ImageSet::new(shape, vec![0; values.len()]).unwrap();
        images.with_column(Column { name: "tone".into(), values }).unwrap()
    }

    #[test]
    fn groups_are_those_with_images_and_missing_values_are_none() {
        let (train, public) = (set(&["dark", "", "light"]), set(&["medium"]));
        let by = |column: &str, names: &[&str]| GroupOptions {
            column: column.into(),
            names: names.iter().map(|&name| name.to_owned()).collect(),
            ..GroupOptions::default()
        };
        let groups = Groups::of("edm", &by("tone", &[]), &[&train, &public]).unwrap();
        assert_eq!(groups.names, ["dark", "light", "medium"]);
        assert_eq!(groups.numbers(&train), [0, 3, 1]);
        assert_eq!(groups.number("medium").unwrap(), 2);
        assert!(groups.number("blue").unwrap_err().to_string().contains("dark, light, medium"));
        let some = Groups::of("edm", &by("tone", &["light", "blue"]), &[&train]).unwrap();
        assert_eq!((some.numbers(&train), some.names), (vec![1, 1, 0], vec!["light".to_owned()]));
        let refused = |options, set: &ImageSet| Groups::of("edm", &options, &[set]).unwrap_err().to_string();
        assert!(refused(by("tint", &[]), &train).contains("tone"));
        assert!(refused(by("tone", &[]), &set(&["", ""])).contains("no image has a value"));
        assert!(refused(by("tone", &["blue"]), &train).contains("one of blue"));
    }

    #[test]
    fn balance_goes_from_counts_as_they_are_to_equal_ones() {
        let cells: Vec<usize> = (0..1010).map(|image| usize::from(image >= 1000)).collect();
        let small = |balance| {
            let rows = balanced_rows(&cells, balance, Seed::new(1));
            let small = rows.iter().filter(|&&row| row >= 1000).count();
            (rows.len() - small, small)
        };
        assert_eq!(small(0.0), (1000, 10));
        assert_eq!(small(0.5), (1000, 100));
        assert_eq!(small(1.0), (1000, 1000));
        let rows = balanced_rows(&cells, 0.25, Seed::new(2));
        let times = |row| rows.iter().filter(|&&other| other == row).count();
        assert!((1000..1010).all(|row| (3..=4).contains(&times(row))), "10 images, 31.6 rows");
    }
}
