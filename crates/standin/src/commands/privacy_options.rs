//! Training with differential privacy, as options.

use standin_generate::Protection;
use standin_privacy::{Delta, NoiseOrigin, PrivacyTarget, Unit};

use super::setting::Setting;

/// Whose presence is to be protected, and how well.
#[derive(Clone, Debug, clap::Args)]
pub struct PrivacyOptions {
    /// Train with differential privacy and lose at most this much of it: ε
    #[arg(long, value_name = "E", allow_negative_numbers = true)]
    privacy_epsilon: Option<f64>,

    /// Failure probability of the guarantee: a number or `auto`, which is 1/(N ln N) [default: auto]
    #[arg(long, value_name = "D", requires = "privacy_epsilon", allow_negative_numbers = true)]
    privacy_delta: Option<String>,

    /// The column whose values (patients, identities) are protected [default: each image is]
    #[arg(long, value_name = "COLUMN", requires = "privacy_epsilon")]
    privacy_unit: Option<String>,

    /// Draw sampling and noise from --seed: for experiments, as the result is then not private
    #[arg(long, requires = "privacy_epsilon")]
    privacy_reproducible: bool,
}

/// δ is no probability.
#[derive(Debug, thiserror::Error)]
#[error("--privacy-delta {found}: expected a number such as 1e-5, or `auto` for 1/(N ln N)")]
pub struct NoDelta {
    found: String,
}

impl PrivacyOptions {
    /// As settings of a table `privacy`; none without ε.
    pub fn settings(&self) -> Vec<Setting> {
        let Some(epsilon) = self.privacy_epsilon else { return Vec::new() };
        let mut settings = vec![Setting::new(&["privacy", "epsilon"], epsilon)];
        if let Some(delta) = &self.privacy_delta {
            let number = delta.parse::<f64>().map(toml::Value::Float);
            settings.push(Setting::new(&["privacy", "delta"], number.unwrap_or_else(|_| delta.as_str().into())));
        }
        if let Some(column) = &self.privacy_unit {
            settings.push(Setting::new(&["privacy", "unit", "group"], column.as_str()));
        }
        if self.privacy_reproducible {
            settings.push(Setting::new(&["privacy", "noise"], "reproducible"));
        }
        settings
    }

    /// As the protection of a generator; none without ε.
    pub fn protection(&self) -> Result<Option<Protection>, NoDelta> {
        let Some(epsilon) = self.privacy_epsilon else { return Ok(None) };
        let delta = match self.privacy_delta.as_deref() {
            None | Some("auto") => Delta::Auto,
            Some(text) => Delta::Value(text.parse().map_err(|_| NoDelta { found: text.to_owned() })?),
        };
        let unit = self.privacy_unit.clone().map_or(Unit::Image, Unit::Group);
        let noise = if self.privacy_reproducible { NoiseOrigin::Reproducible } else { NoiseOrigin::Secret };
        Ok(Some(Protection { target: PrivacyTarget { epsilon, delta, allow_large_delta: false }, unit, noise }))
    }
}
