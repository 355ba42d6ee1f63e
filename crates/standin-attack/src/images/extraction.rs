use standin_data::Silent;
use standin_encode::{Embedding, encoder, nearest};
use standin_generate::SampleRequest;

use crate::median::median;
use crate::{Attack, Result, Target};

/// Extraction (Carlini et al. 2023, "Extracting training data from diffusion models", arXiv 2301.13188): what a generator knows by heart it
/// draws again and again, nearly the same each time.
///
/// Extracted are the released images that have another one nearer than half of the median distance to a 50th neighbour. This looks at no
/// candidate: it is what an attacker has who knows nothing else. The score of a candidate is −min ‖x − m‖² over the extracted images m, and
/// 0 for all where nothing was drawn twice. The paper asks for ten such neighbours among a million images and chooses the distance by eye for
/// one generator; half of what 50 neighbours span adapts to images, features and their number, and sees clusters of up to 50.
///
/// Time of one search of the released images among themselves, memory for 50 neighbours of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extraction {
    /// From the released images.
    Released,
    /// From images that the attacker draws: [`Extraction::DRAWN`] of them.
    Drawn,
}

/// Neighbours that are looked at.
const NEIGHBOURS: usize = 50;

impl Extraction {
    /// Images drawn from a released generator.
    pub const DRAWN: usize = 10_000;
}

impl Attack for Extraction {
    fn score(&self, target: &Target<'_>) -> Result<Vec<f64>> {
        match self {
            Self::Released => {
                let target = target.images()?;
                scores(target.synthetic(), target.candidates())
            }
            Self::Drawn => {
                let target = target.generator()?;
                let request = SampleRequest::new(Self::DRAWN);
                let drawn = target.generator().sample(&request, target.seed().derive("extraction"), &Silent)?;
                let pixels = encoder("pixels")?;
                scores(&pixels.encode(&drawn, &Silent)?, &pixels.encode(target.candidates(), &Silent)?)
            }
        }
    }
}

fn scores(released: &Embedding, candidates: &Embedding) -> Result<Vec<f64>> {
    let extracted = drawn_again(released)?;
    if extracted.is_empty() {
        return Ok(vec![0.0; candidates.rows()]);
    }
    let distances = nearest(candidates, &released.select(&extracted), 1, false)?.at_rank(1);
    Ok(distances.into_iter().map(|distance| -distance * distance).collect())
}

/// The images that another one is next to.
fn drawn_again(released: &Embedding) -> Result<Vec<usize>> {
    let k = NEIGHBOURS.min(released.rows().saturating_sub(1));
    if k == 0 {
        return Ok(Vec::new());
    }
    let neighbours = nearest(released, released, k, true)?;
    let near = 0.5 * median(neighbours.at_rank(k));
    let closest = neighbours.at_rank(1);
    Ok((0..released.rows()).filter(|&row| closest[row] <= near).collect())
}
