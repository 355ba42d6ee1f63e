use std::path::Path;

use rand::seq::index;
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_encode::Embedding;

use super::{BoxedError, damaged, read_json, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult};

/// A set of images among a stage's outputs.
#[derive(Clone, Copy, Debug)]
pub struct Images {
    /// The stage.
    pub stage: StageId,
    /// The set's folder in the stage's.
    pub folder: &'static str,
}

/// Encodes images, at most `limit` of them, drawn at random. Outputs: `features.npy` with `features.stamp.json`,
/// `rows.json` (which image each row is).
pub struct Embed {
    /// The images.
    pub images: Images,
    /// The encoder's name.
    pub encoder: String,
    /// How many images at most.
    pub limit: usize,
    /// Seed of the draw.
    pub seed: Seed,
    /// Which set this is, for people.
    pub label: String,
}

impl Stage for Embed {
    fn kind(&self) -> &'static str {
        "embed"
    }

    fn code_version(&self) -> u32 {
        2
    }

    fn configuration(&self) -> Value {
        json!({
            "images": self.images.folder,
            "encoder": self.encoder,
            "limit": self.limit,
            "seed": self.seed.value(),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.images.stage]
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let images = ImageSet::open(&inputs.folder(self.images.stage)?.join(self.images.folder))?;
        let rows = draw(images.len(), self.limit, self.seed);
        let images = if rows.len() == images.len() { images } else { images.select(&rows) };
        let embedding = standin_encode::encoder(&self.encoder)?.encode(&images, progress)?;
        embedding.save(&out.join("features.npy"))?;
        write_json(&out.join("rows.json"), &rows)
    }

    fn name(&self) -> String {
        format!("{} of {}", self.encoder, self.label)
    }
}

/// At most `limit` of `0..n`, in increasing order.
pub fn draw(n: usize, limit: usize, seed: Seed) -> Vec<usize> {
    if n <= limit {
        return (0..n).collect();
    }
    let mut rows = index::sample(&mut seed.derive("limit").rng(), n, limit).into_vec();
    rows.sort_unstable();
    rows
}

/// Reads what [`Embed`] wrote: the features, and which image each row is.
///
/// # Errors
/// If a file is missing or damaged.
pub fn read_embedding(folder: &Path) -> Result<(Embedding, Vec<usize>), BoxedError> {
    let embedding = Embedding::load(&folder.join("features.npy"))?;
    let rows: Vec<usize> = read_json(&folder.join("rows.json"))?;
    if rows.len() != embedding.rows() {
        return Err(damaged(&folder.join("rows.json"), format!("{} rows of {}", rows.len(), embedding.rows())));
    }
    Ok((embedding, rows))
}
