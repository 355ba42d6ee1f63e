use std::path::Path;

use rand::seq::index;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use standin_data::{ImageSet, Progress, Seed};
use standin_encode::{Embedding, Encoder, TrainableEncoder, TrainableFamily};

use super::{BoxedError, damaged, on_device, read_json, write_json};
use crate::stage::{Inputs, Stage, StageId, StageResult, Workload};
use crate::study::encoders::trainable;

/// A set of images among a stage's outputs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Images {
    /// The stage.
    pub stage: StageId,
    /// The set's folder in the stage's.
    pub folder: &'static str,
}

/// [`Images`] as they are read from a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenImages {
    stage: StageId,
    folder: String,
}

impl<'de> Deserialize<'de> for Images {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let WrittenImages { stage, folder } = WrittenImages::deserialize(deserializer)?;
        let known = ["train", "holdout", "test", "images"];
        match known.into_iter().find(|known| *known == folder) {
            Some(folder) => Ok(Self { stage, folder }),
            None => {
                let known = known.join(", ");
                Err(D::Error::custom(format!("no stage leaves images in a folder \"{folder}\"; known are: {known}")))
            }
        }
    }
}

/// An encoder with what identifies it before it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenEncoder {
    /// Its name.
    pub name: String,
    /// Digest of the weights, for one that reads them from a file.
    pub weights: Option<String>,
    /// The stage that fitted it, for one that has to learn.
    pub fitted: Option<StageId>,
}

impl ChosenEncoder {
    fn open(&self, inputs: &Inputs) -> Result<Box<dyn Encoder>, BoxedError> {
        match (self.fitted, trainable(&self.name)) {
            (Some(fitted), Some(family)) => Ok((family.load)(inputs.folder(fitted)?)?),
            _ => Ok(standin_encode::encoder(&self.name)?),
        }
    }
}

/// Fits an encoder that has to learn, on train and holdout together so that it knows neither side better. Outputs: what
/// the encoder saves.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitEncoder {
    /// The division, whose pool is train and holdout.
    pub division: StageId,
    /// The encoder.
    #[serde(with = "by_name")]
    pub family: &'static TrainableFamily,
    /// Seed of the training.
    pub seed: Seed,
}

/// An encoder that has to be trained, written as its name.
mod by_name {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use standin_encode::TrainableFamily;

    use crate::study::encoders::trainable;

    pub fn serialize<S: Serializer>(family: &&'static TrainableFamily, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(family.name)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static TrainableFamily, D::Error> {
        let name = String::deserialize(deserializer)?;
        trainable(&name).ok_or_else(|| D::Error::custom(format!("there is no encoder \"{name}\" that is trained")))
    }
}

impl FitEncoder {
    fn encoder(&self) -> Result<Box<dyn TrainableEncoder>, BoxedError> {
        (self.family.build)(&toml::Table::new())
    }
}

impl Stage for FitEncoder {
    fn kind(&self) -> &'static str {
        "fit-encoder"
    }

    fn code_version(&self) -> u32 {
        2
    }

    fn configuration(&self) -> Value {
        let options = self.encoder().map(|encoder| encoder.options()).unwrap_or_default();
        on_device(json!({ "training": self.family.training, "options": options, "seed": self.seed.value() }))
    }

    fn inputs(&self) -> Vec<StageId> {
        vec![self.division]
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let pool = ImageSet::open(&inputs.folder(self.division)?.join("pool"))?;
        self.encoder()?.fit(&pool, self.seed, progress)?.save(out)
    }

    fn name(&self) -> String {
        format!("training of the encoder {}", self.family.training)
    }

    fn weight(&self) -> u64 {
        20
    }
}

/// Encodes images, at most `limit` of them, drawn at random. Outputs: `features.npy` with `features.stamp.json`,
/// `rows.json` (which image each row is).
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embed {
    /// The images.
    pub images: Images,
    /// The encoder.
    pub encoder: ChosenEncoder,
    /// How many images at most.
    pub limit: usize,
    /// Seed of the draw.
    pub seed: Seed,
    /// Which set this is, for people.
    pub label: String,
    /// How much there is to do.
    pub workload: Workload,
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
            "encoder": self.encoder.name,
            "weights": self.encoder.weights,
            "limit": self.limit,
            "seed": self.seed.value(),
        })
    }

    fn inputs(&self) -> Vec<StageId> {
        [self.images.stage].into_iter().chain(self.encoder.fitted).collect()
    }

    fn portable(&self) -> Option<Value> {
        Some(json!(self))
    }

    fn run(&self, inputs: &Inputs, out: &Path, progress: &dyn Progress) -> StageResult {
        let images = ImageSet::open(&inputs.folder(self.images.stage)?.join(self.images.folder))?;
        let rows = draw(images.len(), self.limit, self.seed);
        let images = if rows.len() == images.len() { images } else { images.select(&rows) };
        let embedding = self.encoder.open(inputs)?.encode(&images, progress)?;
        embedding.save(&out.join("features.npy"))?;
        write_json(&out.join("rows.json"), &rows)
    }

    fn name(&self) -> String {
        format!("{} of {}", self.encoder.name, self.label)
    }

    fn workload(&self) -> Workload {
        self.workload.clone()
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
