use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;

use crate::{Error, Result};

/// Where tensors live and are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The processor, through burn's `flex` back end.
    #[default]
    Cpu,
    /// A graphics card, through Vulkan, Metal or DirectX 12: the best there is, or the discrete one of that index.
    #[cfg(feature = "wgpu")]
    Gpu(Option<usize>),
}

/// What [`DeviceChoice::choose`] was called with.
static CHOSEN: OnceLock<DeviceChoice> = OnceLock::new();

impl DeviceChoice {
    /// Makes this the device of the process, for everything that trains or samples. Like the size of the thread pool, it is
    /// chosen once, before any work.
    ///
    /// # Errors
    /// If another one was chosen before.
    pub fn choose(self) -> Result<()> {
        match CHOSEN.get_or_init(|| self) {
            chosen if *chosen == self => Ok(()),
            _ => Err(Error::Device { name: self.to_string(), reason: "another device was chosen before" }),
        }
    }

    /// The device of the process: the CPU, unless another was chosen.
    pub fn chosen() -> Self {
        CHOSEN.get().copied().unwrap_or_default()
    }

    /// The device for inference: nothing is recorded for gradients.
    pub fn inference(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
            #[cfg(feature = "wgpu")]
            Self::Gpu(None) => Device::wgpu(DeviceKind::DefaultDevice),
            #[cfg(feature = "wgpu")]
            Self::Gpu(Some(index)) => Device::wgpu(DeviceKind::DiscreteGpu(index)),
        }
    }

    /// The device for training: operations on tensors made on it are recorded for [`gradient`](crate::gradient).
    pub fn training(self) -> Device {
        self.inference().autodiff()
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            #[cfg(feature = "wgpu")]
            Self::Gpu(None) => f.write_str("gpu"),
            #[cfg(feature = "wgpu")]
            Self::Gpu(Some(index)) => write!(f, "gpu:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    /// # Errors
    /// If the name is unknown, or names a device this build was made without.
    fn from_str(name: &str) -> Result<Self> {
        let (kind, index) = match name.split_once(':') {
            Some((kind, index)) => (kind, index.parse::<usize>().ok()),
            None => (name, None),
        };
        let indexed = name.contains(':');
        let reason = match kind {
            "cpu" if !indexed => return Ok(Self::Cpu),
            #[cfg(feature = "wgpu")]
            "gpu" if index.is_some() || !indexed => return Ok(Self::Gpu(index)),
            #[cfg(not(feature = "wgpu"))]
            "gpu" | "cuda" if index.is_some() || !indexed => {
                "this build computes on the CPU only; give \"cpu\", or build with `--features wgpu` and give \"gpu\""
            }
            #[cfg(feature = "wgpu")]
            "cuda" => "graphics cards of every make are named \"gpu\" or \"gpu:INDEX\" here",
            _ => "no such device; give \"cpu\", or with a build for graphics cards \"gpu\" or \"gpu:INDEX\"",
        };
        Err(Error::Device { name: name.to_owned(), reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_another_build_is_refused_with_the_remedy() {
        assert_eq!("cpu".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cpu);
        let message = "cuda:1".parse::<DeviceChoice>().unwrap_err().to_string();
        assert!(message.contains("cuda:1") && message.contains("\"gpu\""), "{message}");
        for name in ["cpu:0", "gpu:first", "tpu", ""] {
            assert!(name.parse::<DeviceChoice>().unwrap_err().to_string().contains("no such device"), "{name}");
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn graphics_cards_have_names_that_are_read_back() {
        for choice in [DeviceChoice::Gpu(None), DeviceChoice::Gpu(Some(2))] {
            assert_eq!(choice.to_string().parse::<DeviceChoice>().unwrap(), choice);
        }
    }

    #[cfg(not(feature = "wgpu"))]
    #[test]
    fn a_graphics_card_needs_a_build_for_it() {
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().to_string().contains("--features wgpu"));
    }
}
