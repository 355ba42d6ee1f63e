//! Everything crossed with everything: a short study of many releases.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use standin_classify::Outputs;

use super::{Classifier, Generator, GeneratorSampling, ReleasedClassifier, ReleasedGenerator, Study};
use crate::pattern::Patterns;
use crate::study::refusal::{Refusal, refusal};
use crate::summary::ReleaseKind;

/// The `[matrix]` of a study file: what is crossed with the generators and the classifiers. Reading the file turns every
/// combination into an entry of its own, so that nothing else knows of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Matrix {
    /// Ways of drawing images by name, each for every generator without a `sampling` of its own. The one that changes nothing
    /// comes first and leaves the generator its name; to the others' it is added.
    pub sampling: BTreeMap<String, GeneratorSampling>,
    /// What is released of each.
    pub releases: Vec<ReleaseKind>,
    /// What released classifiers answer with.
    pub outputs: Vec<Outputs>,
    /// Combinations that are left out.
    pub exclude: Vec<Rule>,
    /// Combinations that are there, whether left out or not in `releases`.
    pub include: Vec<Rule>,
}

impl Default for Matrix {
    fn default() -> Self {
        Self {
            sampling: BTreeMap::new(),
            releases: vec![ReleaseKind::Images],
            outputs: vec![Outputs::Logits],
            exclude: Vec::new(),
            include: Vec::new(),
        }
    }
}

/// Which combinations are meant: those that fit every key that is given. `*` stands for any letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Kinds of release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<Patterns>,
    /// Names of generators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generator: Option<Patterns>,
    /// Names in `matrix.sampling`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Patterns>,
    /// Names of classifiers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classifier: Option<Patterns>,
    /// "logits", "prediction", "2-decimals", ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Patterns>,
}

/// One way through the pipeline to something that may be released.
#[derive(Clone, Copy, Debug)]
struct Combination<'a> {
    release: ReleaseKind,
    generator: Option<&'a Generator>,
    sampling: Option<(&'a str, &'a GeneratorSampling)>,
    classifier: Option<&'a Classifier>,
    outputs: Option<Outputs>,
}

impl Rule {
    fn matches(&self, combination: &Combination<'_>) -> bool {
        let fits = |patterns: &Option<Patterns>, name: Option<&str>| {
            patterns.as_ref().is_none_or(|patterns| name.is_some_and(|name| patterns.fit(name)))
        };
        let outputs = combination.outputs.map(outputs_name);
        fits(&self.release, Some(release_name(combination.release)))
            && fits(&self.generator, combination.generator.map(|generator| generator.name.as_str()))
            && fits(&self.sampling, combination.sampling.map(|(name, _)| name))
            && fits(&self.classifier, combination.classifier.map(|classifier| classifier.name.as_str()))
            && fits(&self.outputs, outputs.as_deref())
    }
}

fn release_name(release: ReleaseKind) -> &'static str {
    match release {
        ReleaseKind::Images => "images",
        ReleaseKind::ClassifierOnSynthetic => "classifier_on_synthetic",
        ReleaseKind::ClassifierOnReal => "classifier_on_real",
        ReleaseKind::Generator => "generator",
    }
}

fn outputs_name(outputs: Outputs) -> String {
    match outputs {
        Outputs::Logits => "logits".into(),
        Outputs::Prediction => "prediction".into(),
        Outputs::Decimals(decimals) => format!("{decimals}-decimals"),
    }
}

impl Combination<'_> {
    /// Name of the generator with this way of drawing.
    fn drawn(&self) -> Option<String> {
        let name = &self.generator?.name;
        Some(match self.sampling {
            Some((strategy, sampling)) if !sampling.is_default() => format!("{name}-{strategy}"),
            _ => name.clone(),
        })
    }

    /// Name of a released classifier.
    fn classified(&self) -> Option<(String, Outputs)> {
        let (classifier, outputs) = (self.classifier?, self.outputs?);
        let on = self.drawn().unwrap_or_else(|| "real".into());
        let name = format!("{}-on-{on}", classifier.name);
        Some((if outputs == Outputs::Logits { name } else { format!("{name}-{}", outputs_name(outputs)) }, outputs))
    }
}

