use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How many images of which classes to draw from a trained generator.
///
/// One trained generator answers any number of requests, so a study of sampling trains once. A smaller request with
/// the same balance and seed gives the first images of a larger one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleRequest {
    /// Number of images, at least 1.
    pub count: usize,
    /// How they are divided among the classes; [`Balance::AsTrained`] by default.
    #[serde(default)]
    pub balance: Balance,
    /// Standard deviation of the latent vectors in units of the distribution they are drawn from, at least 0.
    ///
    /// 1, the default, draws from the distribution as it is. Less gives typical images that differ little (at 0 every
    /// image of a class is the same), more gives odd ones: fidelity is traded for variety without another training, as
    /// by the truncation of adversarial generators (Brock, Donahue & Simonyan 2019, section 3.1). A generator that draws codes
    /// divides their logits by it instead. A guarantee stays as it is: this only processes what was released.
    #[serde(default = "as_it_is")]
    pub temperature: f64,
    /// Weight w of the class in a diffusion model's denoiser, D = D∅ + w·(D_class − D∅), at least 0 (Ho & Salimans 2022,
    /// where w is one less): 1, the default, is the model as trained for the class; more gives more typical images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidance: Option<f64>,
    /// The group to draw, for a diffusion model that is told groups; of all together by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Weight of the group beside the class in the model's denoiser, at least 0: 1, the default, is the model as trained for both; more
    /// gives images that are more typical of the group among those of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_guidance: Option<f64>,
    /// Share ψ of the way from the mean to the drawn style, in [0, 1] (Karras et al. 2019, section B): 1, the default, is
    /// the generator as trained; less trades variety for fidelity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<f64>,
    /// How a diffusion model's equation is solved; its own default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub solver: Option<Solver>,
    /// Number of noise levels of the solver, at least 1; its own default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
}

/// How the equation of a diffusion model is solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Solver {
    /// Second order, deterministic (Karras et al. 2022, algorithm 1).
    Heun,
    /// Second order, with fresh noise at every level (Karras et al. 2022, algorithm 2).
    Stochastic,
    /// First order, deterministic (Song, Meng & Ermon 2021).
    Ddim,
}

/// What a request may ask for beyond count and balance, where a generator has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// [`SampleRequest::temperature`].
    Temperature,
    /// [`SampleRequest::guidance`].
    Guidance,
    /// [`SampleRequest::group`].
    Group,
    /// [`SampleRequest::group_guidance`].
    GroupGuidance,
    /// [`SampleRequest::truncation`].
    Truncation,
    /// [`SampleRequest::solver`].
    Solver,
    /// [`SampleRequest::steps`].
    Steps,
}

impl Control {
    /// Every control.
    pub const ALL: [Self; 7] = [
        Self::Temperature,
        Self::Guidance,
        Self::Group,
        Self::GroupGuidance,
        Self::Truncation,
        Self::Solver,
        Self::Steps,
    ];

    /// Its name in a request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::Guidance => "guidance",
            Self::Group => "group",
            Self::GroupGuidance => "group guidance",
            Self::Truncation => "truncation",
            Self::Solver => "solver",
            Self::Steps => "steps",
        }
    }
}

fn as_it_is() -> f64 {
    1.0
}

/// The share of each class among the sampled images.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Every class that was trained on equally often.
    Uniform,
    /// As in the training set; for a private generator as its noisy release says, never as the private counts say.
    #[default]
    AsTrained,
    /// A relative weight per class name, at least 0 and not all 0; classes left out get none.
    Shares(BTreeMap<String, f64>),
}

impl SampleRequest {
    /// `count` images with class shares as trained, everything else at its default.
    pub fn new(count: usize) -> Self {
        Self {
            count,
            balance: Balance::AsTrained,
            temperature: as_it_is(),
            guidance: None,
            group: None,
            group_guidance: None,
            truncation: None,
            solver: None,
            steps: None,
        }
    }

    /// The same request with another balance.
    #[must_use]
    pub fn with_balance(self, balance: Balance) -> Self {
        Self { balance, ..self }
    }

    /// The same request at another temperature.
    #[must_use]
    pub fn with_temperature(self, temperature: f64) -> Self {
        Self { temperature, ..self }
    }

