use std::fmt;

use standin_data::{Progress, Seed};

use crate::authenticity::Authenticity;
use crate::closest::DcrShare;
use crate::cmmd::GaussianDiscrepancy;
use crate::context::{Comparison, Context, Prepared};
use crate::copying::CopyingZ;
use crate::fd_infinity::FrechetDistanceInfinity;
use crate::feature_likelihood::FeatureLikelihood;
use crate::feature_spread::FeatureSpread;
use crate::frechet::FrechetDistance;
use crate::identical::IdenticalMatches;
use crate::kernel::KernelDistance;
use crate::manifold::{ManifoldMeasure, Quantity};
use crate::medsyn::MedsynMeasure;
use crate::memorisation_fid::MemorisationFid;
use crate::nearest_ratio::NearestRatioMeasure;
use crate::realism::Realism;
use crate::retrieval::Retrieval;
use crate::sliced_wasserstein::SlicedWasserstein;
use crate::two_sample_classifier::TwoSampleClassifier;
use crate::two_sample_neighbours::TwoSampleNeighbours;
use crate::vendi::VendiScore;
use crate::{Aspect, Convention, Error, Finding, Result, Sets};

/// What a registered measure does with the sets.
pub(crate) trait Measure: fmt::Debug + Sync {
    /// One comparison per set of real images that the measure compares with.
    fn evaluate(&self, context: &Context<'_>) -> Result<Vec<Comparison>>;
}

/// A registered measure.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// The name in configurations and on the command line.
    pub name: &'static str,
    /// What it is about.
    pub aspect: Aspect,
    /// "higher", "lower", or the best value.
    pub better: &'static str,
    /// The least value possible.
    pub least: f64,
    /// The greatest value possible.
    pub most: f64,
    /// What it computes, in one line.
    pub summary: &'static str,
    /// How time grows with n images on each side and d features.
    pub cost: &'static str,
    /// Paper.
    pub source: &'static str,
    pub(crate) measure: &'static dyn Measure,
}

const NEIGHBOUR_COST: &str = "O(n²·d), shared by all neighbour measures";
const PRECISION: &str = "share of synthetic images inside the real set's balls";
const RECALL: &str = "share of real images inside the synthetic set's balls";
const MEDSYN: &str = "MedSynAnalyzer";
const KYNKAANNIEMI: &str = "Kynkäänniemi et al., NeurIPS 2019";