impl Matrix {
    /// Puts every combination into the lists of the study.
    pub(super) fn cross(&self, study: &mut Study) -> Result<(), Refusal> {
        let mut strategies: Vec<(&str, &GeneratorSampling)> =
            self.sampling.iter().map(|(name, sampling)| (name.as_str(), sampling)).collect();
        strategies.sort_by_key(|(_, sampling)| !sampling.is_default());
        let generators = std::mem::take(&mut study.generators);
        let classifiers = study.classifiers.clone();
        let all = self.combinations(&generators, &strategies, &classifiers);
        for (list, rules) in [("exclude", &self.exclude), ("include", &self.include)] {
            for (position, rule) in rules.iter().enumerate() {
                if !all.iter().any(|combination| rule.matches(combination)) {
                    return Err(refusal(
                        format!("entry {} of matrix.{list} fits no combination", position + 1),
                        "look at its names; releases are images, generator, classifier_on_synthetic and classifier_on_real, \
                         and only classifiers have a classifier and outputs",
                    ));
                }
            }
        }
        let chosen: Vec<Combination<'_>> = all
            .into_iter()
            .filter(|combination| {
                let among = |rules: &[Rule]| rules.iter().any(|rule| rule.matches(combination));
                let wanted = self.releases.contains(&combination.release) && !among(&self.exclude);
                wanted || among(&self.include)
            })
            .collect();
        self.enter(&chosen, &generators, &strategies, study);
        Ok(())
    }

