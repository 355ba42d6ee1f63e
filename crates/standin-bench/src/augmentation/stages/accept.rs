use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use standin_classify::TrainedClassifier;
use standin_data::{ImageSet, Progress};

use super::{MINORITY, SIDE};
use crate::stage::{Inputs, Stage, StageId, StageResult};
use crate::study::stages::{BoxedError, write_json};

/// Keeps the synthetic images that classifiers trained on real training images take for what they should be, and asks the judges what
/// they show. Outputs: `images`, `acceptance.json`.
pub struct Accept {
    /// The synthetic images.
    pub translate: StageId,
    /// The real ones they join.
    pub scarce: StageId,
    /// The classifiers that accept, of classes and of sides; none to keep all, none of sides where there is no image of the minority to
    /// learn them from.
    pub choosers: [Option<StageId>; 2],
    /// The judge of classes, and that of sides.
    pub judges: [StageId; 2],
    /// Which repetition of which scenario, for people.
    pub label: String,
}

/// What was accepted, and what the judges say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Images made.
    pub made: usize,
    /// Images of each class that were accepted.
    pub accepted: Vec<usize>,
    /// Images made that the judge of classes takes for what they should be, and that the judge of sides takes for the minority's.
    pub made_right: [usize; 2],
    /// The same among those accepted.
    pub accepted_right: [usize; 2],
}

/// For each image whether a classifier gives the answer.
pub(super) fn agrees(
    classifier: &dyn TrainedClassifier,
    images: &ImageSet,
    answer: impl Fn(usize) -> Option<String>,
) -> Result<Vec<bool>, BoxedError> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let classes = classifier.classes();
    let predictions = classifier.logits(images)?.predictions();
    let same =
        |(image, &predicted): (usize, &u32)| answer(image).is_some_and(|answer| classes[predicted as usize] == answer);
    Ok(predictions.iter().enumerate().map(same).collect())
}

/// For each image whether a classifier takes it for its class.
pub(super) fn of_its_class(classifier: &dyn TrainedClassifier, images: &ImageSet) -> Result<Vec<bool>, BoxedError> {
    let labels = images.require_labels("accepting images")?;
    agrees(classifier, images, |image| Some(labels.classes[labels.values[image] as usize].clone()))
}

/// For each image whether a classifier of sides takes it for the minority's.
fn of_the_minority(classifier: &dyn TrainedClassifier, images: &ImageSet) -> Result<Vec<bool>, BoxedError> {
    agrees(classifier, images, |_| Some(MINORITY.to_owned()))
}

/// For each image what the judges of classes and sides say.
pub(super) fn judged(inputs: &Inputs, judges: [StageId; 2], images: &ImageSet) -> Result<[Vec<bool>; 2], BoxedError> {
    let [classes, sides] =
        judges.map(|judge| -> Result<_, BoxedError> { Ok(standin_classify::load(inputs.folder(judge)?)?) });
    Ok([of_its_class(&*classes?, images)?, of_the_minority(&*sides?, images)?])
}

impl Stage for Accept {
    fn kind(&self) -> &'static str {
        "accept"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "chosen": self.choosers.map(|chooser| chooser.is_some()) })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.translate, self.scarce]
            .into_iter()
            .chain(self.choosers.into_iter().flatten())
            .chain(self.judges)
            .collect()
    }

    fn run(&self, inputs: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        let folder = inputs.folder(self.translate)?;
        let images = ImageSet::open(&folder.join("images"))?;
        let mut kept: Vec<usize> = (0..images.len()).collect();
        for (chooser, by_class) in self.choosers.into_iter().zip([true, false]) {
            let Some(chooser) = chooser else { continue };
            let chooser = standin_classify::load(inputs.folder(chooser)?)?;
            let agrees = match by_class {
                true => of_its_class(&*chooser, &images)?,
                false => of_the_minority(&*chooser, &images)?,
            };
            kept.retain(|&image| agrees[image]);
        }
        let right = judged(inputs, self.judges, &images)?;
        let of = |chosen: &dyn Fn(usize) -> bool| {
            [0, 1].map(|judge| (0..images.len()).filter(|&image| right[judge][image] && chosen(image)).count())
        };
        let is_kept: Vec<bool> = {
            let mut flags = vec![false; images.len()];
            kept.iter().for_each(|&image| flags[image] = true);
            flags
        };
        let accepted = images.select(&kept);
        let counts = accepted.labels().map_or_else(Vec::new, standin_data::Labels::counts);
        let acceptance = Acceptance {
            made: images.len(),
            accepted: counts,
            made_right: of(&|_| true),
            accepted_right: of(&|image| is_kept[image]),
        };
        // Beside real images they have the same attributes, or none.
        let train = ImageSet::open(&inputs.folder(self.scarce)?.join("train"))?;
        alike(accepted, &train)?.save(&out.join("images"))?;
        write_json(&out.join("acceptance.json"), &acceptance)
    }

    fn name(&self) -> String {
        format!("accept, {}", self.label)
    }
}

/// Images with the columns of others, empty where they have no such attribute.
fn alike(images: ImageSet, others: &ImageSet) -> Result<ImageSet, BoxedError> {
    let mut alike =
        ImageSet::new(images.shape(), images.pixels().to_vec())?.with_provenance(images.provenance().clone());
    if let Some(labels) = images.labels() {
        alike = alike.with_labels(labels.clone())?;
    }
    for column in others.columns() {
        let values = match images.column(&column.name) {
            Some(own) => own.values.clone(),
            None if column.name == SIDE => vec![MINORITY.to_owned(); images.len()],
            None => vec![String::new(); images.len()],
        };
        alike = alike.with_column(standin_data::Column { name: column.name.clone(), values })?;
    }
    Ok(alike)
}
