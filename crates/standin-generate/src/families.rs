use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::decoder::Decoder;
use crate::moments::Analysers;
use crate::network::{TrainedNetwork, family_of};
use crate::{DpMerf, DpMfa, Error, Family, Result, Trained, Vae};

/// Every kind of generator, by name.
pub const GENERATORS: &[Family] = &[
    Family {
        name: Vae::NAME,
        summary: "conditional variational autoencoder; no guarantee, the baseline without privacy",
        private: false,
        public: false,
        cost: "time: epochs × images × parameters; 700 images of 8×8 in a second, 55 000 of 28×28 in minutes",
        source: "Kingma & Welling 2014; Sohn, Yan & Lee 2015",
        build: |options| Ok(Box::new(Vae::new(read_options(Vae::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: DpMerf::NAME,
        summary: "conditional generator fitted to one noisy release of class-wise random-feature means; private",
        private: true,
        public: false,
        cost: "time: images × frequencies × pixels once, then steps × batch × frequencies × pixels, whatever the number \
               of images; 700 images of 8×8 in seconds, 55 000 of 28×28 in minutes",
        source: "Harder, Adamczewski & Park 2021, DP-MERF",
        build: |options| Ok(Box::new(DpMerf::new(read_options(DpMerf::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: DpMfa::NAME,
        summary: "mixture of factor analysers from three noisy releases of moments, nothing trained; private",
        private: true,
        public: false,
        cost: "time: images × frequencies⁴ and frequencies⁶; 55 000 images of 28×28 in seconds",
        source: "this project; Ghahramani & Hinton 1996 for the model",
        build: |options| Ok(Box::new(DpMfa::new(read_options(DpMfa::NAME, options)?)?)),
        load: TrainedNetwork::<Analysers>::load,
    },
];

/// The kind of generator of that name.
///
/// # Errors
/// If there is none; the message lists those there are.
pub fn family(name: &str) -> Result<&'static Family> {
    GENERATORS.iter().find(|family| family.name == name).ok_or_else(|| Error::Unknown {
        name: name.to_owned(),
        known: GENERATORS.iter().map(|family| family.name).collect::<Vec<_>>().join(", "),
    })
}

/// Reads a generator that [`Trained::save`] wrote, of whichever family.
///
/// # Errors
/// If a file is missing, damaged, or not of a registered family.
pub fn load(folder: &Path) -> Result<Box<dyn Trained>> {
    (family(&family_of(folder)?)?.load)(folder)
}

/// The names of the generators with a guarantee, for messages.
pub(crate) fn private_names() -> String {
    GENERATORS.iter().filter(|family| family.private).map(|family| family.name).collect::<Vec<_>>().join(", ")
}

/// Options from a table.
pub(crate) fn read_options<T: DeserializeOwned>(family: &'static str, options: &toml::Table) -> Result<T> {
    options
        .clone()
        .try_into()
        .map_err(|error: toml::de::Error| Error::Options { family, reason: error.message().to_owned() })
}

/// Options as a table.
pub(crate) fn write_options(options: &impl Serialize) -> toml::Table {
    // Options are structs of numbers, texts and lists of them, which TOML can hold.
    toml::Table::try_from(options).expect("options are a table")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_found_by_its_name_and_builds_from_its_own_options() {
        for entry in GENERATORS {
            let family = family(entry.name).unwrap();
            let generator = (family.build)(&toml::Table::new()).unwrap();
            let options = generator.options();
            assert!(!options.is_empty());
            assert_eq!((family.build)(&options).unwrap().options(), options);
        }
    }

    #[test]
    fn unknown_names_and_options_are_refused_with_what_is_known() {
        let message = family("gan").unwrap_err().to_string();
        assert!(message.contains("`gan`") && message.contains("vae") && message.contains("dp-merf"), "{message}");
        for entry in GENERATORS {
            let options = toml::from_str("epoch = 3").unwrap();
            let message = (entry.build)(&options).unwrap_err().to_string();
            assert!(message.contains(entry.name) && message.contains("`epoch`"), "{message}");
        }
        for (name, option) in [(Vae::NAME, "latent"), (DpMerf::NAME, "latent"), (DpMfa::NAME, "factors")] {
            let options = toml::from_str(&format!("{option} = 0")).unwrap();
            let message = (family(name).unwrap().build)(&options).unwrap_err().to_string();
            assert!(message.contains(&format!("{option} is 0")), "{message}");
        }
    }
}
