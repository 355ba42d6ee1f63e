use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::{Error, Result};

/// Where tensors live and are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// The processor, through burn's `flex` back end.
    #[default]
    Cpu,
}

impl DeviceChoice {
    /// The device for inference: nothing is recorded for gradients.
    pub fn inference(self) -> Device {
        match self {
            Self::Cpu => Device::flex(),
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
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = Error;

    /// # Errors
    /// If the name is unknown, or names a device this build was made without.
    fn from_str(name: &str) -> Result<Self> {
        let reason = match name {
            "cpu" => return Ok(Self::Cpu),
            _ if name == "cuda" || name.starts_with("cuda:") => {
                "this build computes on the CPU only; give \"cpu\" or leave the option out"
            }
            _ => "no such device; this build knows \"cpu\"",
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
        assert!(message.contains("cuda:1") && message.contains("\"cpu\""), "{message}");
        assert!("gpu".parse::<DeviceChoice>().is_err());
    }
}
