use std::collections::HashMap;
use std::str::FromStr;

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::{Error, ImageSet, Result, Seed, Sides};

/// How many images a side gets: a share of the set, or a number. `0.4` is a share and `400` a number, in TOML as in text.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Amount {
    /// Number of images.
    Count(usize),
    /// Share of the set, 0 to 1.
    Share(f64),
}

impl Amount {
    /// So many of `images`, a share rounded down. A [`Split`] rounds its sides together, so that all images are used.
    pub fn of(self, images: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Share(share) => (share * images as f64) as usize,
        }
    }
}

impl FromStr for Amount {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let count = text.parse().map(Self::Count);
        count.or_else(|_| text.parse().map(Self::Share)).map_err(|_| {
            Error::inconsistent(format!("amount \"{text}\""), "a share such as 0.4 or a number of images such as 400")
        })
    }
}

/// How a set is divided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitOptions {
    /// Images to train on. Default: a share of 0.4, or 0.5 where the test side is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<Amount>,
    /// Images of the same population that nothing is trained on, the reference of every privacy number. Default: as
    /// `train`'s, because attacks need as many non-members as members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Amount>,
    /// Images on which utility is measured. Default: the set's own test part, else a share of 0.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Amount>,
    /// Attribute column whose values are never on two sides: identity, patient, lesion. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether each class is divided in the same proportions; default true. Without labels it says nothing.
    pub stratify: bool,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self { train: None, holdout: None, test: None, group: None, stratify: true }
    }
}

impl SplitOptions {
    /// Train, holdout and test, defaults filled in for a set whose test side is not given.
    fn amounts(&self) -> [Amount; 3] {
        let share = match self.test {
            Some(Amount::Count(0) | Amount::Share(0.0)) => 0.5,
            _ => 0.4,
        };
        let train = self.train.unwrap_or(Amount::Share(share));
        [train, self.holdout.unwrap_or(train), self.test.unwrap_or(Amount::Share(0.2))]
    }
}

/// A division of a set into disjoint sides: indices of images, ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Images to train on.
    pub train: Vec<usize>,
    /// Images of the same population that nothing is trained on.
    pub holdout: Vec<usize>,
    /// Images on which utility is measured.
    pub test: Vec<usize>,
    /// Images on no side, where the amounts do not add up to the set.
    #[serde(default)]
    pub unused: Vec<usize>,
}

const SIDES: [&str; 3] = ["train", "holdout", "test"];

impl Split {
    /// Divides a set at random, the same for the same seed.
    ///
    /// Without a group column every side has exactly the size asked for, and with stratification each class has its
    /// proportional number on each side up to one image. With a group column all images of one value go to one side:
    /// groups are taken largest first (equal sizes in random order), and each goes where it lowers the χ² distance
    /// between the classes' numbers on all sides and their proportional numbers most. Sizes and proportions are then met
    /// as well as the groups allow. Time grows as groups × sides × classes.
    ///
    /// # Errors
    /// If a share lies outside 0–1, the amounts exceed the set, train is empty, the column does not exist or is empty
    /// for an image, or there are fewer groups than sides.
    pub fn new(set: &ImageSet, options: &SplitOptions, seed: Seed) -> Result<Self> {
        let sizes = sizes(set, options)?;
        let classes = match set.labels().filter(|_| options.stratify) {
            Some(labels) => labels.values.iter().map(|&value| value as usize).collect(),
            None => vec![0; set.len()],
        };
        let seed = seed.derive("split");
        let side = match &options.group {
            None => stratified(&classes, sizes, seed),
            Some(column) => grouped(&classes, &groups(set, column)?, sizes, column, seed)?,
        };
        let mut split = Self::default();
        for (index, side) in side.into_iter().enumerate() {
            [&mut split.train, &mut split.holdout, &mut split.test, &mut split.unused][side].push(index);
        }
        Ok(split)
    }

    /// The images of each side.
    ///
    /// # Panics
    /// If the split was made for a larger set.
    pub fn sides(&self, set: &ImageSet) -> Sides {
        Sides { train: set.select(&self.train), holdout: set.select(&self.holdout), test: set.select(&self.test) }
    }
}

