use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The stamp on everything made with reproducible noise.
pub const NOT_PRIVATE: &str = "NOT PRIVATE: reproducible noise";

/// Whose presence is protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// One image.
    Image,
    /// All images that share a value of this attribute column: a patient, an identity.
    Group(String),
}

/// What makes two data sets neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Adjacency {
    /// One unit is added or removed; the project's default.
    AddRemove,
    /// One unit is replaced by another; sensitivities double.
    ReplaceOne,
}

/// Where the noise of a mechanism came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseOrigin {
    /// A cryptographic generator seeded by the operating system: the guarantee holds.
    Secret,
    /// A reproducible seed, for experiments on public data: whoever knows the seed can remove the noise, so the output
    /// is **not private** whatever ε says.
    Reproducible,
}

/// What a trained object promises about the data it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Guarantee {
    /// Privacy loss.
    pub epsilon: f64,
    /// Failure probability.
    pub delta: f64,
    /// Whose presence is protected.
    pub unit: Unit,
    /// What makes two data sets neighbours.
    pub adjacency: Adjacency,
    /// How records were sampled: "full batch" or "Poisson, rate q".
    pub sampler: String,
    /// The mechanism in words, with its sensitivity and noise as they ran.
    pub mechanism: String,
    /// How ε was computed from the mechanism.
    pub accountant: String,
    /// Where the noise came from.
    pub noise: NoiseOrigin,
    /// What the guarantee does not cover, in words.
    pub not_covered: Vec<String>,
}

impl Guarantee {
    /// Whether the output may be treated as private: only with secret noise.
    pub fn holds(&self) -> bool {
        self.noise == NoiseOrigin::Secret
    }

    /// [`NOT_PRIVATE`] if the noise was reproducible; nothing otherwise.
    pub fn stamp(&self) -> Option<&'static str> {
        (!self.holds()).then_some(NOT_PRIVATE)
    }

    /// The whole guarantee in sentences for whoever decides about a release, the stamp first if there is one.
    pub fn statement(&self) -> String {
        let unit = match &self.unit {
            Unit::Image => "image".to_owned(),
            Unit::Group(column) => format!("`{column}` (all images that share its value)"),
        };
        let adjacency = match self.adjacency {
            Adjacency::AddRemove => "added or removed",
            Adjacency::ReplaceOne => "replaced by another",
        };
        let noise = match self.noise {
            NoiseOrigin::Secret => "Its noise came from a cryptographic generator keyed by the operating system.",
            NoiseOrigin::Reproducible => {
                "Its noise came from a reproducible seed, and whoever knows the seed can remove it: the bound describes \
                 the mechanism and does not protect this output."
            }
        };
        let covered = match self.not_covered.as_slice() {
            [] => String::new(),
            parts => format!(" Not covered: {}.", parts.join("; ")),
        };
        let stamp = self.stamp().map(|stamp| format!("{stamp}. ")).unwrap_or_default();
        format!(
            "{stamp}({self:#})-differentially private for each {unit}: whether one is {adjacency} changes the \
             probability of any outcome by a factor of at most {}, except with probability {}. Mechanism: {}. \
             Sampling: {}. Accounting: {}. {noise}{covered}",
            rounded_up(self.epsilon.exp()),
            rounded_up(self.delta),
            self.mechanism,
            self.sampler,
            self.accountant,
        )
    }
}

impl fmt::Display for Guarantee {
    /// `ε = 1.00, δ = 1.67e-6`, followed by the stamp if there is one; the alternate form `{:#}` leaves the stamp out.
    /// Both numbers are rounded up, never down.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ε = {}, δ = {}", rounded_up(self.epsilon), rounded_up(self.delta))?;
        match self.stamp() {
            Some(stamp) if !f.alternate() => write!(f, " ({stamp})"),
            _ => Ok(()),
        }
    }
}

/// Three significant digits, not below `value` by more than the 1e-9 relative that calibration leaves.
fn rounded_up(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 {
        return value.to_string();
    }
    let exponent = value.log10().floor() as i32;
    let steps = (value * (1.0 - 1e-9) / 10_f64.powi(exponent - 2)).ceil();
    if (-2..6).contains(&exponent) {
        let decimals = (2 - exponent).max(0) as usize;
        format!("{:.decimals$}", steps * 10_f64.powi(exponent - 2))
    } else {
        format!("{:.2e}", steps / 100.0 * 10_f64.powi(exponent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarantee(noise: NoiseOrigin) -> Guarantee {
        Guarantee {
            epsilon: 1.0,
            delta: 1.665_751e-6,
            unit: Unit::Image,
            adjacency: Adjacency::AddRemove,
            sampler: "full batch".into(),
            mechanism: "one Gaussian release, sensitivity 1, σ = 4.22".into(),
            accountant: "analytic Gaussian".into(),
            noise,
            not_covered: vec!["the number of images".into(), "the choice of hyper-parameters".into()],
        }
    }

    #[test]
    fn statement_names_every_part() {
        let text = guarantee(NoiseOrigin::Secret).statement();
        for part in ["(ε = 1.00, δ = 1.67e-6)", "each image", "added or removed", "2.72", "full batch", "σ = 4.22"] {
            assert!(text.contains(part), "`{part}` is missing in: {text}");
        }
        assert!(text.ends_with("Not covered: the number of images; the choice of hyper-parameters."), "{text}");
        assert!(!text.contains("NOT PRIVATE"));
        let grouped = Guarantee { unit: Unit::Group("patient".into()), ..guarantee(NoiseOrigin::Secret) };
        assert!(grouped.statement().contains("each `patient`"));
    }

    #[test]
    fn reproducible_noise_is_stamped_wherever_the_guarantee_is_shown() {
        let guarantee = guarantee(NoiseOrigin::Reproducible);
        assert!(!guarantee.holds());
        assert!(guarantee.statement().starts_with(NOT_PRIVATE));
        assert_eq!(guarantee.to_string(), "ε = 1.00, δ = 1.67e-6 (NOT PRIVATE: reproducible noise)");
    }

    #[test]
    fn shown_numbers_are_never_below_the_true_ones() {
        assert_eq!(rounded_up(1.001), "1.01");
        assert_eq!(rounded_up(0.999_1), "1.000");
        assert_eq!(rounded_up(10.0), "10.0");
        assert_eq!(rounded_up(123.4), "124");
        assert_eq!(rounded_up(1.0 + 1e-12), "1.00");
        assert_eq!(rounded_up(9.999e-7), "1.00e-6");
        for exponent in -40..40 {
            let value = 1.234_567 * 1.7_f64.powi(exponent);
            let shown: f64 = rounded_up(value).parse().unwrap();
            assert!((value..1.01 * value).contains(&shown), "{shown} for {value}");
        }
    }

    #[test]
    fn json_keeps_every_field() {
        let guarantee = guarantee(NoiseOrigin::Secret);
        let text = serde_json::to_string(&guarantee).unwrap();
        assert_eq!(serde_json::from_str::<Guarantee>(&text).unwrap(), guarantee);
    }
}
