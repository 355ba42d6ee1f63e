//! Which identities a synthetic set gives away: persons by their faces, patients by their scans, number plates.
//!
//! A recogniser's features of two images of one identity point the same way, so identities are compared by the cosine of
//! features. The best match of every training identity among the synthetic images says nothing by itself: with enough
//! images something always looks alike. What comes about by chance is learnt from *holdout* identities of the same population,
//! which the generator never saw: their best matches among the same synthetic images are the null distribution.

mod calibration;
mod recognised;
mod synthetic;
mod tables;
mod verification;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use standin_data::{Progress, Seed};
use standin_encode::{Matches, matches};
use standin_measure::{Outcome, benjamini_hochberg, wilson};

pub use recognised::{Recognised, similarity};
pub use synthetic::SyntheticIdentities;
pub use verification::{Verification, VerificationAt, Verified};

use crate::{Evaluation, Result, evaluate};
use calibration::{Calibration, PValue};

/// The share of false discoveries among [`IdentityAudit::discoveries`] that is accepted.
pub const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct IdentityOptions {
    /// Share of identities that nobody leaked that may be taken for leaked, such as 0.01.
    pub false_match_rate: f64,
    /// Pairs of a synthetic and a training image that are listed, most similar first.
    pub pairs: usize,
    /// Of what is drawn at random.
    pub seed: Seed,
}

/// What was found about the identities behind a synthetic set.
#[derive(Clone, Debug, PartialEq)]
pub struct IdentityFindings {
    /// What sums it up.
    pub audit: IdentityAudit,
    /// Every training identity, in the order of [`Recognised::names`].
    pub train: Vec<IdentityMatch>,
    /// For each training image the place of its identity there.
    pub identities: Vec<usize>,
    /// Every holdout identity, by the others of its side.
    pub holdout: Vec<IdentityMatch>,
    /// Every synthetic image, in order.
    pub synthetic: Vec<SyntheticMatch>,
    /// The most similar pairs of a synthetic and a training image.
    pub pairs: Vec<ImagePair>,
    /// Synthetic images that are most similar to one of another synthetic identity: most similar first, each pair once.
    pub links: Vec<ImagePair>,
}

/// What sums up the identities behind a synthetic set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityAudit {
    /// The recogniser's stamp.
    pub stamp: String,
    /// Whether some features had another length than 1 and were scaled.
    pub rescaled: bool,
    /// Training identities, and images of them.
    pub train: [usize; 2],
    /// Holdout identities, and images of them.
    pub holdout: [usize; 2],
    /// Synthetic images.
    pub synthetic: usize,
    /// The share of unseen identities that counting accepts as leaked.
    pub false_match_rate: f64,
    /// Training identities with a p-value of at most that, as a share of all.
    pub leaked: Outcome,
    /// Holdout identities with such a p-value, by the others of their side: what is expected of a set that leaks nothing.
    pub matched_by_chance: Outcome,
    /// Training identities that are named as leaked: by their tail p-values at most 5 % of the names are wrong on average
    /// (Benjamini & Hochberg 1995).
    pub discoveries: usize,
    /// How well training identities are told from holdout ones by their p-values: AUC.
    pub auc: Outcome,
    /// One-sided p-value of the hypothesis that they cannot be told apart.
    pub p_value: Option<f64>,
    /// True-positive rate at false-positive rates 10, 1, 0.1 % and 0.
    pub true_positive_rates: Vec<(f64, Outcome)>,
    /// The highest similarity of a synthetic and a training image.
    pub highest: f64,
    /// The highest similarity of a synthetic and a holdout image.
    pub highest_by_chance: Option<f64>,
    /// How well the recogniser tells identities apart on the real images.
    pub recogniser: Verified,
    /// What the synthetic identities are like, where they are named.
    pub identities: Option<SyntheticIdentities>,
}