/// Images on train, holdout, test and on no side; they add up to the set.
fn sizes(set: &ImageSet, options: &SplitOptions) -> Result<[usize; 4]> {
    let n = set.len();
    let mut sizes = [0; 4];
    let mut shares = 0.0;
    for ((size, amount), side) in sizes.iter_mut().zip(options.amounts()).zip(SIDES) {
        *size = match amount {
            Amount::Count(count) => count,
            Amount::Share(share) if (0.0..=1.0).contains(&share) => {
                // Rounding cumulative shares, not single ones, lets shares that add up to 1 use every image.
                let before = (shares * n as f64).round() as usize;
                shares += share;
                ((shares * n as f64).round() as usize) - before
            }
            Amount::Share(share) => {
                return Err(Error::inconsistent(
                    format!("{side} = {share}"),
                    "a share lies between 0 and 1; write a whole number for a count of images",
                ));
            }
        };
    }
    let used: usize = sizes.iter().fold(0, |sum, &size: &usize| sum.saturating_add(size));
    if used > n {
        let asked: Vec<String> = SIDES.iter().zip(sizes).map(|(side, size)| format!("{size} for {side}")).collect();
        return Err(Error::inconsistent(
            format!("{} have {n} images, and {used} were asked for: {}", set.describe(), asked.join(", ")),
            "lower the counts or shares",
        ));
    }
    if sizes[0] == 0 {
        return Err(Error::inconsistent(
            format!("train gets no image of the {n} in {}", set.describe()),
            "raise its share or count, or give more images",
        ));
    }
    sizes[3] = n - used;
    Ok(sizes)
}

/// The side of each image; every side has its size, and each class its proportion within one.
///
/// Each class gets the whole part of its proportional number everywhere. What remains of classes and sides is a matrix
/// of zeros and ones with given sums, filled class by class with the sides that lack most; as fractional parts satisfy
/// the same sums, such a matrix exists, and then this order finds one (Gale, "A theorem on flows in networks", 1957).
fn stratified(classes: &[usize], sizes: [usize; 4], seed: Seed) -> Vec<usize> {
    let count = classes.iter().max().map_or(0, |largest| largest + 1);
    let mut members = vec![Vec::new(); count];
    for (index, &class) in classes.iter().enumerate() {
        members[class].push(index);
    }
    let total = classes.len().max(1);
    let whole = |class: usize, side: usize| members[class].len() * sizes[side] / total;
    let mut lacking = sizes;
    for (side, lacking) in lacking.iter_mut().enumerate() {
        *lacking -= (0..count).map(|class| whole(class, side)).sum::<usize>();
    }
    let mut sides = vec![0; classes.len()];
    for (class, members) in members.iter().enumerate() {
        let mut quota: [usize; 4] = std::array::from_fn(|side| whole(class, side));
        let rest = members.len() - quota.iter().sum::<usize>();
        let mut order = [0, 1, 2, 3];
        order.sort_by_key(|&side| std::cmp::Reverse(lacking[side]));
        for &side in &order[..rest] {
            quota[side] += 1;
            lacking[side] -= 1;
        }
        let mut shuffled = members.clone();
        shuffled.shuffle(&mut seed.derive(&format!("class {class}")).rng());
        let mut shuffled = shuffled.into_iter();
        for (side, quota) in quota.into_iter().enumerate() {
            for index in shuffled.by_ref().take(quota) {
                sides[index] = side;
            }
        }
    }
    sides
}

/// The images of each group, in the order the groups first occur.
fn groups(set: &ImageSet, name: &str) -> Result<Vec<Vec<usize>>> {
    let column = set.column(name).ok_or_else(|| {
        Error::unknown("grouping column", name, set.columns().iter().map(|column| column.name.as_str()))
    })?;
    let missing = column.values.iter().filter(|value| value.is_empty()).count();
    if let Some(index) = column.values.iter().position(String::is_empty) {
        return Err(Error::inconsistent(
            format!("column \"{name}\" of {} is empty for image {index} ({missing} in all)", set.describe()),
            "an image without a group could belong to any of them: fill the column in, or remove those images",
        ));
    }
    let mut number: HashMap<&str, usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, value) in column.values.iter().enumerate() {
        let group = *number.entry(value).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[group].push(index);
    }
    Ok(groups)
}

