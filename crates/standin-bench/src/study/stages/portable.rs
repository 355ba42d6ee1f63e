//! Stages as data: how a process that has not planned a study makes its stages again.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    AnswerOnSample, AttackClassifier, AttackGenerator, AttackImages, AuditCanaries, Classify, DrawGallery, Embed,
    FitEncoder, Generate, Measure, MeasureImages, Plant, Refine, Sample, ScoreImages, Split, Summarise,
};
use crate::stage::{Stage, StageId};

type Read = fn(Value) -> serde_json::Result<Box<dyn Stage>>;

/// Every kind of stage that travels, and how it is read.
const PORTABLE: [(&str, Read); 18] = [
    ("answer", read::<AnswerOnSample>),
    ("attack-classifier", read::<AttackClassifier>),
    ("attack-generator", read::<AttackGenerator>),
    ("attack-images", read::<AttackImages>),
    ("audit-canaries", read::<AuditCanaries>),
    ("classify", read::<Classify>),
    ("embed", read::<Embed>),
    ("fit-encoder", read::<FitEncoder>),
    ("gallery", read::<DrawGallery>),
    ("generate", read::<Generate>),
    ("measure", read::<Measure>),
    ("measure-images", read::<MeasureImages>),
    ("plant", read::<Plant>),
    ("refine", read::<Refine>),
    ("sample", read::<Sample>),
    ("score", read::<ScoreImages>),
    ("split", read::<Split>),
    ("summarise", read::<Summarise>),
];

/// The kinds of stages that travel.
pub const KINDS: [&str; PORTABLE.len()] = {
    let mut kinds = [""; PORTABLE.len()];
    let mut position = 0;
    while position < kinds.len() {
        kinds[position] = PORTABLE[position].0;
        position += 1;
    }
    kinds
};

fn read<S: Stage + DeserializeOwned + 'static>(value: Value) -> serde_json::Result<Box<dyn Stage>> {
    Ok(Box::new(serde_json::from_value::<S>(value)?))
}

/// Why a stage cannot be made again from its data.
#[derive(Debug, thiserror::Error)]
pub enum Rebuild {
    /// This program has no such kind of stage.
    #[error(
        "no stage of the kind \"{kind}\" can be computed away from where it was planned; use the program that planned it"
    )]
    Kind {
        /// The kind.
        kind: String,
    },
    /// The data are not those of such a stage.
    #[error("the data of a stage of the kind \"{kind}\" cannot be read: {source}; use the program that planned it")]
    Data {
        /// The kind.
        kind: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// They are those of another stage than was planned.
    #[error(
        "{kind} {} became {} when it was made again: the program, its version or the device (`--device`) is another \
         than where the study was planned; use the same, or plan the study again",
        planned.short(), rebuilt.short()
    )]
    Identity {
        /// The kind.
        kind: String,
        /// The identity it was planned with.
        planned: StageId,
        /// The identity of what was made.
        rebuilt: StageId,
    },
}

