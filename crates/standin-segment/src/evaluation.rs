mod pairs;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{Error, Progress, Result};
use standin_measure::Outcome;

use crate::{LabelVolume, Overlap, SurfaceDistances, mean, overlaps};
use pairs::Pair;

const UNIT: RangeInclusive<f64> = 0.0..=1.0;
const DISTANCE: RangeInclusive<f64> = 0.0..=f64::INFINITY;

/// How well a folder of predicted segmentations agrees with a folder of references.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Each label that is in any volume, in ascending order.
    pub labels: Vec<LabelSummary>,
    /// Each pair of volumes, in the order of their names.
    pub volumes: Vec<VolumeScores>,
}

/// One label over all volumes. Means are over the volumes in which the score exists; an interval takes two of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelSummary {
    /// The label.
    pub label: u32,
    /// The volumes that have it in the prediction or the reference.
    pub scored: usize,
    /// The volumes that have it in neither: no score of theirs is in any mean.
    pub absent: usize,
    /// The volumes that have it in one of the two: their Dice and Jaccard of 0 are in the means, but they have no
    /// distance, so the mean distances look better than the predictions are.
    pub without_distance: usize,
    /// The mean Dice coefficient, in [0, 1].
    pub dice: Outcome,
    /// The mean Jaccard index, in [0, 1].
    pub jaccard: Outcome,
    /// The mean directed average surface distance, from the prediction, in millimetres.
    pub average_surface_distance: Outcome,
    /// The mean average symmetric surface distance, in millimetres.
    pub average_symmetric_surface_distance: Outcome,
    /// The mean 95 % Hausdorff distance, in millimetres.
    pub hausdorff_95: Outcome,
}

/// One pair of volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeScores {
    /// The name both files have, without the ending.
    pub name: String,
    /// Each label that is in the prediction or the reference, in ascending order.
    pub labels: Vec<LabelScores>,
}

/// One label in one pair of volumes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScores {
    /// The label.
    pub label: u32,
    /// Its voxels.
    pub voxels: Overlap,
    /// The Dice coefficient, in [0, 1].
    pub dice: f64,
    /// The Jaccard index, in [0, 1].
    pub jaccard: f64,
    /// The distances between the surfaces; `None` where the prediction or the reference does not have the label.
    pub surface: Option<SurfaceScores>,
}

/// How far the surfaces of one label lie apart in one pair of volumes, in millimetres.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SurfaceScores {
    /// The directed average surface distance, from the prediction.
    pub average: f64,
    /// The average symmetric surface distance.
    pub average_symmetric: f64,
    /// The 95 % Hausdorff distance.
    pub hausdorff_95: f64,
}

/// Scores each NIfTI volume of labels in the folder `predictions` against the one of the same name in `references`.
///
/// Volumes are scored in parallel; each thread holds one pair and a box of distances in memory. Time is linear in the
/// number of voxels, times the number of labels for the distances. Files that are no NIfTI volumes are left aside with a
/// warning.
///
/// # Errors
/// If a volume has no counterpart or two files of a folder have one name, a file cannot be read as labels, the two of a
/// pair lie on different grids or on one whose axes are not at right angles, or no volume has any label but 0.
pub fn evaluate(predictions: &Path, references: &Path, progress: &dyn Progress) -> Result<Evaluation> {
    evaluate_only(predictions, references, None, progress)
}

/// [`evaluate`] for the volumes of these names alone, where names are given.
///
/// # Errors
/// As [`evaluate`], and if a name is in one of the folders only or in neither.
pub fn evaluate_only(
    predictions: &Path,
    references: &Path,
    only: Option<&[String]>,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    let pairs = pairs::matched(predictions, references, only, progress)?;
    progress.begin("evaluate", pairs.len() as u64);
    let scored: Vec<Result<VolumeScores>> = pairs
        .par_iter()
        .map(|pair| {
            let scores = score(pair);
            progress.advance(1);
            scores
        })
        .collect();
    progress.end();
    // One by one, so that of several errors the first by name is told, whichever thread was faster.
    let volumes = scored.into_iter().collect::<Result<Vec<_>>>()?;
    let labels = summarise(&volumes);
    if labels.is_empty() {
        return Err(Error::invalid(references, "has no label but 0 in any volume", "give label volumes, not images"));
    }
    Ok(Evaluation { labels, volumes })
}

fn score(pair: &Pair) -> Result<VolumeScores> {
    let prediction = LabelVolume::read(&pair.prediction)?;
    let reference = LabelVolume::read(&pair.reference)?;
    let grid = reference.grid();
    if !prediction.grid().matches(grid) {
        return Err(Error::invalid(
            &pair.prediction,
            format!("has {}, but {} has {grid}", prediction.grid(), pair.reference.display()),
            "resample the prediction onto the grid of the reference (nearest neighbour)",
        ));
    }
    if !grid.is_orthogonal() {
        return Err(Error::invalid(
            &pair.reference,
            "has axes that are not at right angles, so distances along them are not distances in the body",
            "resample both volumes onto a grid without shear",
        ));
    }
    let overlaps = overlaps(prediction.voxels(), reference.voxels());
    let labels = overlaps
        .into_par_iter()
        .map(|(label, voxels)| LabelScores {
            label,
            voxels,
            dice: voxels.dice().expect("only labels of at least one voxel are counted"),
            jaccard: voxels.jaccard().expect("only labels of at least one voxel are counted"),
            surface: SurfaceDistances::between(
                prediction.voxels(),
                reference.voxels(),
                label,
                grid.shape(),
                grid.spacing(),
            )
            .map(|distances| SurfaceScores {
                average: distances.average(),
                average_symmetric: distances.average_symmetric(),
                hausdorff_95: distances.hausdorff_95(),
            }),
        })
        .collect();
    Ok(VolumeScores { name: pair.name.clone(), labels })
}

fn summarise(volumes: &[VolumeScores]) -> Vec<LabelSummary> {
    let mut by_label: BTreeMap<u32, Vec<&LabelScores>> = BTreeMap::new();
    for scores in volumes.iter().flat_map(|volume| &volume.labels) {
        by_label.entry(scores.label).or_default().push(scores);
    }
    by_label
        .into_iter()
        .map(|(label, scores)| {
            let overlap =
                |of: fn(&LabelScores) -> f64| mean(&scores.iter().map(|scores| of(scores)).collect::<Vec<_>>(), UNIT);
            let surfaces: Vec<SurfaceScores> = scores.iter().filter_map(|scores| scores.surface).collect();
            let distance = |of: fn(&SurfaceScores) -> f64| mean(&surfaces.iter().map(of).collect::<Vec<_>>(), DISTANCE);
            LabelSummary {
                label,
                scored: scores.len(),
                absent: volumes.len() - scores.len(),
                without_distance: scores.len() - surfaces.len(),
                dice: overlap(|scores| scores.dice),
                jaccard: overlap(|scores| scores.jaccard),
                average_surface_distance: distance(|surface| surface.average),
                average_symmetric_surface_distance: distance(|surface| surface.average_symmetric),
                hausdorff_95: distance(|surface| surface.hausdorff_95),
            }
        })
        .collect()
}
