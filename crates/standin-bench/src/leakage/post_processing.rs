//! Releases of one pipeline in the order in which they are computed.

use super::strongest_attack;
use crate::summary::{PostProcessing, Release, ReleaseKind};

/// Every pair of releases of one pipeline of which one is computed from the other: a classifier from synthetic images, and
/// both from the generator behind them.
///
/// What is computed from a release alone cannot say more about the private images than the release does (post-processing,
/// Dwork and Roth 2014, proposition 2.1, which holds for any attack and not for private releases alone). So for the best
/// attacker the leakage of a classifier is at most that of the images it was trained on, and that is at most the
/// generator's. Where the strongest attacks that ran show the reverse beyond both intervals, those on the source are weak.
///
/// Pairs are in the order of the releases they are computed from; releases without attacks form none.
pub fn post_processing(releases: &[Release]) -> Vec<PostProcessing> {
    let mut pairs = Vec::new();
    for source in releases {
        for derived in releases {
            if depth(derived.kind) <= depth(source.kind) || !same_pipeline(derived, source) {
                continue;
            }
            let (Some(on_derived), Some(on_source)) = (strongest_attack(derived), strongest_attack(source)) else {
                continue;
            };
            pairs.push(PostProcessing {
                derived: derived.name.clone(),
                source: source.name.clone(),
                derived_auc: on_derived.auc.clone(),
                source_auc: on_source.auc.clone(),
                reversed: on_derived.auc.low > on_source.auc.high,
            });
        }
    }
    pairs
}

/// Steps from the private images; what is not computed from synthetic images is of no pipeline.
fn depth(kind: ReleaseKind) -> usize {
    match kind {
        ReleaseKind::Generator => 1,
        ReleaseKind::Images => 2,
        ReleaseKind::ClassifierOnSynthetic => 3,
        ReleaseKind::ClassifierOnReal => 0,
    }
}

fn same_pipeline(derived: &Release, source: &Release) -> bool {
    depth(source.kind) > 0 && source.generator.is_some() && derived.generator == source.generator
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::testing::release;

    fn pipeline(generator: f64, images: f64, classifier: f64) -> Vec<Release> {
        vec![
            release("classifier", ReleaseKind::ClassifierOnSynthetic, 0.9, classifier, 0.0),
            release("images", ReleaseKind::Images, 0.9, images, 0.0),
            release("real", ReleaseKind::ClassifierOnReal, 0.9, 0.9, 0.0),
            release("weights", ReleaseKind::Generator, 0.9, generator, 0.0),
        ]
    }

    /// The AUC of every release is known to ± 0.02.
    #[test]
    fn all_pairs_of_a_pipeline_are_checked_beyond_their_intervals() {
        let named = |releases: &[Release]| -> Vec<(String, String, bool)> {
            post_processing(releases).into_iter().map(|pair| (pair.derived, pair.source, pair.reversed)).collect()
        };
        let pair = |derived: &str, source: &str, reversed| (derived.to_owned(), source.to_owned(), reversed);
        let found = named(&pipeline(0.6, 0.55, 0.58));
        let expected = [
            pair("classifier", "images", false),
            pair("classifier", "weights", false),
            pair("images", "weights", false),
        ];
        assert_eq!(found, expected, "0.58 is above 0.55 within chance");
        let reversed: Vec<bool> = named(&pipeline(0.53, 0.6, 0.65)).into_iter().map(|pair| pair.2).collect();
        assert_eq!(reversed, [true, true, true]);
    }

    #[test]
    fn other_pipelines_and_releases_without_attacks_form_no_pair() {
        let mut releases = pipeline(0.6, 0.55, 0.5);
        releases[0].generator = Some(("other".into(), "vae".into()));
        releases[3].attacks.clear();
        assert!(post_processing(&releases).is_empty());
    }
}