    /// Checks that every control is in its range.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check(&self) -> Result<()> {
        let not_negative = |name: &str, value: f64, one: &str| {
            if value.is_finite() && value >= 0.0 {
                return Ok(());
            }
            Err(Error::request(format!("{name} is {value}"), format!("give a number of at least 0; 1 {one}")))
        };
        not_negative("temperature", self.temperature, "draws from the generator as it was trained")?;
        not_negative("guidance", self.guidance.unwrap_or(1.0), "draws from each class as it was learnt")?;
        not_negative("group guidance", self.group_guidance.unwrap_or(1.0), "draws from the group as it was learnt")?;
        if self.group_guidance.is_some() && self.group.is_none() {
            return Err(Error::request("group guidance without a group", "name the group to draw, or leave it out"));
        }
        if let Some(truncation) = self.truncation.filter(|truncation| !(0.0..=1.0).contains(truncation)) {
            let remedy = "give a number from 0 (one image per class) to 1 (the generator as it was trained)";
            return Err(Error::request(format!("truncation is {truncation}"), remedy));
        }
        if self.steps == Some(0) {
            return Err(Error::request("steps is 0", "give at least 1; more cost time and are more exact"));
        }
        Ok(())
    }

    /// The controls that differ from their defaults.
    pub fn controls(&self) -> impl Iterator<Item = Control> + '_ {
        Control::ALL.into_iter().filter(|control| match control {
            Control::Temperature => self.temperature != as_it_is(),
            Control::Guidance => self.guidance.is_some(),
            Control::Group => self.group.is_some(),
            Control::GroupGuidance => self.group_guidance.is_some(),
            Control::Truncation => self.truncation.is_some(),
            Control::Solver => self.solver.is_some(),
            Control::Steps => self.steps.is_some(),
        })
    }

    /// Checks the controls, and that a generator has them.
    ///
    /// # Errors
    /// Names the first that is out of its range, or that the generator does not have.
    pub(crate) fn check_for(&self, family: &str, offered: &[Control]) -> Result<()> {
        self.check()?;
        let Some(control) = self.controls().find(|control| !offered.contains(control)) else { return Ok(()) };
        let names: Vec<&str> = offered.iter().map(|control| control.name()).collect();
        let remedy = match names.as_slice() {
            [] => "leave it out".to_owned(),
            names => format!("it has {}", names.join(", ")),
        };
        Err(Error::ControlNotOffered { family: family.to_owned(), control: control.name(), remedy })
    }

    /// The controls that differ from their defaults, in words for a provenance; empty if none does.
    pub(crate) fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.temperature != as_it_is() {
            words.push(format!("temperature {}", self.temperature));
        }
        words.extend(self.guidance.map(|guidance| format!("guidance {guidance}")));
        words.extend(self.group.as_ref().map(|group| format!("group {group}")));
        words.extend(self.group_guidance.map(|guidance| format!("group guidance {guidance}")));
        words.extend(self.truncation.map(|truncation| format!("truncation {truncation}")));
        words.extend(self.solver.map(|solver| format!("solver {solver:?}").to_lowercase()));
        words.extend(self.steps.map(|steps| format!("{steps} steps")));
        if words.is_empty() { String::new() } else { format!(" at {}", words.join(", ")) }
    }

    /// The class of each image, as indices into `classes`: any first n of them hold each class within one image of
    /// n times its share.
    ///
    /// `as_trained` is the share of each class in training, in the order of `classes`.
    ///
    /// # Errors
    /// If the request is for no image, names a class that is not there or was not trained on, or its shares are
    /// negative, not finite, or all zero.
    pub fn labels(&self, classes: &[String], as_trained: &[f64]) -> Result<Vec<u32>> {
        if self.count == 0 {
            return Err(Error::request("count is 0", "ask for at least 1 image"));
        }
        let weights = match &self.balance {
            Balance::Uniform => as_trained.iter().map(|&share| f64::from(u8::from(share > 0.0))).collect(),
            Balance::AsTrained => as_trained.to_vec(),
            Balance::Shares(shares) => by_name(shares, classes, as_trained)?,
        };
        let total: f64 = weights.iter().sum();
        let shares: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
        Ok(interleave(&shares, self.count))
    }
}

/// The weights in the order of the classes.
fn by_name(shares: &BTreeMap<String, f64>, classes: &[String], as_trained: &[f64]) -> Result<Vec<f64>> {
    let mut weights = vec![0.0; classes.len()];
    for (name, &share) in shares {
        let Some(class) = classes.iter().position(|class| class == name) else {
            return Err(Error::request(
                format!("balance names the class \"{name}\""),
                format!("the generator knows {}", classes.join(", ")),
            ));
        };
        if !share.is_finite() || share < 0.0 {
            return Err(Error::request(
                format!("balance gives the class \"{name}\" the share {share}"),
                "shares must be finite and at least 0",
            ));
        }
        if share > 0.0 && as_trained[class] == 0.0 {
            return Err(Error::request(
                format!("balance asks for the class \"{name}\", of which there was no training image"),
                "leave it out or give it the share 0",
            ));
        }
        weights[class] = share;
    }
    let total: f64 = weights.iter().sum();
    if !(total.is_finite() && total > 0.0) {
        return Err(Error::request(
            format!("the shares in balance add up to {total}"),
            "give at least one class a share above 0",
        ));
    }
    Ok(weights)
}

