use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::module::Module;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Error, ParameterShape, Result, shapes, values, with_values};

const REMEDY: &str = "it must be weights that this program saved, unchanged; train again or restore the file";

/// The description beside a file of weights.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description<A> {
    format: String,
    /// BLAKE3 digest of the safetensors file.
    digest: String,
    architecture: A,
}

const FORMAT: &str = "standin weights 1";

/// Saves a network: the parameters as safetensors in `path`, and beside it, with the extension `toml`, the architecture
/// that rebuilds it and the digest of the weights.
///
/// # Errors
/// If a file cannot be written.
pub fn save_weights<M: Module, A: Serialize>(path: &Path, model: &M, architecture: &A) -> Result<()> {
    let values = values(model);
    let mut rest = values.as_slice();
    let tensors = shapes(model)
        .into_iter()
        .map(|ParameterShape { name, shape }| {
            let (own, others) = rest.split_at(shape.iter().product());
            rest = others;
            Stored::new(name, shape, own.to_vec())
        })
        .collect();
    write_tensors(path, tensors, HashMap::new())?;
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let description =
        Description { format: FORMAT.to_owned(), digest: blake3::hash(&bytes).to_hex().to_string(), architecture };
    let beside = beside(path);
    let text = toml::to_string(&description).map_err(|error| {
        Error::file(&beside, format!("not writable as TOML ({error})"), "give a serialisable table")
    })?;
    replace(&beside, text.as_bytes())
}

/// The architecture saved beside a file of weights, which rebuilds the network to load them into.
///
/// # Errors
/// If the description is missing, damaged, or of another kind of network.
pub fn read_architecture<A: DeserializeOwned>(path: &Path) -> Result<A> {
    Ok(read_description(path)?.architecture)
}

/// Loads saved weights into a network of the same architecture.
///
/// # Errors
/// If a file is missing, its digest is not the saved one, or its tensors are not those of the network.
pub fn load_weights<M: Module>(path: &Path, model: M) -> Result<M> {
    let bytes = std::fs::read(path).map_err(Error::io("reading", path))?;
    let description: Description<toml::Table> = read_description(path)?;
    if description.digest != blake3::hash(&bytes).to_hex().as_str() {
        return Err(Error::file(path, "its digest is not the one saved beside it", REMEDY));
    }
    let damaged = |error: safetensors::SafeTensorError| Error::file(path, format!("not readable ({error})"), REMEDY);
    let tensors = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let shapes = shapes(&model);
    if tensors.len() != shapes.len() {
        let found = format!("{} tensors for a network of {}", tensors.len(), shapes.len());
        return Err(Error::file(path, found, REMEDY));
    }
    let mut all = Vec::with_capacity(model.num_params());
    for ParameterShape { name, shape } in shapes {
        let tensor = tensors.tensor(&name).map_err(damaged)?;
        if tensor.shape() != shape {
            let found = format!("tensor `{name}` has shape {:?}, the network {shape:?}", tensor.shape());
            return Err(Error::file(path, found, REMEDY));
        }
        let values =
            floats(&tensor).ok_or_else(|| Error::file(path, format!("tensor `{name}` is not of f32"), REMEDY))?;
        all.extend(values);
    }
    Ok(with_values(model, &all))
}

/// The BLAKE3 digest of a network's parameter names, shapes and values, in hexadecimal.
pub fn digest<M: Module>(model: &M) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("standin weights 1");
    for ParameterShape { name, shape } in shapes(model) {
        hasher.update(format!("{name}{shape:?}").as_bytes());
    }
    hasher.update(&bytes(&values(model)));
    hasher.finalize().to_hex().to_string()
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("toml")
}

fn read_description<A: DeserializeOwned>(path: &Path) -> Result<Description<A>> {
    let beside = beside(path);
    let text = std::fs::read_to_string(&beside).map_err(Error::io("reading", &beside))?;
    let description: Description<A> =
        toml::from_str(&text).map_err(|error| Error::file(&beside, error.message().to_owned(), REMEDY))?;
    if description.format != FORMAT {
        return Err(Error::file(
            &beside,
            format!("format \"{}\" where \"{FORMAT}\" belongs", description.format),
            REMEDY,
        ));
    }
    Ok(description)
}

