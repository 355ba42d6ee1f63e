use std::collections::HashSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_data::{Amount, Column, Error, ImageSet, Labels, Progress, Seed, SplitOptions, duplicates_across};

use super::{MAJORITY, MINORITY, SIDE};
use crate::augmentation::configuration::{AugmentationData, Sides};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::stages::write_json;

/// Takes the images in, says of each of which side it is, and divides them. Outputs: `pool`, `test`, `prepared.json`.
pub struct Prepare {
    images: ImageSet,
    given_test: Option<ImageSet>,
    digests: Vec<String>,
    data: AugmentationData,
}

/// What [`Prepare`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepared {
    /// Class names.
    pub classes: Vec<String>,
    /// Training images that there are, of each class: majority, minority.
    pub pool: Vec<[usize; 2]>,
    /// Test images, likewise.
    pub test: Vec<[usize; 2]>,
    /// Images whose group is of neither side.
    pub of_neither_side: usize,
    /// Images without a group.
    pub without_group: usize,
    /// Pairs of a test image and a training image with the same pixels.
    pub duplicates_with_test: usize,
}

impl Prepare {
    /// Prepares the division; `given_test` are the test images where they are a part of their own.
    pub fn new(images: ImageSet, given_test: Option<ImageSet>, data: AugmentationData) -> Self {
        let digests = [Some(&images), given_test.as_ref()].into_iter().flatten();
        let digests = digests.map(|set| set.digest().to_string()).collect();
        Self { images, given_test, digests, data }
    }

    /// The training pool, the test images and what there is of each.
    ///
    /// # Errors
    /// If there are no labels or no such column; if a side has no test image or the majority no training image; if the minority's test images
    /// are of one class; if a patient is trained on and tested on.
    pub fn divide(&self) -> Result<(ImageSet, ImageSet, Prepared), Error> {
        let (images, missing, neither) = self.sided(&self.images)?;
        let (pool, test, without_group, of_neither_side) = match (&self.given_test, &self.data.test) {
            (Some(given), _) => {
                let (test, more_missing, more_neither) = self.sided(given)?;
                let classes = &images.require_labels("augmentation")?.classes;
                let labels = test.require_labels("augmentation")?.among(classes)?;
                self.require_apart(&images, &test)?;
                (images, test.with_labels(labels)?, missing + more_missing, neither + more_neither)
            }
            (None, Sides::Share(share)) => {
                let (pool, test) = self.drawn(&images, *share)?;
                (pool, test, missing, neither)
            }
            (None, Sides::Part(name)) => return Err(Error::unknown("part", name, [])),
        };
        let prepared = Prepared {
            classes: images_classes(&pool),
            pool: counts(&pool),
            test: counts(&test),
            of_neither_side,
            without_group,
            duplicates_with_test: duplicates_across(&[("pool", &pool), ("test", &test)]).len(),
        };
        let total = |counts: &[[usize; 2]], side: usize| counts.iter().map(|of_class| of_class[side]).sum::<usize>();
        for (side, name, values) in [(0, MAJORITY, &self.data.majority), (1, MINORITY, &self.data.minority)] {
            if total(&prepared.test, side) == 0 {
                return Err(Error::inconsistent(
                    format!("no test image has one of {} in the column \"{}\"", values.join(", "), self.data.group),
                    format!("whether the {name} is helped cannot be seen: name other values, or more test images"),
                ));
            }
        }
        if total(&prepared.pool, 0) == 0 {
            let found = "no training image of the majority is left".to_owned();
            return Err(Error::inconsistent(found, "lower data.test, or name other values as data.majority"));
        }
        if prepared.test.iter().filter(|of_class| of_class[1] > 0).count() < 2 {
            let found = "the minority's test images are all of one class".to_owned();
            return Err(Error::inconsistent(
                found,
                "nothing tells whether a diagnosis is right: name more groups as data.minority, or test on more images",
            ));
        }
        Ok((pool, test, prepared))
    }