/// A sequence of classes in which each class's count among the first t differs from t times its share by less than 1,
/// for every t (Tijdeman 1980, "The chairman assignment problem", the algorithm of section 2).
///
/// `shares` add up to 1. Cost: `count` × classes.
fn interleave(shares: &[f64], count: usize) -> Vec<u32> {
    let present = shares.iter().filter(|&&share| share > 0.0).count();
    let slack = if present > 1 { 1.0 / (2 * present - 2) as f64 } else { 0.0 };
    let mut given = vec![0_usize; shares.len()];
    (1..=count)
        .map(|step| {
            // Among the classes that may be served, the one whose deadline comes first.
            let chosen = (0..shares.len())
                .filter(|&class| shares[class] > 0.0)
                .map(|class| (class, shares[class] * step as f64 - given[class] as f64))
                .filter(|&(_, deficit)| deficit >= slack - 1e-9)
                .map(|(class, deficit)| (class, (1.0 - slack - deficit) / shares[class]))
                .min_by(|(_, a), (_, b)| a.total_cmp(b))
                .map(|(class, _)| class)
                // The deficits add up to 1, so the largest is at least 1/present and above the slack.
                .expect("some class is always below its share");
            given[chosen] += 1;
            chosen as u32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use standin_data::Seed;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class {class}")).collect()
    }

    fn counts(labels: &[u32], classes: usize) -> Vec<usize> {
        (0..classes).map(|class| labels.iter().filter(|&&label| label as usize == class).count()).collect()
    }

    #[test]
    fn uniform_balance_is_exact() {
        let request = SampleRequest::new(30).with_balance(Balance::Uniform);
        let labels = request.labels(&names(3), &[0.8, 0.1, 0.1]).unwrap();
        assert_eq!(counts(&labels, 3), [10, 10, 10]);
        let labels = request.labels(&names(3), &[0.8, 0.0, 0.2]).unwrap();
        assert_eq!(counts(&labels, 3), [15, 0, 15], "a class without training images was sampled");
    }

    #[test]
    fn every_prefix_is_within_one_of_its_share() {
        let mut rng = Seed::new(3).rng();
        for classes in 1..=12 {
            for _ in 0..20 {
                let weights: Vec<f64> = (0..classes).map(|_| rng.random::<f64>().powi(3) + 1e-4).collect();
                let total: f64 = weights.iter().sum();
                let labels = SampleRequest::new(500).labels(&names(classes), &weights).unwrap();
                let mut given = vec![0.0; classes];
                for (index, &label) in labels.iter().enumerate() {
                    given[label as usize] += 1.0;
                    for class in 0..classes {
                        let gap = given[class] - weights[class] / total * (index + 1) as f64;
                        assert!(gap.abs() < 1.0, "class {class} of {classes} is off by {gap} after {index}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_smaller_request_gives_the_first_labels_of_a_larger_one() {
        let shares = [0.5, 0.3, 0.2];
        let long = SampleRequest::new(100).labels(&names(3), &shares).unwrap();
        let short = SampleRequest::new(37).labels(&names(3), &shares).unwrap();
        assert_eq!(short, long[..37]);
    }

    #[test]
    fn classes_left_out_get_no_image() {
        let balance = Balance::Shares([("class 1".to_owned(), 2.0), ("class 3".to_owned(), 1.0)].into());
        let labels = SampleRequest::new(9).with_balance(balance).labels(&names(4), &[0.25; 4]).unwrap();
        assert_eq!(counts(&labels, 4), [0, 6, 0, 3]);
    }

    #[test]
    fn impossible_requests_are_refused_with_the_remedy() {
        let refused = |count, shares: &[(&str, f64)]| {
            let shares = shares.iter().map(|&(name, share)| (name.to_owned(), share)).collect();
            let request = SampleRequest::new(count).with_balance(Balance::Shares(shares));
            request.labels(&names(3), &[0.5, 0.5, 0.0]).unwrap_err().to_string()
        };
        assert!(refused(0, &[("class 0", 1.0)]).contains("at least 1 image"));
        assert!(refused(5, &[("cat", 1.0)]).contains("knows class 0, class 1, class 2"));
        assert!(refused(5, &[("class 2", 0.5)]).contains("no training image"));
        assert!(refused(5, &[("class 0", -1.0)]).contains("share -1"));
        assert!(refused(5, &[("class 0", 0.0)]).contains("add up to 0"));
    }
}
