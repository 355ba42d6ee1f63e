use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use standin_encode::Boundary;

use crate::{Error, MEASURES, Result, measure};

/// How balls around images are drawn. Public tools disagree, and their numbers do not compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Convention {
    /// The `prdc` package of Naeem et al.: to the 5th neighbour, boundary outside. The project's default.
    #[default]
    #[serde(rename = "prdc")]
    Prdc,
    /// The `torch-fidelity` package: to the 3rd neighbour, boundary inside.
    #[serde(rename = "torch-fidelity")]
    TorchFidelity,
    /// DPImageBench, through the `fld` package: to the 3rd neighbour, boundary outside. Its k = 4 counts the image itself.
    #[serde(rename = "dpimagebench")]
    DpImageBench,
}

/// The measures that depend on how balls are drawn.
const OF_BALLS: [&str; 4] = ["precision", "recall", "density", "coverage"];

impl Convention {
    /// Every convention, the default first.
    pub const ALL: [Self; 3] = [Self::Prdc, Self::TorchFidelity, Self::DpImageBench];

    /// The name in configurations and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prdc => "prdc",
            Self::TorchFidelity => "torch-fidelity",
            Self::DpImageBench => "dpimagebench",
        }
    }

    /// A ball reaches to this neighbour of its centre, not counting the centre.
    pub const fn k(self) -> usize {
        match self {
            Self::Prdc => 5,
            Self::TorchFidelity | Self::DpImageBench => 3,
        }
    }

    /// Whether an image at exactly the radius is inside.
    pub const fn boundary(self) -> Boundary {
        match self {
            Self::Prdc | Self::DpImageBench => Boundary::Open,
            Self::TorchFidelity => Boundary::Closed,
        }
    }

    /// The registered measure that takes `name` by this convention: `precision` by that of torch-fidelity is
    /// `precision-torch-fidelity`. Measures that draw no balls, and those that already name a convention, stay as they
    /// are.
    ///
    /// # Errors
    /// If no measure has that name, or the tool takes no such measure; the error names those it takes.
    pub fn measure(self, name: &str) -> Result<&'static str> {
        let registered = measure(name)?.name;
        if !OF_BALLS.contains(&name) || self == Self::Prdc {
            return Ok(registered);
        }
        let by_convention = |name: &str| {
            let full = format!("{name}-{}", self.name());
            MEASURES.iter().find(|family| family.name == full)
        };
        by_convention(name).map(|family| family.name).ok_or_else(|| Error::NotInConvention {
            measure: registered,
            convention: self.name(),
            taken: OF_BALLS.into_iter().filter(|name| by_convention(name).is_some()).collect::<Vec<_>>().join(", "),
        })
    }
}

impl fmt::Display for Convention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::DpImageBench => "DPImageBench",
            _ => self.name(),
        };
        let sign = match self.boundary() {
            Boundary::Open => "<",
            Boundary::Closed => "≤",
        };
        write!(f, "k={}, distance {sign} radius ({name})", self.k())
    }
}

impl FromStr for Convention {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|convention| convention.name() == name).ok_or_else(|| Error::UnknownConvention {
            name: name.into(),
            known: Self::ALL.map(|convention| format!("`{}`", convention.name())).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for convention in Convention::ALL {
            assert_eq!(convention.name().parse::<Convention>().unwrap(), convention);
            assert_eq!(serde_json::to_value(convention).unwrap(), convention.name());
            assert_eq!(serde_json::from_value::<Convention>(convention.name().into()).unwrap(), convention);
        }
        let error = "fidelity".parse::<Convention>().unwrap_err().to_string();
        assert!(error.contains("`fidelity`") && error.contains("`torch-fidelity`"), "{error}");
    }

    #[test]
    fn measures_are_found_by_convention() {
        assert_eq!(Convention::Prdc.measure("density").unwrap(), "density");
        assert_eq!(Convention::TorchFidelity.measure("precision").unwrap(), "precision-torch-fidelity");
        assert_eq!(Convention::DpImageBench.measure("recall").unwrap(), "recall-dpimagebench");
        assert_eq!(Convention::DpImageBench.measure("frechet-distance").unwrap(), "frechet-distance");
        assert_eq!(Convention::Prdc.measure("recall-dpimagebench").unwrap(), "recall-dpimagebench");
        let error = Convention::TorchFidelity.measure("coverage").unwrap_err().to_string();
        assert!(error.contains("`coverage`") && error.contains("precision, recall"), "{error}");
        assert!(Convention::TorchFidelity.measure("recal").is_err());
    }
}