/// The best match of an identity among synthetic images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IdentityMatch {
    /// Its name.
    pub identity: String,
    /// Images of it.
    pub images: usize,
    /// The one that is most similar to a synthetic image.
    pub image: usize,
    /// That synthetic image.
    pub synthetic: usize,
    /// The cosine of their features.
    pub similarity: f64,
    /// Probability that an identity with as many images, which nobody saw, has as good a match; none without a holdout.
    pub p_value: Option<f64>,
    /// The same, extrapolated where the match is better than those of all unseen identities.
    pub tail_p_value: Option<f64>,
    /// That adjusted for the number of identities: naming all up to q makes a share q of wrong names on average.
    pub adjusted_p_value: Option<f64>,
}

/// The best matches of a synthetic image.
#[derive(Clone, Debug, PartialEq)]
pub struct SyntheticMatch {
    /// The synthetic image.
    pub synthetic: usize,
    /// The most similar training image.
    pub train: usize,
    /// Its identity.
    pub identity: String,
    /// The cosine of their features.
    pub similarity: f64,
    /// The same for holdout images.
    pub holdout: Option<(usize, f64)>,
}

/// Two images and the cosine of their features.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImagePair {
    /// A synthetic image.
    pub synthetic: usize,
    /// The other one.
    pub other: usize,
    /// The cosine of their features.
    pub similarity: f64,
}