/// Every measure that [`evaluate`] knows.
pub const MEASURES: &[Family] = &[
    Family {
        name: "frechet-distance",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: 0.0,
        most: f64::INFINITY,
        summary: "distance of means and covariances (FD; FID for Inception features only)",
        cost: "O(n·d² + d³)",
        source: "Heusel et al., NeurIPS 2017",
        measure: &FrechetDistance,
    },
    Family {
        name: "kernel-distance",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        summary: "unbiased MMD² with a cubic kernel over all pairs (KID)",
        cost: "O(n²·d)",
        source: "Bińkowski et al., ICLR 2018",
        measure: &KernelDistance,
    },
    Family {
        name: "precision",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: PRECISION,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Precision, Convention::Prdc),
    },
    Family {
        name: "density",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: f64::INFINITY,
        summary: "number of real balls a synthetic image lies in, relative to k",
        cost: NEIGHBOUR_COST,
        source: "Naeem et al., ICML 2020",
        measure: &ManifoldMeasure(Quantity::Density, Convention::Prdc),
    },
    Family {
        name: "recall",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: RECALL,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Recall, Convention::Prdc),
    },
    Family {
        name: "coverage",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share of real images whose own ball holds a synthetic image",
        cost: NEIGHBOUR_COST,
        source: "Naeem et al., ICML 2020",
        measure: &ManifoldMeasure(Quantity::Coverage, Convention::Prdc),
    },
    Family {
        name: "vendi-score",
        aspect: Aspect::Variety,
        better: "higher",
        least: 1.0,
        most: f64::INFINITY,
        summary: "effective number of different images",
        cost: "O(n·d² + d³), n and d exchanged if n < d",
        source: "Friedman and Dieng, TMLR 2023",
        measure: &VendiScore,
    },
    Family {
        name: "dcr-share",
        aspect: Aspect::Copying,
        better: "0.5",
        least: 0.0,
        most: 1.0,
        summary: "share of synthetic images nearer to the training than to the holdout set",
        cost: NEIGHBOUR_COST,
        source: "Park et al., VLDB 2018; Yao et al., 2025",
        measure: &DcrShare,
    },
    Family {
        name: "authenticity",
        aspect: Aspect::Copying,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share farther from its nearest training image than that one from its own (AuthPct)",
        cost: NEIGHBOUR_COST,
        source: "Alaa et al., ICML 2022",
        measure: &Authenticity,
    },
    Family {
        name: "precision-torch-fidelity",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: PRECISION,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Precision, Convention::TorchFidelity),
    },
    Family {
        name: "recall-torch-fidelity",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: RECALL,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Recall, Convention::TorchFidelity),
    },
    Family {
        name: "precision-dpimagebench",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: PRECISION,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Precision, Convention::DpImageBench),
    },
    Family {
        name: "recall-dpimagebench",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: RECALL,
        cost: NEIGHBOUR_COST,
        source: KYNKAANNIEMI,
        measure: &ManifoldMeasure(Quantity::Recall, Convention::DpImageBench),
    },
    Family {
        name: "copying-z",
        aspect: Aspect::Copying,
        better: "0",
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        summary: "are synthetic images nearer to training images than holdout images are (C_T)? far below 0: copies",
        cost: "O(n²·d)",
        source: "Meehan, Chaudhuri and Dasgupta, AISTATS 2020",
        measure: &CopyingZ,
    },
    Family {
        name: "nearest-ratio",
        aspect: Aspect::Copying,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "mean ratio of the distances to the nearest and second nearest training image (NNDR)",
        cost: NEIGHBOUR_COST,
        source: "Lowe, IJCV 2004; Zhao et al., ACML 2021",
        measure: &NearestRatioMeasure(|ratio| ratio.mean),
    },
    Family {
        name: "nearest-ratio-median",
        aspect: Aspect::Copying,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "median ratio of the distances to the nearest and second nearest training image (NNDR)",
        cost: NEIGHBOUR_COST,
        source: "Lowe, IJCV 2004; Zhao et al., ACML 2021",
        measure: &NearestRatioMeasure(|ratio| ratio.median),
    },
    Family {
        name: "identical-matches",
        aspect: Aspect::Copying,
        better: "lower",
        least: 0.0,
        most: 1.0,
        summary: "share of synthetic images whose features equal those of a training image (IMS)",
        cost: NEIGHBOUR_COST,
        source: "Platzer and Reutterer, Frontiers in Big Data 2021",
        measure: &IdenticalMatches,
    },
    Family {
        name: "medsyn-fidelity",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share of synthetic images inside a training image's ball to its 5th neighbour",
        cost: NEIGHBOUR_COST,
        source: MEDSYN,
        measure: &MedsynMeasure(|shares| &shares.fidelity),
    },
    Family {
        name: "medsyn-privacy",
        aspect: Aspect::Copying,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share of synthetic images in no training image's ball to its nearest neighbour",
        cost: NEIGHBOUR_COST,
        source: MEDSYN,
        measure: &MedsynMeasure(|shares| &shares.privacy),
    },
    Family {
        name: "medsyn-fidelity-and-privacy",
        aspect: Aspect::Copying,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share of synthetic images in a ball to a 5th neighbour and in none to a nearest one",
        cost: NEIGHBOUR_COST,
        source: MEDSYN,
        measure: &MedsynMeasure(|shares| &shares.fidelity_and_privacy),
    },
    Family {
        name: "feature-spread",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: f64::INFINITY,
        summary: "mean over features of their standard deviation",
        cost: "O(n·d)",
        source: MEDSYN,
        measure: &FeatureSpread,
    },
    Family {
        name: "realism",
        aspect: Aspect::Fidelity,
        better: "higher",
        least: 0.0,
        most: f64::INFINITY,
        summary: "median of the largest ratio of a real ball's radius to the distance from its centre",
        cost: "O(n²·d)",
        source: KYNKAANNIEMI,
        measure: &Realism,
    },
    Family {
        name: "fd-infinity",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        summary: "the Fréchet distance of infinitely many synthetic images, extrapolated (FD∞)",
        cost: "O(n·d² + 15·d³)",
        source: "Chong and Forsyth, CVPR 2020",
        measure: &FrechetDistanceInfinity,
    },
    Family {
        name: "sliced-wasserstein",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: 0.0,
        most: f64::INFINITY,
        summary: "mean squared Wasserstein distance along 1000 random directions",
        cost: "O(n·(d + log n)·1000)",
        source: "Rabin et al., SSVM 2011",
        measure: &SlicedWasserstein,
    },
    Family {
        name: "cmmd",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: 0.0,
        most: 2000.0,
        summary: "MMD² with a wide Gaussian kernel on unit features, times 1000 (CMMD for CLIP features only)",
        cost: "O(n²·d)",
        source: "Jayasumana et al., CVPR 2024",
        measure: &GaussianDiscrepancy,
    },
    Family {
        name: "two-sample-classifier",
        aspect: Aspect::Fidelity,
        better: "0.5",
        least: 0.0,
        most: 1.0,
        summary: "accuracy of a classifier that tells synthetic from real images (C2ST)",
        cost: "O(n·d) a step, up to 2500 steps",
        source: "Lopez-Paz and Oquab, ICLR 2017",
        measure: &TwoSampleClassifier,
    },
    Family {
        name: "two-sample-neighbours",
        aspect: Aspect::Fidelity,
        better: "0.5",
        least: 0.0,
        most: 1.0,
        summary: "share of images whose nearest is of their kind, synthetic or real",
        cost: "O(n²·d), three searches",
        source: "Schilling, JASA 1986; Xu et al., 2018",
        measure: &TwoSampleNeighbours,
    },
    Family {
        name: "memorisation-fid",
        aspect: Aspect::Copying,
        better: "lower",
        least: 0.0,
        most: f64::INFINITY,
        summary: "Fréchet distance divided by the mean least cosine distance below 0.1 (MiFID)",
        cost: "O(n·d² + d³ + n²·d)",
        source: "Bai et al., KDD 2021",
        measure: &MemorisationFid,
    },
    Family {
        name: "feature-likelihood",
        aspect: Aspect::Fidelity,
        better: "lower",
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        summary: "how unlikely holdout images are under Gaussians around the synthetic ones (FLD)",
        cost: "O(n²·d), at most 10 000 of each, 400 MB",
        source: "Jiralerspong et al., NeurIPS 2023",
        measure: &FeatureLikelihood::Divergence,
    },
    Family {
        name: "feature-likelihood-gap",
        aspect: Aspect::Copying,
        better: "lower",
        least: f64::NEG_INFINITY,
        most: f64::INFINITY,
        summary: "how much less likely holdout than training images are under the same Gaussians",
        cost: "O(n²·d), at most 10 000 of each, 400 MB",
        source: "Jiralerspong et al., NeurIPS 2023",
        measure: &FeatureLikelihood::Gap,
    },
    Family {
        name: "retrieval",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: 1.0,
        summary: "share of the training images learnt, from how many are the nearest of some image (IRS∞)",
        cost: NEIGHBOUR_COST,
        source: "Dombrowski et al., CVPR 2025",
        measure: &Retrieval::Plain,
    },
    Family {
        name: "retrieval-adjusted",
        aspect: Aspect::Variety,
        better: "higher",
        least: 0.0,
        most: f64::INFINITY,
        summary: "the same divided by that of holdout images",
        cost: NEIGHBOUR_COST,
        source: "Dombrowski et al., CVPR 2025",
        measure: &Retrieval::Adjusted,
    },
];

