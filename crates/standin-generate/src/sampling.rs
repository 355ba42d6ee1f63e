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
    /// by the truncation of adversarial generators (Brock, Donahue & Simonyan 2019, section 3.1). A guarantee stays as it
    /// is: this only processes what was released.
    #[serde(default = "as_it_is")]
    pub temperature: f64,
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
    /// `count` images with class shares as trained, at temperature 1.
    pub fn new(count: usize) -> Self {
        Self { count, balance: Balance::AsTrained, temperature: as_it_is() }
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

    /// Checks the temperature.
    ///
    /// # Errors
    /// If it is negative or not finite.
    pub fn check_temperature(&self) -> Result<()> {
        if self.temperature.is_finite() && self.temperature >= 0.0 {
            return Ok(());
        }
        Err(Error::request(
            format!("temperature is {}", self.temperature),
            "give a number of at least 0; 1 draws from the generator as it was trained",
        ))
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
