//! What an augmentation study is refused for before anything is read.

use standin_generate::PublicImages;

use super::configuration::{AugmentationStudy, Sides};
use super::stages::generator_settings;
use crate::study::{Refusal, distinct, known, refusal, require};

const SEE: &str = "see docs/augmentation.md";

pub(super) fn check(study: &AugmentationStudy) -> Result<(), Refusal> {
    let AugmentationStudy { name, seeds, data, scenarios, generator, translation, arms, backbones, measures, .. } =
        study;
    require(!name.is_empty() && !name.contains(['/', '\\']), || format!("name = \"{name}\""), "give a file name")?;
    require(!seeds.is_empty(), || "seeds = []".into(), "give at least one, and five or more for a test")?;
    distinct("seeds", seeds.iter().map(u64::to_string).collect::<Vec<_>>().iter().map(String::as_str))?;
    for (side, values) in [("majority", &data.majority), ("minority", &data.minority)] {
        require(
            !values.is_empty(),
            || format!("data.{side} = []"),
            "name the values of data.group that belong to this side",
        )?;
    }
    if let Some(both) = data.majority.iter().find(|value| data.minority.contains(value)) {
        return Err(refusal(format!("\"{both}\" is of the majority and of the minority"), "name it once"));
    }
    if let Sides::Share(share) = data.test {
        require(share > 0.0 && share < 1.0, || format!("data.test = {share}"), "give a share above 0 and below 1")?;
    }
    require(data.majority_limit != Some(0), || "data.majority_limit = 0".into(), "give at least 1, or remove it")?;
    require(!scenarios.is_empty(), || "no scenario".into(), SEE)?;
    distinct("scenarios", scenarios.iter().map(|scenario| scenario.name.as_str()))?;
    for scenario in scenarios {
        let name = &scenario.name;
        require(
            !name.is_empty() && !name.contains(['/', '\\']) && name != "..",
            || format!("scenario.name = \"{name}\""),
            "give a file name",
        )?;
    }
    require(!arms.is_empty(), || "arms = []".into(), "name some, or remove the key to compare all")?;
    require(!backbones.is_empty(), || "no backbone".into(), "name one, such as [[backbone]] name = \"cnn\"")?;
    distinct("backbones", backbones.iter().map(|backbone| backbone.name.as_str()))?;
    for backbone in backbones {
        let about = |error: &dyn std::fmt::Display| format!("backbone \"{}\": {error}", backbone.name);
        known("classifier", backbone.family(), standin_classify::CLASSIFIERS.iter().map(|family| family.name))?;
        standin_classify::family(backbone.family())
            .and_then(|family| (family.build)(&backbone.settings))
            .map_err(|error| refusal(about(&error), "see docs/classifiers.md"))?;
    }
    require(
        study.classical.mixup.is_finite() && study.classical.mixup > 0.0,
        || format!("classical.mixup = {}", study.classical.mixup),
        "give a number above 0",
    )?;

    known("generator family", &generator.family, standin_generate::GENERATORS.iter().map(|family| family.name))?;
    let about = |error: &dyn std::fmt::Display| format!("generator: {error}");
    let family = standin_generate::family(&generator.family).map_err(|error| refusal(about(&error), SEE))?;
    let settings =
        generator_settings(generator).map_err(|found| refusal(found, "remove it: the study names the groups"))?;
    (family.build)(&settings).map_err(|error| {
        let remedy = "the family must be told groups (dual-edm, dp-lora); see docs/generators.md for its settings";
        refusal(about(&error), remedy)
    })?;
    match (family.private, generator.epsilon) {
        (true, None) => return Err(refusal("a private generator without epsilon", "add, for example, epsilon = 8.0")),
        (false, Some(epsilon)) => {
            let found = format!("generator.epsilon = {epsilon}, and {} gives no guarantee", family.name);
            return Err(refusal(found, "remove it, or choose dp-lora"));
        }
        _ => {}
    }
    if family.public == PublicImages::Needed && generator.public.is_none() {
        let found = format!("the generator family {} has no public images", family.name);
        return Err(refusal(found, "name a set that needs no protection: generator.public = \"SOURCE\""));
    }
    if generator.epsilon.is_some() && !translation.from_noise {
        let found = "a private generator whose images are made from private ones";
        return Err(refusal(found, "set translation.from_noise = true: a translated image shows its source"));
    }
    if generator.epsilon.is_some() && translation.per_class.is_none() {
        let found = "as many images of a private generator as the private ones have in their largest class";
        return Err(refusal(found, "set translation.per_class: their number is not covered by the guarantee"));
    }
    if generator.epsilon.is_some() && translation.accept {
        let found = "images of a private generator that classifiers of the private images choose among";
        return Err(refusal(
            found,
            "set translation.accept = false: a filter that looks at private images ends the guarantee",
        ));
    }
    for &strength in translation.strengths.iter().chain([&translation.strength]) {
        translation.request("minority", strength).check().map_err(|error| refusal(error.to_string(), SEE))?;
    }
    require(translation.per_class != Some(0), || "translation.per_class = 0".into(), "give at least 1")?;
    let trial = translation.trial;
    require(
        trial.per_class > 0 && trial.shown > 0,
        || format!("translation.trial = {{ per_class = {}, shown = {} }}", trial.per_class, trial.shown),
        "give at least 1; strengths = [] leaves the trial out",
    )?;
    require(measures.limit >= 10, || format!("measures.limit = {}", measures.limit), "give at least 10")?;
    for encoder in &measures.encoders {
        standin_encode::encoder(encoder).map_err(|error| refusal(error.to_string(), "see `standin list encoders`"))?;
    }
    for name in &measures.names {
        known(
            "measure",
            &standin_measure::full_name(name),
            standin_measure::MEASURES.iter().map(|family| family.name),
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const DATA: &str =
        "name = \"s\"\n[data]\nsource = \"digits\"\ngroup = \"tone\"\nmajority = [\"1\"]\nminority = [\"6\"]\n";

    fn parse(more: &str) -> Result<AugmentationStudy, String> {
        AugmentationStudy::parse(&format!("{DATA}{more}"), Path::new("study.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_study_survives_its_own_printing() {
        let study = parse("").unwrap();
        assert_eq!(AugmentationStudy::parse(&study.to_toml(), Path::new("printed")).unwrap(), study);
        assert_eq!((study.seeds.len(), study.scenarios.len(), study.arms.len()), (5, 3, 8));
    }

    #[test]
    fn the_example_is_valid() {
        AugmentationStudy::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/augmentation.toml"))
            .unwrap();
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_to_do() {
        for (more, words) in [
            ("test = 1.0\n", "data.test = 1"),
            ("[translation]\nstrength = 1.5\n", "strength is 1.5"),
            ("[translation]\nstrenght = 0.5\n", "did you mean \"strength\""),
            ("[generator]\nfamily = \"vae\"\n", "must be told groups"),
            ("[generator]\nfamily = \"dual-edm\"\nepsilon = 1.0\n", "gives no guarantee"),
            ("[generator]\nfamily = \"dual-edm\"\nsettings = { group = { column = \"x\" } }\n", "group.column"),
            ("[generator]\nfamily = \"dp-lora\"\nepsilon = 1.0\n", "no public images"),
            ("[generator]\nfamily = \"dp-lora\"\nepsilon = 1.0\npublic = \"digits\"\n", "from_noise"),
            (
                "[translation]\nfrom_noise = true\nper_class = 10\n[generator]\nfamily = \"dp-lora\"\nepsilon = 1.0\npublic = \"digits\"\n",
                "translation.accept = false",
            ),
            (
                "[translation]\nfrom_noise = true\naccept = false\n[generator]\nfamily = \"dp-lora\"\nepsilon = 1.0\npublic = \"digits\"\n",
                "translation.per_class",
            ),
            ("[[scenario]]\nname = \"../few\"\n", "../few"),
            ("[[backbone]]\nname = \"cn\"\n", "did you mean \"cnn\""),
            ("[measures]\nnames = [\"fid2\"]\n", "fid2"),
        ] {
            let message = parse(more).unwrap_err();
            assert!(message.contains(words), "{more}: {message}");
        }
        let both = DATA.replace("[\"6\"]", "[\"1\"]");
        let message = AugmentationStudy::parse(&both, Path::new("x")).unwrap_err().to_string();
        assert!(message.contains("of the majority and of the minority"), "{message}");
    }
}
