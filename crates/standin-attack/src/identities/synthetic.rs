//! What synthetic identities are like, and which of them are one.

use rand::seq::SliceRandom;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use standin_data::Seed;
use standin_encode::nearest_of_others;
use standin_measure::{Estimate, Outcome, wilson};

use super::{ImagePair, Recognised, Verified, similarity};
use crate::Result;

/// The false-match rate at which synthetic identities are told apart from each other.
const LINKING_RATE: f64 = 1e-3;

/// What synthetic identities are like, beside real ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyntheticIdentities {
    /// How many there are.
    pub identities: usize,
    /// How well the recogniser tells them apart.
    pub separability: Verified,
    /// The similarity from which two real images count as one identity, at a false-match rate of 0.1 %.
    pub threshold: Option<f64>,
    /// Share of synthetic identities with an image that reaches the threshold with one of another, among as many identities and images
    /// of both as the smaller side has.
    pub doubles: Outcome,
    /// The same of training identities, among equally many.
    pub doubles_among_real: Outcome,
}

/// What synthetic identities are like, and the links between them.
pub(super) fn examine(
    synthetic: &Recognised,
    train: &Recognised,
    recogniser: &Verified,
    pairs: usize,
    seed: Seed,
) -> Result<(SyntheticIdentities, Vec<ImagePair>)> {
    let threshold = recogniser.measured().and_then(|found| found.threshold_at(LINKING_RATE));
    let links = links(synthetic)?;
    let [doubles, doubles_among_real] = match threshold {
        Some(threshold) => {
            let mut shares = Vec::new();
            for set in equally_many([synthetic, train], seed.derive("doubles"))? {
                shares.push(Outcome::Measured(share_linked(&set, &self::links(&set)?, threshold)));
            }
            shares.try_into().expect("a share of each set")
        }
        None => {
            [(); 2].map(|()| Outcome::NotMeasurable("the recogniser's error on the real images is not known".into()))
        }
    };
    let found = SyntheticIdentities {
        identities: synthetic.names().len(),
        separability: Verified::of(&[Some(synthetic), None], seed.derive("synthetic")),
        threshold,
        doubles,
        doubles_among_real,
    };
    let mut listed: Vec<ImagePair> = Vec::new();
    for link in links {
        let back = listed.iter().any(|known| (known.other, known.synthetic) == (link.synthetic, link.other));
        if !back {
            listed.push(link);
        }
        if listed.len() == pairs {
            break;
        }
    }
    Ok((found, listed))
}

/// As many identities of both sets at random, each with as many images as one of the other's: the more there are, the more have doubles.
fn equally_many(sets: [&Recognised; 2], seed: Seed) -> Result<[Recognised; 2]> {
    let count = sets.map(|set| set.names().len()).into_iter().min().unwrap_or(0);
    let mut rng = seed.rng();
    let mut drawn = sets.map(|set| {
        let mut identities = set.rows_by_identity().to_vec();
        identities.shuffle(&mut rng);
        identities.truncate(count);
        identities.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        identities.iter_mut().for_each(|rows| rows.shuffle(&mut rng));
        identities
    });
    let [of_one, of_other] = &mut drawn;
    for (one, other) in of_one.iter_mut().zip(of_other) {
        let images = one.len().min(other.len());
        one.truncate(images);
        other.truncate(images);
    }
    let [of_one, of_other] = drawn.map(|identities| identities.concat());
    Ok([sets[0].select(&of_one)?, sets[1].select(&of_other)?])
}

/// For each image the most similar one of another identity, most similar first; none where there is one identity.
fn links(set: &Recognised) -> Result<Vec<ImagePair>> {
    if set.names().len() < 2 {
        return Ok(Vec::new());
    }
    let found = nearest_of_others(set.features(), set.identities())?;
    let mut links: Vec<ImagePair> = (0..found.len())
        .map(|row| ImagePair {
            synthetic: row,
            other: found.indices(row)[0],
            similarity: similarity(found.distances(row)[0]),
        })
        .collect();
    links.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then(a.synthetic.cmp(&b.synthetic)));
    Ok(links)
}

fn share_linked(set: &Recognised, links: &[ImagePair], threshold: f64) -> Estimate {
    let mut linked = vec![false; set.names().len()];
    for link in links.iter().take_while(|link| link.similarity >= threshold) {
        linked[set.identities()[link.synthetic]] = true;
        linked[set.identities()[link.other]] = true;
    }
    wilson(linked.iter().filter(|&&linked| linked).count(), linked.len())
}