    /// Every combination, whether it is wanted or not.
    fn combinations<'a>(
        &self,
        generators: &'a [Generator],
        strategies: &[(&'a str, &'a GeneratorSampling)],
        classifiers: &'a [Classifier],
    ) -> Vec<Combination<'a>> {
        let nothing = Combination {
            release: ReleaseKind::Images,
            generator: None,
            sampling: None,
            classifier: None,
            outputs: None,
        };
        let mut drawn = Vec::new();
        for generator in generators {
            let generator_alone = Combination { generator: Some(generator), ..nothing };
            if generator.sampling.is_default() && !strategies.is_empty() {
                drawn.extend(
                    strategies.iter().map(|&strategy| Combination { sampling: Some(strategy), ..generator_alone }),
                );
            } else {
                drawn.push(generator_alone);
            }
        }
        let answering = |from: Combination<'a>| {
            classifiers.iter().flat_map(move |classifier| {
                self.outputs.iter().map(move |&outputs| Combination {
                    classifier: Some(classifier),
                    outputs: Some(outputs),
                    ..from
                })
            })
        };
        let mut all = drawn.clone();
        all.extend(
            drawn
                .iter()
                .flat_map(|&from| answering(Combination { release: ReleaseKind::ClassifierOnSynthetic, ..from })),
        );
        all.extend(answering(Combination { release: ReleaseKind::ClassifierOnReal, ..nothing }));
        // The weights are the same however images are drawn.
        all.extend(generators.iter().map(|generator| Combination {
            release: ReleaseKind::Generator,
            generator: Some(generator),
            ..nothing
        }));
        all
    }

    fn enter(
        &self,
        chosen: &[Combination<'_>],
        generators: &[Generator],
        strategies: &[(&str, &GeneratorSampling)],
        study: &mut Study,
    ) {
        for generator in generators {
            let own = !generator.sampling.is_default() || strategies.is_empty();
            let ways: Vec<Option<(&str, &GeneratorSampling)>> =
                if own { vec![None] } else { strategies.iter().copied().map(Some).collect() };
            for (position, way) in ways.into_iter().enumerate() {
                let name = Combination {
                    release: ReleaseKind::Images,
                    generator: Some(generator),
                    sampling: way,
                    classifier: None,
                    outputs: None,
                }
                .drawn();
                let behind: Vec<ReleaseKind> = chosen
                    .iter()
                    .filter(|combination| match combination.release {
                        ReleaseKind::Generator => position == 0 && combination.generator == Some(generator),
                        _ => combination.drawn() == name,
                    })
                    .map(|combination| combination.release)
                    .collect();
                if behind.is_empty() {
                    continue;
                }
                study.generators.push(Generator {
                    name: name.unwrap_or_default(),
                    sampling: way.map_or_else(|| generator.sampling.clone(), |(_, sampling)| sampling.clone()),
                    released: generator.released && behind.contains(&ReleaseKind::Images),
                    ..generator.clone()
                });
                if behind.contains(&ReleaseKind::Generator)
                    && let Some(drawn) = study.generators.last()
                {
                    let name = format!("{}-weights", generator.name);
                    let generator = drawn.name.clone();
                    study.released_generators.push(ReleasedGenerator { name, generator });
                }
            }
        }
        for combination in chosen {
            let (Some((name, outputs)), Some(classifier)) = (combination.classified(), combination.classifier) else {
                continue;
            };
            study.released_classifiers.push(ReleasedClassifier {
                name,
                classifier: classifier.name.clone(),
                generator: combination.drawn(),
                outputs,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::study::StudyError;

    fn read(lists: &str, matrix: &str) -> Result<Study, StudyError> {
        let text = format!(
            "name = \"crossed\"\n{lists}\n[data]\nsource = \"digits\"\ntrain = 700\nholdout = 500\n[matrix]\n{matrix}"
        );
        Study::parse(&text, Path::new("crossed.toml"))
    }

    fn releases(study: &Study) -> Vec<&str> {
        let images = study.generators.iter().filter(|generator| generator.released).map(|g| g.name.as_str());
        let classifiers = study.released_classifiers.iter().map(|released| released.name.as_str());
        images.chain(classifiers).chain(study.released_generators.iter().map(|r| r.name.as_str())).collect()
    }

    const LISTS: &str = r#"generator = ["vae", { family = "dp-merf", epsilon = [1, 10] }]
classifier = ["cnn", "logistic"]"#;

    #[test]
    fn names_alone_and_several_epsilons_are_generators() {
        let study = read(LISTS, "").unwrap();
        assert_eq!(releases(&study), ["vae", "dp-merf-1", "dp-merf-10"]);
        assert_eq!(study.generators[2].epsilon, Some(10.0));
        assert_eq!(study.classifiers[1].family(), "logistic");
    }

    #[test]
    fn everything_is_crossed_and_the_plain_way_of_drawing_comes_first() {
        let matrix = r#"releases = ["images", "generator", "classifier_on_synthetic", "classifier_on_real"]
sampling = { bold = { temperature = 1.5 }, plain = {} }"#;
        let study = read(LISTS, matrix).unwrap();
        let found = releases(&study);
        assert_eq!(found[..3], ["vae", "vae-bold", "dp-merf-1"]);
        assert_eq!(found.len(), 3 * 2 + 3 * 2 * 2 + 2 + 3);
        assert!(found.contains(&"logistic-on-dp-merf-10-bold") && found.contains(&"cnn-on-real"));
        // The weights do not depend on how images are drawn.
        assert_eq!(found.iter().filter(|name| name.ends_with("-weights")).count(), 3);
    }

    #[test]
    fn rules_leave_out_and_bring_back() {
        let matrix = r#"releases = ["images", "classifier_on_real"]
sampling = { bold = { temperature = 1.5 }, plain = {} }
outputs = ["logits", "prediction"]
exclude = [{ generator = "dp-*", sampling = "bold" }, { release = "classifier_on_real", classifier = "logistic" }]
include = [{ release = "classifier_on_synthetic", generator = "dp-merf-1", sampling = "bold", classifier = "cnn", outputs = "prediction" }]"#;
        let study = read(LISTS, matrix).unwrap();
        assert_eq!(
            releases(&study),
            [
                "vae",
                "vae-bold",
                "dp-merf-1",
                "dp-merf-10",
                "cnn-on-dp-merf-1-bold-prediction",
                "cnn-on-real",
                "cnn-on-real-prediction"
            ]
        );
        // It is drawn for the classifier and not released itself.
        let behind = study.generator("dp-merf-1-bold").unwrap();
        assert!(!behind.released && behind.sampling.temperature == 1.5);
    }

    #[test]
    fn a_generator_that_nothing_released_needs_is_refused_and_so_are_canaries_in_its_images() {
        let lists = r#"generator = ["vae", { name = "hidden", family = "vae", released = false }]"#;
        let error = read(lists, "").unwrap_err().to_string();
        assert!(error.contains("\"hidden\" has released = false"), "{error}");
        let used = "released_classifier = [{ name = \"c\", classifier = \"cnn\", generator = \"hidden\" }]";
        let with = |release: &str| {
            let canaries = format!("canaries = [{{ kind = \"noise\", count = 20, releases = [\"{release}\"] }}]");
            // The matrix would leave the generator out.
            let text = format!(
                "name = \"x\"\n{lists}\n{used}\n{canaries}\n[data]\nsource = \"digits\"\ntrain = 700\nholdout = 500"
            );
            Study::parse(&text, Path::new("x.toml"))
        };
        assert!(with("c").is_ok(), "{:?}", with("c"));
        assert!(with("hidden").unwrap_err().to_string().contains("no release that is trained here \"hidden\""));
    }

    #[test]
    fn generators_with_their_own_way_of_drawing_are_not_crossed() {
        let lists = r#"generator = ["vae", { name = "timid", family = "vae", sampling = { temperature = 0.5 } }]"#;
        let study = read(lists, "sampling = { bold = { temperature = 1.5 }, plain = {} }").unwrap();
        assert_eq!(releases(&study), ["vae", "vae-bold", "timid"]);
    }

    #[test]
    fn a_rule_that_fits_nothing_is_refused() {
        let error = read(LISTS, "exclude = [{ generator = \"edm\" }]").unwrap_err().to_string();
        assert!(error.contains("entry 1 of matrix.exclude"), "{error}");
    }

    #[test]
    fn mistakes_in_short_lists_are_found_where_they_are() {
        let error = read(r#"generator = ["vae", { familly = "vae" }]"#, "").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("did you mean \"family\""), "{error}");
    }

    #[test]
    fn a_crossed_study_survives_its_printing() {
        let matrix = r#"releases = ["generator", "classifier_on_synthetic"]
sampling = { bold = { temperature = 1.5 }, plain = {} }"#;
        let study = read(LISTS, matrix).unwrap();
        assert_eq!(Study::parse(&study.to_toml(), Path::new("printed")).unwrap(), study);
    }
}
