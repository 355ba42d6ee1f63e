use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use standin_data::{ImageSet, Seed, Shape};
use standin_nn::tensor::Tensor;
use standin_nn::{DeviceChoice, digest, load_weights, read_architecture, save_weights};
use standin_privacy::Guarantee;

use crate::classifier::{Saved, require_shape};
use crate::input::Input;
use crate::network::{Architecture, Network};
use crate::{Logits, Result, TrainedClassifier};

/// Images that go through the network at once when it is used; fixed, so that results do not depend on threads.
const ROWS: usize = 256;

/// All that rebuilds a trained network but its weights, saved beside them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description<A> {
    pub(crate) shape: Shape,
    pub(crate) classes: Vec<String>,
    #[serde(flatten)]
    pub(crate) input: Input,
    #[serde(flatten)]
    pub(crate) architecture: A,
}

/// A network that was trained, whatever its architecture.
#[derive(Clone, Debug)]
pub(crate) struct TrainedNetwork<A: Architecture> {
    family: &'static str,
    description: Description<A>,
    network: A::Network,
    guarantee: Option<Guarantee>,
}

impl<A: Architecture> TrainedNetwork<A> {
    /// `network` lives on the inference device.
    pub(crate) fn new(
        family: &'static str,
        description: Description<A>,
        network: A::Network,
        guarantee: Option<Guarantee>,
    ) -> Self {
        Self { family, description, network, guarantee }
    }

    /// Reads what [`TrainedClassifier::save`] wrote.
    ///
    /// # Errors
    /// If a file is missing, damaged, or does not fit the others.
    pub(crate) fn load(family: &'static str, folder: &Path) -> Result<Self> {
        let path = weights_path(family, folder);
        let description: Description<A> = read_architecture(&path)?;
        let seen = description.input.shape(description.shape)?;
        let device = DeviceChoice::chosen().inference();
        let network = description.architecture.build(seen, description.classes.len(), Seed::new(0), &device);
        let network = load_weights(&path, network)?;
        let guarantee = Saved::read(folder)?.guarantee_of(folder, &digest(&network))?;
        Ok(Self { family, description, network, guarantee })
    }

    /// What the last layer sees of each image, one row of [`TrainedNetwork::dimension`] values per image, row-major.
    ///
    /// # Errors
    /// If the images are not of the shape of training.
    pub(crate) fn features(&self, images: &ImageSet) -> Result<Vec<f32>> {
        self.rows(images, |network, x| network.features(x))
    }

    /// Values per image of [`TrainedNetwork::features`].
    pub(crate) fn dimension(&self) -> usize {
        self.network.dimension()
    }

    /// Shape of the images it was trained on.
    pub(crate) fn shape(&self) -> Shape {
        self.description.shape
    }

    /// The BLAKE3 digest of its weights, in hexadecimal.
    pub(crate) fn digest(&self) -> String {
        digest(&self.network)
    }

    /// What one of the network's functions gives for each image, row-major.
    fn rows(
        &self,
        images: &ImageSet,
        function: impl Fn(&A::Network, Tensor<4>) -> Tensor<2> + Sync,
    ) -> Result<Vec<f32>> {
        require_shape(images, self.description.shape)?;
        let device = DeviceChoice::chosen().inference();
        let starts: Vec<usize> = (0..images.len()).step_by(ROWS).collect();
        let rows: Result<Vec<Vec<f32>>> = starts
            .into_par_iter()
            .map(|start| {
                let indices: Vec<usize> = (start..(start + ROWS).min(images.len())).collect();
                let x = self.description.input.tensor(images, &indices, &device)?;
                Ok(function(&self.network, x).into_data().iter::<f32>().collect())
            })
            .collect();
        Ok(rows?.concat())
    }
}

/// The file of weights of a family in a folder.
fn weights_path(family: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{family}.safetensors"))
}

impl<A: Architecture> TrainedClassifier for TrainedNetwork<A> {
    fn logits(&self, images: &ImageSet) -> Result<Logits> {
        Ok(Logits::new(self.rows(images, |network, x| network.forward(x))?, self.description.classes.len()))
    }

    fn classes(&self) -> &[String] {
        &self.description.classes
    }

    fn guarantee(&self) -> Option<&Guarantee> {
        self.guarantee.as_ref()
    }

    fn save(&self, folder: &Path) -> Result<()> {
        save_weights(&weights_path(self.family, folder), &self.network, &self.description)?;
        Saved::new(self.family, self.guarantee.as_ref(), || self.digest()).write(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Cnn, Design, Preset, RESNET_9};

    /// As `cnn.toml` has always held it.
    #[test]
    fn the_description_of_an_old_cnn_is_read() {
        let text = "classes = [\"a\", \"b\"]\nhidden = 16\n[shape]\nchannels = 1\nheight = 8\nwidth = 8\n\
                    [[convolutions]]\nchannels = 8\nstride = 1\n[standardisation]\nmean = [7.0]\ndeviation = [2.5]\n";
        let description: Description<<Cnn as Design>::Architecture> = toml::from_str(text).unwrap();
        assert!(matches!(&description.input, Input::Standardisation(by) if by.mean == [7.0]));
        let table = toml::Table::try_from(&description).unwrap();
        assert_eq!(table, toml::from_str(text).unwrap(), "and written as it was");
    }

    #[test]
    fn descriptions_survive_toml() {
        let shape = Shape { channels: 3, height: 8, width: 8 };
        let architecture = RESNET_9.architecture(&RESNET_9.defaults(), shape).unwrap();
        let input = Input::Scattering(crate::input::Scattering { groups: 9 });
        let description = Description { shape, classes: vec!["a".into()], input, architecture };
        let text = toml::to_string(&description).unwrap();
        let read: Description<<Preset as Design>::Architecture> = toml::from_str(&text).unwrap();
        assert_eq!(read, description);
    }
}
