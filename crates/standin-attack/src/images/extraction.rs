use standin_data::Silent;
use standin_encode::{Embedding, encoder, nearest};
use standin_generate::SampleRequest;

use crate::{Attack, Result, Target};

/// Extraction (Carlini et al. 2023, "Extracting training data from diffusion models", arXiv 2301.13188): what a generator knows by heart it
/// draws again and again, nearly the same each time.
///
/// Released images that are nearer to each other than half of the median distance to a 50th neighbour are joined into clusters, whose
/// representative is the image with the most others so near. This looks at no candidate: it is what an attacker has extracted who knows
/// nothing else. The score of a candidate is −min ‖x − m‖² over the representatives m, and 0 for all where nothing was drawn twice. The paper
/// chooses its threshold by eye for one generator; half of the distance that 50 neighbours span adapts to images, features and their
/// number, and leaves clusters of up to 50.
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
    let extracted = representatives(released)?;
    if extracted.is_empty() {
        return Ok(vec![0.0; candidates.rows()]);
    }
    let distances = nearest(candidates, &released.select(&extracted), 1, false)?.at_rank(1);
    Ok(distances.into_iter().map(|distance| -distance * distance).collect())
}

/// One image of each cluster of near-duplicates.
fn representatives(released: &Embedding) -> Result<Vec<usize>> {
    let k = NEIGHBOURS.min(released.rows().saturating_sub(1));
    if k == 0 {
        return Ok(Vec::new());
    }
    let neighbours = nearest(released, released, k, true)?;
    let mut spans = neighbours.at_rank(k);
    let middle = spans.len() / 2;
    let near = 0.5 * *spans.select_nth_unstable_by(middle, f64::total_cmp).1;
    let copies = |row: usize| neighbours.distances(row).partition_point(|&distance| distance <= near);
    let mut clusters = Clusters::new(released.rows());
    for row in 0..released.rows() {
        neighbours.indices(row)[..copies(row)].iter().for_each(|&other| clusters.join(row, other));
    }
    let mut best: Vec<Option<usize>> = vec![None; released.rows()];
    for row in (0..released.rows()).filter(|&row| copies(row) > 0) {
        let cluster = clusters.of(row);
        if best[cluster].is_none_or(|known| copies(row) > copies(known)) {
            best[cluster] = Some(row);
        }
    }
    Ok(best.into_iter().flatten().collect())
}

/// Disjoint sets of rows.
struct Clusters(Vec<usize>);

impl Clusters {
    fn new(rows: usize) -> Self {
        Self((0..rows).collect())
    }

    /// The lowest row known to be in the same set.
    fn of(&mut self, mut row: usize) -> usize {
        while self.0[row] != row {
            self.0[row] = self.0[self.0[row]];
            row = self.0[row];
        }
        row
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        self.0[a.max(b)] = a.min(b);
    }
}