/// A named tensor on its way to a file.
pub(crate) struct Stored {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    pub(crate) fn new(name: impl Into<String>, shape: Vec<usize>, values: Vec<f32>) -> Self {
        Self { name: name.into(), shape, bytes: bytes(&values) }
    }
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

pub(crate) fn write_tensors(path: &Path, tensors: Vec<Stored>, metadata: HashMap<String, String>) -> Result<()> {
    let named = tensors.iter().map(|tensor| (tensor.name.as_str(), tensor));
    let bytes = safetensors::serialize(named, Some(metadata))
        .map_err(|error| Error::file(path, format!("not writable ({error})"), "give each parameter its own name"))?;
    replace(path, &bytes)
}

/// Writes a file beside its place and moves it there, so that no reader meets half of it.
fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(Error::io("writing into", folder))?;
    file.write_all(bytes).map_err(Error::io("writing", path))?;
    file.persist(path).map_err(|error| Error::io("writing", path)(error.error))?;
    Ok(())
}

pub(crate) fn floats(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    let word = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("chunks of four bytes"));
    (tensor.dtype() == Dtype::F32).then(|| tensor.data().chunks_exact(4).map(word).collect())
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use standin_data::Seed;

    use super::*;
    use crate::DeviceChoice;
    use crate::layer::Linear;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Sizes {
        inputs: usize,
        outputs: usize,
    }

    fn network(sizes: &Sizes, seed: u64) -> Linear {
        Linear::new(sizes.inputs, sizes.outputs, Seed::new(seed), &DeviceChoice::Cpu.inference())
    }

    fn saved() -> (tempfile::TempDir, PathBuf, Linear) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("line.safetensors");
        let sizes = Sizes { inputs: 5, outputs: 3 };
        let model = network(&sizes, 1);
        save_weights(&path, &model, &sizes).unwrap();
        (folder, path, model)
    }

    #[test]
    fn weights_survive_the_round_trip() {
        let (_folder, path, model) = saved();
        let sizes: Sizes = read_architecture(&path).unwrap();
        let loaded = load_weights(&path, network(&sizes, 2)).unwrap();
        assert_eq!(values(&loaded), values(&model));
        assert_eq!(digest(&loaded), digest(&model));
        assert_ne!(digest(&network(&sizes, 2)), digest(&model));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let (_folder, path, model) = saved();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(&path, bytes).unwrap();
            let message = load_weights(&path, model.clone()).unwrap_err().to_string();
            assert!(message.contains("line.safetensors"), "{message}");
        }
    }

    #[test]
    fn a_foreign_file_is_refused_even_with_its_own_digest() {
        let (_folder, path, model) = saved();
        let foreign = b"PK\x03\x04 not safetensors";
        std::fs::write(&path, foreign).unwrap();
        let text = std::fs::read_to_string(beside(&path)).unwrap();
        let old = text.lines().find(|line| line.starts_with("digest")).unwrap().to_owned();
        let own = format!("digest = \"{}\"", blake3::hash(foreign).to_hex());
        std::fs::write(beside(&path), text.replace(&old, &own)).unwrap();
        let message = load_weights(&path, model).unwrap_err().to_string();
        assert!(message.contains("line.safetensors") && message.contains("not readable"), "{message}");
    }

    #[test]
    fn weights_of_another_network_are_refused() {
        let (_folder, path, _) = saved();
        let message = load_weights(&path, network(&Sizes { inputs: 3, outputs: 5 }, 1)).unwrap_err().to_string();
        assert!(message.contains("[5, 3]") && message.contains("[3, 5]"), "{message}");
        let two = vec![network(&Sizes { inputs: 5, outputs: 3 }, 1), network(&Sizes { inputs: 5, outputs: 3 }, 2)];
        assert!(load_weights(&path, two).unwrap_err().to_string().contains("2 tensors for a network of 4"));
    }

    #[test]
    fn a_missing_or_foreign_description_is_named() {
        let (_folder, path, model) = saved();
        std::fs::write(beside(&path), "format = 1").unwrap();
        let message = load_weights(&path, model.clone()).unwrap_err().to_string();
        assert!(message.contains("line.toml"), "{message}");
        std::fs::remove_file(beside(&path)).unwrap();
        assert!(load_weights(&path, model).unwrap_err().to_string().contains("line.toml"));
    }
}