    /// The images of either side, with their side as a column; and how many have no group, and how many another.
    fn sided(&self, set: &ImageSet) -> Result<(ImageSet, usize, usize), Error> {
        let AugmentationData { group, majority, minority, .. } = &self.data;
        set.require_classes("augmentation")?;
        let Some(column) = set.column(group) else {
            return Err(Error::unknown(
                "attribute column",
                group,
                set.columns().iter().map(|column| column.name.as_str()),
            ));
        };
        let side = |value: &String| {
            let of_minority = minority.contains(value);
            (of_minority || majority.contains(value)).then_some(if of_minority { MINORITY } else { MAJORITY })
        };
        let kept: Vec<usize> = (0..set.len()).filter(|&image| side(&column.values[image]).is_some()).collect();
        let missing = column.values.iter().filter(|value| value.is_empty()).count();
        let values = kept.iter().filter_map(|&image| side(&column.values[image]).map(str::to_owned)).collect();
        let sided = set.select(&kept).with_column(Column { name: SIDE.into(), values })?;
        Ok((sided, missing, set.len() - kept.len() - missing))
    }

    /// A share of each class on each side to test on.
    fn drawn(&self, images: &ImageSet, share: f64) -> Result<(ImageSet, ImageSet), Error> {
        let labels = images.require_labels("augmentation")?;
        let sides = images.column(SIDE).map_or(&[][..], |column| &column.values);
        let cells: Vec<String> = labels.names().zip(sides).map(|(class, side)| format!("{side} {class}")).collect();
        let of_cells = images.clone().with_labels(Labels::from_names(&cells))?;
        let options = SplitOptions {
            train: Some(Amount::Share(1.0 - share)),
            holdout: Some(Amount::Count(0)),
            test: Some(Amount::Share(share)),
            group: self.data.patient.clone(),
            stratify: true,
        };
        let seed = Seed::new(self.data.split_seed).derive("augmentation");
        let split = standin_data::Split::new(&of_cells, &options, seed)?;
        Ok((images.select(&split.train), images.select(&split.test)))
    }

    /// Refuses a patient who is trained on and tested on.
    fn require_apart(&self, train: &ImageSet, test: &ImageSet) -> Result<(), Error> {
        let Some(name) = &self.data.patient else { return Ok(()) };
        let values = |set: &ImageSet| -> Result<HashSet<String>, Error> {
            let column = set.column(name).ok_or_else(|| {
                Error::unknown("attribute column", name, set.columns().iter().map(|column| column.name.as_str()))
            })?;
            Ok(column.values.iter().filter(|value| !value.is_empty()).cloned().collect())
        };
        let (train, test) = (values(train)?, values(test)?);
        let mut both: Vec<&String> = train.intersection(&test).collect();
        both.sort_unstable();
        match both.first() {
            None => Ok(()),
            Some(first) => Err(Error::inconsistent(
                format!("{} values of \"{name}\" are trained on and tested on, such as \"{first}\"", both.len()),
                "remove their images from one of the parts, or let a share be drawn with data.test = 0.3",
            )),
        }
    }
}

fn images_classes(set: &ImageSet) -> Vec<String> {
    set.labels().map_or_else(Vec::new, |labels| labels.classes.clone())
}

/// Images of each class: majority, minority.
pub(super) fn counts(set: &ImageSet) -> Vec<[usize; 2]> {
    let Some(labels) = set.labels() else { return Vec::new() };
    let mut counts = vec![[0; 2]; labels.classes.len()];
    let sides = set.column(SIDE).map_or(&[][..], |column| &column.values);
    for (&label, side) in labels.values.iter().zip(sides) {
        counts[label as usize][usize::from(side == MINORITY)] += 1;
    }
    counts
}