/// Makes a stage again from what [`Stage::portable`] gave, and checks that it is the one that was planned.
///
/// # Errors
/// If the kind is unknown, the data are damaged, or the stage has become another.
pub fn rebuild(kind: &str, planned: StageId, data: Value) -> Result<Box<dyn Stage>, Rebuild> {
    let kind = kind.to_owned();
    let Some((_, read)) = PORTABLE.iter().find(|(known, _)| *known == kind) else {
        return Err(Rebuild::Kind { kind });
    };
    let stage = read(data).map_err(|source| Rebuild::Data { kind: kind.clone(), source })?;
    let rebuilt = StageId::of(&*stage);
    if rebuilt == planned { Ok(stage) } else { Err(Rebuild::Identity { kind, planned, rebuilt }) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use standin_data::Silent;

    use super::*;
    use crate::graph::Graph;
    use crate::study::{Study, plan};

    fn planned(study: &Study) -> Graph {
        let cache = tempfile::tempdir().unwrap();
        plan(study, study.import(cache.path(), &Silent).unwrap()).unwrap().graph
    }

    /// Sends every stage through a file and returns the kinds that travelled.
    fn travel(graph: &Graph) -> BTreeSet<&'static str> {
        let mut kinds = BTreeSet::new();
        for node in graph.nodes() {
            let stage = node.stage();
            let Some(data) = stage.portable() else {
                assert!(["prepare", "take"].contains(&stage.kind()), "{} stays", stage.kind());
                continue;
            };
            let text = serde_json::to_string(&data).unwrap();
            let rebuilt = rebuild(stage.kind(), node.id(), serde_json::from_str(&text).unwrap()).unwrap();
            assert_eq!((rebuilt.name(), rebuilt.weight()), (stage.name(), stage.weight()));
            assert_eq!(rebuilt.portable().unwrap(), data);
            kinds.insert(stage.kind());
        }
        kinds
    }

    #[test]
    fn every_stage_of_the_built_in_study_travels() {
        assert!(travel(&planned(&Study::built_in())).contains("attack-generator"));
    }

    #[test]
    fn every_stage_of_the_examples_travels() {
        let mut kinds = BTreeSet::new();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")).unwrap() {
            let path = entry.unwrap().path();
            // Studies of augmentation are of another kind.
            let other = path.file_stem().is_some_and(|stem| stem == "augmentation");
            if other || path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let mut study = Study::read(&path).unwrap();
            // Stages are the same whatever the images: the digits stand in for sets that are not here.
            study.data.source = "digits".into();
            study.data.from = None;
            study.data.import = Default::default();
            (study.data.train, study.data.holdout) =
                (Some(standin_data::Amount::Count(600)), crate::study::Side::Count(600));
            study.data.test = Default::default();
            study.data.group = None;
            for source in study.generators.iter_mut().filter_map(|generator| generator.public.as_mut()) {
                "digits".clone_into(source);
            }
            for canaries in &mut study.canaries {
                canaries.source = canaries.source.as_ref().map(|_| "digits".into());
                canaries.count = canaries.count.min(100);
            }
            kinds.extend(travel(&planned(&study)));
        }
        assert!(["plant", "audit-canaries"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    }

    #[test]
    fn every_kind_travels() {
        let study = r#"
            name = "all"
            seeds = [1]
            [data]
            source = "digits"
            train = 200
            holdout = 200
            [[generator]]
            name = "vae"
            family = "vae"
            [generator.sampling]
            perturbation = 2.5
            confidence = { at_least = 0.75 }
            likeness = { at_least = 0.9 }
            no_copies = { false_match_rate = 0.03 }
            [[generator]]
            name = "private"
            family = "dp-merf"
            epsilon = 2
            settings = { steps = 100 }
            [[classifier]]
            name = "logistic"
            [[released_classifier]]
            name = "released"
            classifier = "logistic"
            generator = "vae"
            outputs = { decimals = 2 }
            [[released_generator]]
            name = "weights"
            generator = "vae"
            [utility]
            augmented = true
            [measures]
            encoders = ["pixels", "vqvae"]
            [attacks]
            shadows = 4
            limit = 100
            [[canaries]]
            kind = "noise"
            count = 20
            [[canaries]]
            kind = "foreign"
            source = "digits"
            count = 20
        "#;
        let kinds = travel(&planned(&Study::parse(study, Path::new("test")).unwrap()));
        assert_eq!(kinds, KINDS.into_iter().collect());
    }

    #[test]
    fn what_is_not_the_planned_stage_is_refused_by_name() {
        let graph = planned(&Study::built_in());
        let split = graph.nodes().iter().find(|node| node.stage().kind() == "split").unwrap();
        let data = || split.stage().portable().unwrap();
        let refused = |kind: &str, data| match rebuild(kind, split.id(), data) {
            Ok(_) => panic!("{kind} was accepted"),
            Err(error) => error.to_string(),
        };
        let mut other = data();
        other["group"] = "patient".into();
        assert!(refused("split", other).contains(&split.id().short()));
        let mut unknown = data();
        unknown["grup"] = "patient".into();
        assert!(refused("split", unknown).contains("grup"));
        assert!(refused("prepare", data()).contains("\"prepare\""));
    }
}
