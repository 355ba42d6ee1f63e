use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Bringing images into another group: each keeps its class and, the more of it the lower the strength, what it shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslationRequest {
    /// The group to bring them into.
    pub to: String,
    /// How far back towards noise an image is taken before it is drawn again as one of the group, in (0, 1]: a share of the solver's
    /// noise levels, 1 being noise alone. What is coarse is decided at high levels, so a low strength changes fine detail.
    pub strength: f64,
    /// How it is taken there.
    #[serde(default)]
    pub passage: Passage,
    /// Weight of the class, as [`SampleRequest::guidance`](crate::SampleRequest::guidance); 1 by default.
    #[serde(default = "one")]
    pub guidance: f64,
    /// Weight of the group beside the class; 1 by default.
    #[serde(default = "one")]
    pub group_guidance: f64,
    /// Noise levels of a whole way from noise to image, of which `strength` are passed; the generator's own default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Images made of each source.
    #[serde(default = "once")]
    pub copies: usize,
}

/// How an image is taken towards noise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Passage {
    /// Noise is added (Meng et al. 2022, SDEdit): other noise gives another image of the same source.
    #[default]
    Noise,
    /// The equation is solved backwards under the image's own class and group (Su, Song, Meng & Ermon 2023, dual diffusion implicit
    /// bridges): one image of each source, and more of it is kept at the same strength.
    Inversion,
}

fn one() -> f64 {
    1.0
}

fn once() -> usize {
    1
}

impl TranslationRequest {
    /// One image of each source, at half strength, without guidance.
    pub fn new(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            strength: 0.5,
            passage: Passage::Noise,
            guidance: one(),
            group_guidance: one(),
            steps: None,
            copies: once(),
        }
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        if !(self.strength > 0.0 && self.strength <= 1.0) {
            let remedy = "give a number above 0 (nothing changes) and at most 1 (nothing of the source is left)";
            return Err(Error::request(format!("strength is {}", self.strength), remedy));
        }
        for (name, value) in [("guidance", self.guidance), ("group_guidance", self.group_guidance)] {
            if !(value.is_finite() && value >= 0.0) {
                let remedy = "give a number of at least 0; 1 draws as it was learnt";
                return Err(Error::request(format!("{name} is {value}"), remedy));
            }
        }
        if self.steps == Some(0) {
            return Err(Error::request("steps is 0", "give at least 1; more cost time and are more exact"));
        }
        if self.copies == 0 {
            return Err(Error::request("copies is 0", "make at least 1 image of each source"));
        }
        if self.passage == Passage::Inversion && self.copies > 1 {
            let found = format!("copies is {} with passage \"inversion\"", self.copies);
            return Err(Error::request(
                found,
                "inversion makes one image of each source: give 1, or passage \"noise\"",
            ));
        }
        Ok(())
    }

    /// In words for a provenance.
    pub(crate) fn words(&self) -> String {
        let Self { to, strength, passage, guidance, group_guidance, .. } = self;
        let passage = match passage {
            Passage::Noise => "noise added",
            Passage::Inversion => "inverted",
        };
        format!(
            "translated to {to} at strength {strength}, {passage}, guidance {guidance} by class and {group_guidance} by group"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_outside_their_range_are_named() {
        let request = || TranslationRequest::new("dark");
        assert!(request().check().is_ok());
        for (request, word) in [
            (TranslationRequest { strength: 0.0, ..request() }, "strength is 0"),
            (TranslationRequest { strength: f64::NAN, ..request() }, "strength is NaN"),
            (TranslationRequest { group_guidance: -1.0, ..request() }, "group_guidance is -1"),
            (TranslationRequest { steps: Some(0), ..request() }, "steps is 0"),
            (TranslationRequest { copies: 2, passage: Passage::Inversion, ..request() }, "inversion"),
        ] {
            let message = request.check().unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