/// The side of each image; all images of a group are on one side.
fn grouped(
    classes: &[usize],
    groups: &[Vec<usize>],
    sizes: [usize; 4],
    column: &str,
    seed: Seed,
) -> Result<Vec<usize>> {
    let wanted = sizes.iter().filter(|&&size| size > 0).count();
    if groups.len() < wanted {
        return Err(Error::inconsistent(
            format!("column \"{column}\" has {} different values for {wanted} sides", groups.len()),
            "every side needs a group of its own: ask for fewer sides, or group by another column",
        ));
    }
    let mut order: Vec<usize> = (0..groups.len()).collect();
    order.shuffle(&mut seed.derive("groups").rng());
    order.sort_by_key(|&group| std::cmp::Reverse(groups[group].len()));

    let count = classes.iter().max().map_or(0, |largest| largest + 1);
    let mut class_sizes = vec![0_usize; count];
    for &class in classes {
        class_sizes[class] += 1;
    }
    let target = |side: usize, class: usize| sizes[side] as f64 * class_sizes[class] as f64 / classes.len() as f64;
    let mut filled: [Vec<usize>; 4] = std::array::from_fn(|_| vec![0; count]);
    let mut empty: Vec<usize> = (0..4).filter(|&side| sizes[side] > 0).collect();
    let mut sides = vec![0; classes.len()];
    for (position, &group) in order.iter().enumerate() {
        let mut content: Vec<usize> = groups[group].iter().map(|&index| classes[index]).collect();
        content.sort_unstable();
        let increase = |side: usize| {
            content
                .chunk_by(|a, b| a == b)
                .map(|run| {
                    let target = target(side, run[0]);
                    let before = filled[side][run[0]] as f64 - target;
                    let after = before + run.len() as f64;
                    (after * after - before * before) / target
                })
                .sum::<f64>()
        };
        // The last groups go to sides that would otherwise stay empty.
        let candidates: Vec<usize> = if groups.len() - position <= empty.len() {
            empty.clone()
        } else {
            (0..4).filter(|&side| sizes[side] > 0).collect()
        };
        let side = candidates
            .into_iter()
            .min_by(|&a, &b| increase(a).total_cmp(&increase(b)))
            .expect("train has a positive size, so there is a candidate");
        empty.retain(|&other| other != side);
        for class in content {
            filled[side][class] += 1;
        }
        for &index in &groups[group] {
            sides[index] = side;
        }
    }
    Ok(sides)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Labels, Shape, digits};

    fn set(labels: &[u32], groups: Option<&[usize]>) -> ImageSet {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let classes = (0..=labels.iter().copied().max().unwrap_or(0)).map(|class| class.to_string()).collect();
        let set = ImageSet::new(shape, vec![0; labels.len()])
            .unwrap()
            .with_labels(Labels { values: labels.to_vec(), classes })
            .unwrap();
        match groups {
            Some(groups) => {
                let values = groups.iter().map(|group| format!("p{group}")).collect();
                set.with_column(Column { name: "patient".into(), values }).unwrap()
            }
            None => set,
        }
    }

    fn by_patient() -> SplitOptions {
        SplitOptions { group: Some("patient".into()), ..SplitOptions::default() }
    }

    fn all_once(split: &Split, n: usize) {
        let mut all = [&split.train[..], &split.holdout, &split.test, &split.unused].concat();
        all.sort_unstable();
        assert_eq!(all, (0..n).collect::<Vec<_>>());
    }

    #[test]
    fn sides_are_disjoint_complete_and_of_the_size_asked_for() {
        let set = digits();
        let split = Split::new(&set, &SplitOptions::default(), Seed::new(1)).unwrap();
        all_once(&split, set.len());
        assert_eq!(split.train.len(), 719);
        assert_eq!(split.holdout.len(), 719);
        assert_eq!(split.test.len(), 359);
        assert!(split.unused.is_empty());
        assert!(split.train.is_sorted() && split.holdout.is_sorted() && split.test.is_sorted());
    }

    #[test]
    fn each_class_has_its_share_within_one() {
        let labels: Vec<u32> = (0..997).map(|i| [0, 0, 0, 1, 1, 2, 3][i % 7]).chain([4]).collect();
        for (seed, train, holdout, test) in [(1, 0.37, 0.37, 0.26), (2, 0.1, 0.3, 0.2), (3, 0.5, 0.5, 0.0)] {
            let options = SplitOptions {
                train: Some(Amount::Share(train)),
                holdout: Some(Amount::Share(holdout)),
                test: Some(Amount::Share(test)),
                ..SplitOptions::default()
            };
            let set = set(&labels, None);
            let split = Split::new(&set, &options, Seed::new(seed)).unwrap();
            all_once(&split, labels.len());
            let sizes = set.labels().unwrap().counts();
            for side in [&split.train, &split.holdout, &split.test, &split.unused] {
                let counts = set.select(side).labels().unwrap().counts();
                for (count, size) in counts.iter().zip(&sizes) {
                    let expected = *size as f64 * side.len() as f64 / labels.len() as f64;
                    assert!((*count as f64 - expected).abs() <= 1.0, "{count} of {size}, expected {expected}");
                }
            }
        }
    }

    #[test]
    fn counts_leave_the_rest_unused() {
        let options = SplitOptions {
            train: Some(Amount::Count(100)),
            holdout: Some(Amount::Count(100)),
            test: Some(Amount::Count(0)),
            ..SplitOptions::default()
        };
        let split = Split::new(&digits(), &options, Seed::new(1)).unwrap();
        assert_eq!((split.train.len(), split.holdout.len(), split.test.len()), (100, 100, 0));
        assert_eq!(split.unused.len(), 1597);
    }

    #[test]
    fn holdout_is_as_large_as_train_unless_told() {
        let options = SplitOptions { train: Some(Amount::Count(50)), ..SplitOptions::default() };
        let split = Split::new(&digits(), &options, Seed::new(1)).unwrap();
        assert_eq!((split.train.len(), split.holdout.len(), split.test.len()), (50, 50, 359));
    }

    #[test]
    fn the_seed_decides_the_split() {
        let set = digits();
        let split = |seed| Split::new(&set, &SplitOptions::default(), Seed::new(seed)).unwrap();
        assert_eq!(split(1), split(1));
        assert_ne!(split(1).train, split(2).train);
    }

    #[test]
    fn a_group_is_never_on_two_sides() {
        let labels: Vec<u32> = (0..3000).map(|i| (i % 5 == 0) as u32).collect();
        let groups: Vec<usize> = (0..3000).map(|i| (i * i) % 811 / 3).collect();
        let set = set(&labels, Some(&groups));
        let split = Split::new(&set, &by_patient(), Seed::new(4)).unwrap();
        all_once(&split, 3000);
        let patients = |side: &[usize]| side.iter().map(|&i| groups[i]).collect::<std::collections::HashSet<_>>();
        let (train, holdout, test) = (patients(&split.train), patients(&split.holdout), patients(&split.test));
        assert!(train.is_disjoint(&holdout) && train.is_disjoint(&test) && holdout.is_disjoint(&test));
    }

    #[test]
    fn many_small_groups_leave_shares_and_strata_near() {
        let labels: Vec<u32> = (0..2000).map(|i| (i / 4 % 10 == 0) as u32).collect();
        let groups: Vec<usize> = (0..2000).map(|i| i / 4).collect();
        let set = set(&labels, Some(&groups));
        let split = Split::new(&set, &by_patient(), Seed::new(4)).unwrap();
        assert!(split.train.len().abs_diff(800) <= 8, "{}", split.train.len());
        let rare = split.train.iter().filter(|&&i| labels[i] == 1).count();
        assert!(rare.abs_diff(80) <= 4, "{rare}");
    }

    #[test]
    fn no_side_stays_empty_beside_a_giant_group() {
        let groups: Vec<usize> = (0..100).map(|i| i.min(2)).rev().collect();
        let split = Split::new(&set(&[0; 100], Some(&groups)), &by_patient(), Seed::new(1)).unwrap();
        assert!(!split.train.is_empty() && !split.holdout.is_empty() && !split.test.is_empty());
    }

    #[test]
    fn impossible_splits_say_why() {
        let error =
            |set: &ImageSet, options: &SplitOptions| Split::new(set, options, Seed::new(1)).unwrap_err().to_string();
        let small = set(&[0, 1, 0], Some(&[0, 1, 0]));
        assert!(error(&small, &by_patient()).contains("2 different values for 3 sides"));
        let misspelt = SplitOptions { group: Some("patients".into()), ..SplitOptions::default() };
        assert!(error(&small, &misspelt).contains("did you mean \"patient\""));
        let many = SplitOptions { train: Some(Amount::Count(9)), ..SplitOptions::default() };
        assert!(error(&small, &many).contains("9 for train"));
        let negative = SplitOptions { holdout: Some(Amount::Share(-0.5)), ..SplitOptions::default() };
        assert!(error(&small, &negative).contains("holdout = -0.5"));
        let none = SplitOptions { train: Some(Amount::Share(0.0)), ..SplitOptions::default() };
        assert!(error(&small, &none).contains("train gets no image"));
        let gap = small
            .clone()
            .with_column(Column { name: "patient".into(), values: vec!["a".into(), String::new(), "b".into()] })
            .unwrap();
        assert!(error(&gap, &by_patient()).contains("empty for image 1 (1 in all)"));
    }

    #[test]
    fn options_read_counts_and_shares_from_toml() {
        let options: SplitOptions = toml::from_str("train = 2000\nholdout = 0.25\ngroup = \"patient\"").unwrap();
        assert_eq!(options.train, Some(Amount::Count(2000)));
        assert_eq!(options.holdout, Some(Amount::Share(0.25)));
        assert!(toml::from_str::<SplitOptions>("trian = 1").is_err());
    }
}