/// The measure registered under a name.
///
/// # Errors
/// If there is none; the error names the registered name most like it, and all of them.
pub fn measure(name: &str) -> Result<&'static Family> {
    let likeness = |family: &Family| strsim::jaro_winkler(name, family.name);
    MEASURES.iter().find(|family| family.name == name).ok_or_else(|| Error::Unknown {
        name: name.into(),
        nearest: MEASURES
            .iter()
            .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
            .expect("the table has entries")
            .name,
        known: MEASURES.iter().map(|family| format!("`{}`", family.name)).collect::<Vec<_>>().join(", "),
    })
}

/// Takes the named measures of a set of synthetic images, in the order named.
///
/// What compares with real images is measured against the training **and** the holdout set, at one size (the larger of
/// the two is thinned at random, by `seed`): a generator that copies beats every honest one against the training set
/// only. The reference puts holdout images in the place of the synthetic ones, at most as many.
/// Copying itself is searched among all training images. Sets of fewer than 20 images give
/// [`crate::Outcome::NotMeasurable`].
///
/// Neighbour searches, covariances and kernels are shared; all measures together take O(n²·d + d³) time, and memory
/// beyond the inputs is O(n + d²) unless sets are thinned, of which a copy is made. Results do not depend on the number
/// of threads.
///
/// # Errors
/// If a name is unknown or the embeddings have different protocols.
pub fn evaluate(names: &[String], sets: Sets<'_>, seed: Seed, progress: &dyn Progress) -> Result<Vec<Finding>> {
    let families: Vec<_> = names.iter().map(|name| measure(name)).collect::<Result<_>>()?;
    let prepared = Prepared::new(sets, seed)?;
    let context = Context::new(&prepared);
    let mut findings = Vec::new();
    progress.begin("measures", families.len() as u64);
    for family in families {
        progress.status(family.name);
        for comparison in family.measure.evaluate(&context)? {
            findings.push(Finding {
                measure: family.name.into(),
                aspect: family.aspect,
                against: comparison.against,
                outcome: comparison.outcome,
                reference: comparison.reference,
                better: family.better.into(),
                parameters: comparison.parameters,
            });
        }
        progress.advance(1);
    }
    progress.end();
    Ok(findings)
}