impl Stage for Prepare {
    fn kind(&self) -> &'static str {
        "prepare-augmentation"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        let AugmentationData { group, majority, minority, patient, test, split_seed, .. } = &self.data;
        json!({
            "sets": self.digests, "group": group, "majority": majority, "minority": minority, "patient": patient,
            "test": test, "split_seed": split_seed,
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        Vec::new()
    }

    fn run(&self, _: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let (pool, test, prepared) = self.divide()?;
        pool.save(&out.join("pool"))?;
        test.save(&out.join("test"))?;
        write_json(&out.join("prepared.json"), &prepared)
    }

    fn name(&self) -> String {
        "prepare".into()
    }
}

#[cfg(test)]
mod tests {
    use standin_data::Shape;

    use super::*;

    fn data(test: Sides, patient: Option<&str>) -> AugmentationData {
        AugmentationData {
            source: "x".into(),
            group: "tone".into(),
            majority: vec!["light".into()],
            minority: vec!["dark".into()],
            patient: patient.map(str::to_owned),
            test,
            split_seed: 0,
            majority_limit: None,
            import: standin_data::ImportOptions::default(),
            from: None,
        }
    }

    /// Two classes in turn; the tone and the patient by the image's number.
    fn set(n: usize, tone: impl Fn(usize) -> &'static str) -> ImageSet {
        let shape = Shape { channels: 1, height: 1, width: 2 };
        let pixels = (0..n).flat_map(|image| [image as u8, (image / 256) as u8]).collect();
        let labels =
            Labels { values: (0..n).map(|image| image as u32 % 2).collect(), classes: vec!["a".into(), "b".into()] };
        let column = |name: &str, values: Vec<String>| Column { name: name.into(), values };
        ImageSet::new(shape, pixels)
            .unwrap()
            .with_labels(labels)
            .unwrap()
            .with_column(column("tone", (0..n).map(|image| tone(image).to_owned()).collect()))
            .unwrap()
            .with_column(column("patient", (0..n).map(|image| (image / 4).to_string()).collect()))
            .unwrap()
    }

    fn tone(image: usize) -> &'static str {
        ["light", "light", "light", "light", "dark", "dark", "medium", ""][image / 2 % 8]
    }

    #[test]
    fn each_side_is_divided_by_class_and_what_is_left_out_is_counted() {
        let prepare = Prepare::new(set(320, tone), None, data(Sides::Share(0.25), None));
        let (pool, test, found) = prepare.divide().unwrap();
        assert_eq!((found.of_neither_side, found.without_group), (40, 40));
        assert_eq!(found.test, [[20, 10], [20, 10]]);
        assert_eq!(found.pool, [[60, 30], [60, 30]]);
        assert_eq!((pool.len(), test.len(), found.duplicates_with_test), (180, 60, 0));
    }

    #[test]
    fn patients_are_on_one_side_and_overlap_is_refused() {
        let prepare = Prepare::new(set(320, tone), None, data(Sides::Share(0.25), Some("patient")));
        let (pool, test, _) = prepare.divide().unwrap();
        prepare.require_apart(&pool, &test).unwrap();
        let given =
            Prepare::new(set(320, tone), Some(set(32, tone)), data(Sides::Part("test".into()), Some("patient")));
        let message = given.divide().unwrap_err().to_string();
        assert!(message.contains("trained on and tested on"), "{message}");
    }

    #[test]
    fn sides_without_images_or_with_one_class_are_refused() {
        let refused = |set| {
            let message = Prepare::new(set, None, data(Sides::Share(0.5), None)).divide().unwrap_err().to_string();
            assert!(message.contains("; "), "{message}");
            message
        };
        assert!(refused(set(40, |_| "light")).contains("no test image has one of dark"));
        assert!(refused(set(40, |image| if image % 2 == 0 { "dark" } else { "light" })).contains("all of one class"));
        let unnamed = Prepare::new(
            set(40, tone),
            None,
            AugmentationData { group: "skin".into(), ..data(Sides::Share(0.5), None) },
        );
        assert!(unnamed.divide().unwrap_err().to_string().contains("tone"));
    }
}