/// Looks for the training identities among synthetic images.
///
/// - **Matches**: all synthetic × real pairs, exactly, by cosine.
/// - **p-values** of identities are conformal: the rank of the best match among those of holdout identities. An identity with more images
///   has better matches by chance, so it is compared with holdout identities that have at least as many, of which as many are taken
///   at random; where too few have, its images are divided into groups and the best group counts, times the number of groups (Bonferroni).
///   They hold if training and holdout identities are exchangeable but for training, and are never below 1/(1 + h).
/// - **Names**: of t identities with such p-values at least 20·t/(1 + h) must leak before one can be named. Beyond the best match of all
///   unseen identities p-values are therefore extrapolated, with an exponential tail above the best tenth of their matches whose scale
///   is the upper 95 % bound of the mean excess. Maxima of tails that are no heavier than that, as those of cosines, have smaller
///   ones. With fewer than 100 holdout identities nothing is extrapolated.
/// - **Leaked** is the share of training identities with a p-value of at most the false-match rate (Wilson's interval); it cannot be measured
///   with fewer than 1/rate − 1 holdout identities.
/// - **Links** between synthetic identities are counted by a threshold at which the real ones have a false-match rate of 0.1 %.
///
/// Time O(s·(t + h)·d) in matrix products, and O(s²·d) where synthetic identities are named; memory O(s + t + h) beyond
/// the features.
///
/// # Errors
/// If features have different protocols, an identity is on both sides, the rate is not between 0 and 1, or a set is empty.
pub fn audit_identities(
    train: &Recognised,
    holdout: Option<&Recognised>,
    synthetic: &Recognised,
    options: IdentityOptions,
    progress: &dyn Progress,
) -> Result<IdentityFindings> {
    let IdentityOptions { false_match_rate: rate, pairs, seed } = options;
    if !(rate > 0.0 && rate < 1.0) {
        return Err(crate::Error::FalseMatchRate { rate });
    }
    if let Some(holdout) = holdout {
        train.require_others(holdout)?;
    }
    let found = matches(synthetic.features(), train.features(), 1, pairs, progress)?;
    let beside = match holdout {
        Some(holdout) => Some(matches(synthetic.features(), holdout.features(), 1, 1, progress)?),
        None => None,
    };
    let calibration = match (holdout, &beside) {
        (Some(holdout), Some(found)) => {
            Some(Calibration::new(&by_identity(holdout, found), rate, seed.derive("calibration")))
        }
        _ => None,
    };
    let calibrated = calibration.as_ref();
    let of_train = calibrated.map(|calibration| calibration.p_values(&by_identity(train, &found)));
    let of_holdout = calibrated.map(Calibration::own_p_values);
    let own: Option<Vec<PValue>> =
        of_holdout.as_ref().map(|found| found.iter().map(|&exact| PValue { exact, tail: exact }).collect());
    let train_matches = best(train, &found, of_train.as_deref());
    let of_train: Option<Vec<f64>> = of_train.map(|found| found.iter().map(|found| found.exact).collect());
    let holdout_matches = match (holdout, &beside) {
        (Some(holdout), Some(found)) => best(holdout, found, own.as_deref()),
        _ => Vec::new(),
    };
    let counted = |p_values: &Option<Vec<f64>>| match (p_values, calibrated) {
        (Some(p_values), Some(calibration)) if calibration.reaches(rate) => {
            Outcome::Measured(wilson(p_values.iter().filter(|&&p| p <= rate).count(), p_values.len()))
        }
        (Some(_), Some(calibration)) => Outcome::NotMeasurable(format!(
            "a false-match rate of {rate} needs at least {} holdout identities, and there are {}",
            (1.0 / rate - 1.0).ceil(),
            calibration.identities()
        )),
        _ => Outcome::NotMeasurable("there are no holdout identities".into()),
    };
    let evaluation = match (&of_train, &of_holdout) {
        (Some(inside), Some(outside)) if inside.len() > 1 && outside.len() > 1 => {
            let scores = |p_values: &[f64]| p_values.iter().map(|p| -p).collect::<Vec<_>>();
            Some(evaluate(&scores(inside), &scores(outside), seed.derive("evaluation"))?)
        }
        _ => None,
    };
    let recogniser = Verified::of(&[Some(train), holdout].map(|set| set.filter(|set| set.is_named())), seed);
    let (identities, links) = match synthetic.is_named() {
        true => {
            let (found, links) = synthetic::examine(synthetic, train, &recogniser, pairs, seed)?;
            (Some(found), links)
        }
        false => (None, Vec::new()),
    };
    let discoveries = train_matches.iter().filter_map(|found| found.adjusted_p_value);
    let audit = IdentityAudit {
        stamp: train.features().stamp().to_string(),
        rescaled: [Some(train), holdout, Some(synthetic)].into_iter().flatten().any(Recognised::was_rescaled),
        train: [train.names().len(), train.features().rows()],
        holdout: holdout.map_or([0; 2], |holdout| [holdout.names().len(), holdout.features().rows()]),
        synthetic: synthetic.features().rows(),
        false_match_rate: rate,
        leaked: counted(&of_train),
        matched_by_chance: counted(&of_holdout),
        discoveries: discoveries.filter(|&q| q <= FALSE_DISCOVERY_RATE).count(),
        auc: evaluation.as_ref().map_or_else(
            || Outcome::NotMeasurable("it needs two identities on both sides".into()),
            |found| Outcome::Measured(found.auc.clone()),
        ),
        p_value: evaluation.as_ref().map(|found| found.p_value),
        true_positive_rates: evaluation.as_ref().map(rates).unwrap_or_default(),
        highest: highest(&train_matches).unwrap_or(f64::NAN),
        highest_by_chance: highest(&holdout_matches),
        recogniser,
        identities,
    };
    let pair = |pair: &standin_encode::Pair| ImagePair {
        synthetic: pair.left,
        other: pair.right,
        similarity: similarity(pair.distance),
    };
    let synthetic_matches = (0..synthetic.features().rows())
        .map(|row| SyntheticMatch {
            synthetic: row,
            train: found.of_left.indices(row)[0],
            identity: train.name_of(found.of_left.indices(row)[0]).to_owned(),
            similarity: similarity(found.of_left.distances(row)[0]),
            holdout: beside
                .as_ref()
                .map(|found| (found.of_left.indices(row)[0], similarity(found.of_left.distances(row)[0]))),
        })
        .collect();
    Ok(IdentityFindings {
        audit,
        identities: train.identities().to_vec(),
        train: train_matches,
        holdout: holdout_matches,
        synthetic: synthetic_matches,
        pairs: found.pairs.iter().map(pair).collect(),
        links,
    })
}

fn rates(evaluation: &Evaluation) -> Vec<(f64, Outcome)> {
    evaluation.true_positive_rates.iter().map(|rate| (rate.false_positive_rate, rate.outcome.clone())).collect()
}

