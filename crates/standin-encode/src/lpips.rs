use std::path::Path;
use std::sync::Mutex;

use rten::NodeId;
use standin_data::{ImageSet, Progress, Shape};

use crate::onnx::{Network, Runner, run_each};
use crate::{Error, Result, Stamp};

/// The learned perceptual distance of Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual
/// Metric", CVPR 2018, from a network with two inputs for images of one size, n × 3 × rows × columns with values from −1
/// to 1 in RGB, and one distance for each pair.
///
/// 0 for equal images; larger is less alike. Values of different weights (AlexNet, VGG; versions) do not compare.
pub struct Lpips {
    network: Network,
    inputs: [NodeId; 2],
    output: NodeId,
    name: String,
}

impl Lpips {
    /// Reads the network.
    ///
    /// # Errors
    /// If the file is missing or no network, or has not two inputs of that form and one output.
    pub fn open(path: &Path) -> Result<Self> {
        let network = Network::open(path)?;
        let inputs = network.inputs()?;
        let fits = |shape: &Option<Vec<Option<usize>>>| match shape.as_deref() {
            Some(&[batch, channels, ..]) => batch.is_none_or(|size| size == 1) && channels.is_none_or(|size| size == 3),
            Some(_) => false,
            None => true,
        };
        let [first, second] = inputs.as_slice() else {
            return Err(network.error(
                format!("the network has {} inputs", inputs.len()),
                "two inputs, one for each image of a pair, were expected",
            ));
        };
        if let Some(odd) = [first, second].into_iter().find(|input| !fits(&input.shape)) {
            let found = format!("the input `{}` has another shape", odd.name);
            return Err(network.error(found, "pairs of images, n × 3 × rows × columns with any n or 1, were expected"));
        }
        let inputs = [first.node, second.node];
        let (_, output) = network.output(None)?;
        let name = format!("onnx:{}", path.file_name().unwrap_or_default().to_string_lossy());
        Ok(Self { network, inputs, output, name })
    }

    /// How distances are made: the network's file and digest, and that grey images are repeated to three channels.
    pub fn stamp(&self) -> Stamp {
        Stamp {
            weights: Some(self.network.digest().to_owned()),
            ..Stamp::new(&self.name, "LPIPS of RGB pixel / 127.5 − 1, grey repeated as colour, no resize")
        }
    }

    /// The distance of every image of one set to the image at the same place of another, in order. Their mean is the
    /// value usually reported.
    ///
    /// Cost: one pass of the network for each pair; memory: the activations of one pair, for each thread.
    ///
    /// # Errors
    /// If the sets differ in length or shape, or a distance is not finite.
    pub fn distances(&self, left: &ImageSet, right: &ImageSet, progress: &dyn Progress) -> Result<Vec<f32>> {
        if left.len() != right.len() || left.shape() != right.shape() {
            return Err(Error::Data(standin_data::Error::inconsistent(
                format!("{} images of {} and {} of {}", left.len(), left.shape(), right.len(), right.shape()),
                "pairs of images of one shape were expected: import both sets with the same --resize and channels",
            )));
        }
        let distances = Mutex::new(vec![0.0; left.len()]);
        progress.begin(&self.name, left.len() as u64);
        let outcome = run_each(left.len(), |index, runner| {
            let distance = self.distance(left.image(index), right.image(index), left.shape(), runner)?;
            distances.lock().unwrap_or_else(std::sync::PoisonError::into_inner)[index] = distance;
            progress.advance(1);
            Ok(())
        });
        progress.end();
        outcome?;
        let distances = distances.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        match distances.iter().position(|distance| !distance.is_finite()) {
            None => Ok(distances),
            Some(row) => {
                Err(Error::NotFinite { what: self.stamp().to_string(), row, column: 0, value: distances[row] })
            }
        }
    }

    fn distance(&self, left: &[u8], right: &[u8], shape: Shape, runner: &Runner) -> Result<f32> {
        let tensor = |image: &[u8]| -> Vec<f32> {
            let values = image.iter().map(|&pixel| f32::from(pixel) / 127.5 - 1.0).collect::<Vec<_>>();
            if shape.channels == 1 { values.repeat(3) } else { values }
        };
        self.distance_of_tensors(&tensor(left), &tensor(right), [shape.height, shape.width], runner)
    }

    fn distance_of_tensors(&self, left: &[f32], right: &[f32], size: [usize; 2], runner: &Runner) -> Result<f32> {
        let sizes = [1, 3, size[0], size[1]];
        let inputs = [(self.inputs[0], &sizes[..], left), (self.inputs[1], &sizes[..], right)];
        match self.network.run(&inputs, self.output, runner)? {
            (_, values) if values.len() == 1 => Ok(values[0]),
            (sizes, _) => {
                Err(self.network.error(format!("the output has the shape {sizes:?}"), "one distance was expected"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use npyz::npz::NpzArchive;

    use super::*;

    #[test]
    fn the_published_reference_is_reproduced() {
        let data = std::env::var_os("STANDIN_TEST_DATA")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
        let reference = data.join("weights/lpips-alexnet.reference.npz");
        if !reference.exists() {
            println!("skipped: {} is not there; STANDIN_TEST_DATA names the folder of test data", reference.display());
            return;
        }
        let lpips = Lpips::open(&data.join("weights/lpips-alexnet.onnx")).unwrap();
        let mut arrays = NpzArchive::open(&reference).unwrap();
        let [left, right, distance] =
            ["a", "b", "y"].map(|name| arrays.by_name(name).unwrap().unwrap().into_vec::<f32>().unwrap());
        run_each(1, |_, runner| {
            let ours = lpips.distance_of_tensors(&left, &right, [64, 64], runner)?;
            assert!((ours / distance[0] - 1.0).abs() < 2e-3, "{ours} against {}", distance[0]);
            Ok(())
        })
        .unwrap();
    }
}