fn highest(found: &[IdentityMatch]) -> Option<f64> {
    found.iter().map(|found| found.similarity).max_by(f64::total_cmp)
}

/// For each identity the similarity of each of its images to the most similar synthetic one.
fn by_identity(set: &Recognised, found: &Matches) -> Vec<Vec<f64>> {
    let best = |&row: &usize| similarity(found.of_right.distances(row)[0]);
    set.rows_by_identity().iter().map(|rows| rows.iter().map(best).collect()).collect()
}

/// The best match of each identity.
fn best(set: &Recognised, found: &Matches, p_values: Option<&[PValue]>) -> Vec<IdentityMatch> {
    let tail: Option<Vec<f64>> = p_values.map(|found| found.iter().map(|found| found.tail).collect());
    let adjusted = tail.as_deref().map(benjamini_hochberg);
    let identities = set.names().iter().zip(set.rows_by_identity()).enumerate();
    identities
        .map(|(at, (name, rows))| {
            let distance = |&&row: &&usize| found.of_right.distances(row)[0];
            let image = *rows.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))).expect("each has an image");
            IdentityMatch {
                identity: name.clone(),
                images: rows.len(),
                image,
                synthetic: found.of_right.indices(image)[0],
                similarity: similarity(found.of_right.distances(image)[0]),
                p_value: p_values.map(|found| found[at].exact),
                tail_p_value: p_values.map(|found| found[at].tail),
                adjusted_p_value: adjusted.as_ref().map(|adjusted| adjusted[at]),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};
    use standin_data::Silent;
    use standin_encode::{Embedding, Stamp};

    use super::*;

    const DIMENSION: usize = 64;

    fn normal(seed: Seed, count: usize, scale: f32) -> Vec<f32> {
        let mut rng = seed.rng();
        let mut draw = || -> f32 { StandardNormal.sample(&mut rng) };
        (0..count).map(|_| scale * draw()).collect()
    }

    /// A photo of an identity, which is a direction of its own.
    fn photo(identity: &str, photo: usize) -> Vec<f32> {
        let centre = normal(Seed::new(1).derive(identity), DIMENSION, 1.0);
        let noise = normal(Seed::new(2).derive(&format!("{identity} {photo}")), DIMENSION, 0.3);
        centre.iter().zip(noise).map(|(centre, noise)| centre + noise).collect()
    }

    fn set(photos: &[(String, usize)], named: bool) -> Recognised {
        let values = photos.iter().flat_map(|(identity, number)| photo(identity, *number)).collect();
        let features = Embedding::new(values, DIMENSION, Stamp::new("recogniser", "")).unwrap();
        let names: Vec<String> = photos.iter().map(|(identity, _)| identity.clone()).collect();
        if named { Recognised::new("images", features, &names) } else { Recognised::unnamed("images", features) }
            .unwrap()
    }

    /// Identities of a kind, with one to three photos each, from this photo on.
    fn photos(kind: &str, count: usize, from: usize) -> Vec<(String, usize)> {
        (0..count)
            .flat_map(|at| (from..from + 1 + at % 3).map(move |photo| (format!("{kind}{at:03}"), photo)))
            .collect()
    }

    fn options() -> IdentityOptions {
        IdentityOptions { false_match_rate: 0.01, pairs: 20, seed: Seed::new(3) }
    }

    fn audited(synthetic: &[(String, usize)], named: bool) -> IdentityFindings {
        let (train, holdout) = (set(&photos("train", 300, 0), true), set(&photos("holdout", 300, 0), true));
        audit_identities(&train, Some(&holdout), &set(synthetic, named), options(), &Silent).unwrap()
    }

    #[test]
    fn other_photos_of_training_identities_are_found_and_named() {
        // New photos of ten training identities among 500 invented ones.
        let mut synthetic = photos("invented", 250, 0);
        synthetic.extend((0..10).map(|at| (format!("train{:03}", 7 * at), 100)));
        let found = audited(&synthetic, false);
        let named: Vec<&str> = found
            .train
            .iter()
            .filter(|found| found.adjusted_p_value.unwrap() <= FALSE_DISCOVERY_RATE)
            .map(|found| found.identity.as_str())
            .collect();
        let planted: Vec<String> = (0..10).map(|at| format!("train{:03}", 7 * at)).collect();
        assert!(planted.iter().all(|name| named.contains(&name.as_str())), "{named:?}");
        assert!(named.len() <= 12 && found.audit.discoveries == named.len(), "{named:?}");
        // The most similar pairs are they, and each is found from its other side too.
        for pair in &found.pairs[..10] {
            assert!(pair.synthetic >= synthetic.len() - 10, "{pair:?}");
            assert_eq!(
                found.synthetic[pair.synthetic].similarity.max(pair.similarity),
                found.synthetic[pair.synthetic].similarity
            );
        }
        let leaked = found.audit.leaked.estimate().unwrap();
        assert!(leaked.value >= 10.0 / 300.0 && leaked.value < 0.06, "{leaked}");
        assert!(found.audit.highest > found.audit.highest_by_chance.unwrap());
        assert!(found.audit.recogniser.measured().unwrap().recognises());
    }

    #[test]
    fn a_set_that_leaks_nothing_accuses_hardly_anybody() {
        let found = audited(&photos("invented", 400, 0), true);
        let (leaked, by_chance) =
            (found.audit.leaked.estimate().unwrap(), found.audit.matched_by_chance.estimate().unwrap());
        assert!(leaked.low <= 0.01 && by_chance.low <= 0.01, "{leaked} {by_chance}");
        let auc = found.audit.auc.estimate().unwrap();
        assert!(auc.low < 0.5 && auc.high > 0.5 && found.audit.discoveries <= 1, "{auc}");
        let own = found.audit.identities.unwrap();
        assert_eq!(own.identities, 400);
        assert!(own.separability.measured().unwrap().recognises());
        assert!(own.doubles.estimate().unwrap().low <= own.doubles_among_real.estimate().unwrap().high);
    }

    #[test]
    fn synthetic_identities_that_are_one_person_are_linked() {
        let mut synthetic = photos("invented", 100, 0);
        // Two names for the face of invented000, with photos of its own.
        let values = |photos: &[(String, usize)]| {
            photos.iter().flat_map(|(name, number)| photo(name, *number)).collect::<Vec<_>>()
        };
        let mut features = values(&synthetic);
        features.extend(values(&[("invented000".into(), 50), ("invented000".into(), 51)]));
        synthetic.extend([("double".to_owned(), 0), ("double".to_owned(), 1)]);
        let names: Vec<String> = synthetic.iter().map(|(name, _)| name.clone()).collect();
        let features = Embedding::new(features, DIMENSION, Stamp::new("recogniser", "")).unwrap();
        let synthetic = Recognised::new("images", features, &names).unwrap();
        let train = set(&photos("train", 300, 0), true);
        let found = audit_identities(&train, None, &synthetic, options(), &Silent).unwrap();
        let link = found.links[0];
        let linked = [link.synthetic, link.other].map(|row| names[row].as_str());
        assert!(linked.contains(&"double") && linked.contains(&"invented000"), "{linked:?}");
        assert!(found.audit.identities.unwrap().doubles.estimate().unwrap().value >= 2.0 / 101.0);
        // Without a holdout nothing is said about leaks.
        assert!(found.audit.leaked.estimate().is_none() && found.train[0].p_value.is_none());
    }

    #[test]
    fn too_few_unseen_identities_are_said() {
        let (train, holdout) = (set(&photos("train", 30, 0), true), set(&photos("holdout", 30, 0), true));
        let synthetic = set(&photos("invented", 20, 0), false);
        let found = audit_identities(&train, Some(&holdout), &synthetic, options(), &Silent).unwrap();
        let said = found.audit.leaked.to_string();
        assert!(said.contains("at least 99 holdout identities, and there are 30"), "{said}");
        let error = audit_identities(&train, Some(&train), &synthetic, options(), &Silent).unwrap_err().to_string();
        assert!(error.contains("train000"), "{error}");
    }
}
