use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::adversarial::{ConvolutionalGenerator, SmoothGenerator, StyleGenerator};
use crate::decoder::Decoder;
use crate::diffusion::denoiser::ImageDiffusion;
use crate::diffusion::latent::CodeDiffusion;
use crate::diffusion::{DpFeta, DpLdm, DpLora, Dpdm, DualEdm, Edm, LatentDiffusion, PdpDiffusion, PrivImage};
use crate::moments::Analysers;
use crate::network::{TrainedNetwork, family_of};
use crate::trained_images::TrainedImages;
use crate::vqvae::CodeImages;
use crate::{
    DistributionMatching, DpDistillation, DpGan, DpKernel, DpMepf, DpMerf, DpMfa, DpNtk, Error, Family, Gan, GsWgan,
    PrivateEvolution, PublicImages, Result, StyleGan, Trained, Vae, VqVaeGenerator,
};

/// Every kind of generator, by name.
pub const GENERATORS: &[Family] = &[
    Family {
        name: PrivateEvolution::NAME,
        summary: "images of a generator of public images, or of another program, chosen and varied by noisy votes; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: rounds × population × (1 + lookahead) images drawn and encoded, then nearest neighbours of the private \
               images; nothing is trained",
        source: "Lin, Gopi, Kulkarni, Nori & Yekhanin 2024, Private Evolution",
        build: |options| Ok(Box::new(PrivateEvolution::new(read_options(PrivateEvolution::NAME, options)?)?)),
        load: TrainedImages::load,
    },
    Family {
        name: Vae::NAME,
        summary: "conditional variational autoencoder; no guarantee, the baseline without privacy",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × parameters; 700 images of 8×8 in a second, 55 000 of 28×28 in minutes",
        source: "Kingma & Welling 2014; Sohn, Yan & Lee 2015",
        build: |options| Ok(Box::new(Vae::new(read_options(Vae::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: VqVaeGenerator::NAME,
        summary: "vector-quantised autoencoder with an autoregressive prior of its codes; no guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × pixels × width², and for the prior codes × its width² × blocks; 55 000 of 28×28 in \
               minutes",
        source: "van den Oord, Vinyals & Kavukcuoglu 2017; van den Oord et al. 2016",
        build: |options| Ok(Box::new(VqVaeGenerator::new(read_options(VqVaeGenerator::NAME, options)?)?)),
        load: TrainedNetwork::<CodeImages>::load,
    },
    Family {
        name: DpMerf::NAME,
        summary: "conditional generator fitted to one noisy release of class-wise random-feature means; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: images × frequencies × pixels once, then steps × batch × frequencies × pixels, whatever the number \
               of images; 700 images of 8×8 in seconds, 55 000 of 28×28 in minutes",
        source: "Harder, Adamczewski & Park 2021, DP-MERF",
        build: |options| Ok(Box::new(DpMerf::new(read_options(DpMerf::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: DpKernel::NAME,
        summary: "conditional generator that follows the slopes of a noisy mean embedding, released in every step; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: steps × (private_batch + batch) × batch / classes × pixels × length scales; 55 000 images of 28×28 in \
               minutes",
        source: "Jiang, Sun & Yu 2023, Functional Rényi differential privacy for generative modeling",
        build: |options| Ok(Box::new(DpKernel::new(read_options(DpKernel::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: DpNtk::NAME,
        summary: "conditional generator fitted to one noisy release of class-wise means of neural tangent features; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: images × units × pixels once, then steps × batch × units × pixels; memory: 24 bytes × classes × units × \
               pixels; 55 000 images of 28×28 in a minute or two",
        source: "Yang, Adamczewski, Li, Sutherland & Park 2023, DP-NTK",
        build: |options| Ok(Box::new(DpNtk::new(read_options(DpNtk::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: DpMepf::NAME,
        summary: "conditional generator fitted to one noisy release of class-wise moments of scattering features; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: a scattering transform for each image, then two for each of steps × batch; 55 000 images of 28×28 in a \
               few minutes",
        source: "Harder, Jalali Asadabadi, Sutherland & Park 2023, DP-MEPF",
        build: |options| Ok(Box::new(DpMepf::new(read_options(DpMepf::NAME, options)?)?)),
        load: TrainedNetwork::<Decoder>::load,
    },
    Family {
        name: Gan::NAME,
        summary: "conditional convolutional adversarial network, with spectral normalisation or a gradient penalty; no \
                  guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × pixels × width²; 700 images of 8×8 in seconds, 55 000 of 28×28 in a quarter of an \
               hour; a gradient penalty doubles it",
        source: "Goodfellow et al. 2014; Miyato & Koyama 2018; Miyato et al. 2018; Gulrajani et al. 2017; Mukherjee et al. 2021",
        build: |options| Ok(Box::new(Gan::new(read_options(Gan::NAME, options)?)?)),
        load: Gan::load,
    },
    Family {
        name: DpGan::NAME,
        summary: "conditional convolutional adversarial network whose discriminator is trained with DP-SGD; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: steps × batch × pixels × (discriminator_width² + width²); 700 images of 8×8 in half a minute, 55 000 of \
               28×28 in a quarter of an hour",
        source: "Xie et al. 2018; Bie, Kamath & Zhang 2023",
        build: |options| Ok(Box::new(DpGan::new(read_options(DpGan::NAME, options)?)?)),
        load: TrainedNetwork::<ConvolutionalGenerator>::load,
    },
    Family {
        name: GsWgan::NAME,
        summary: "adversarial network of critics on disjoint subsets, whose gradients reach the generator clipped and noised; \
                  private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: steps × (critics_per_step × critic_steps × critic_batch + sampling_rate × subsets × batch) × pixels; \
               memory: 16 bytes per parameter and subset; 55 000 images of 28×28 in ten minutes on two cores",
        source: "Chen, Orekondy & Fritz 2020, GS-WGAN",
        build: |options| Ok(Box::new(GsWgan::new(read_options(GsWgan::NAME, options)?)?)),
        load: TrainedNetwork::<SmoothGenerator>::load,
    },
    Family {
        name: StyleGan::NAME,
        summary: "conditional generator of modulated convolutions with truncation, in the manner of StyleGAN2; no guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × pixels × width²; 55 000 images of 28×28 in ten minutes on two cores",
        source: "Karras et al. 2019, 2020",
        build: |options| Ok(Box::new(StyleGan::new(read_options(StyleGan::NAME, options)?)?)),
        load: TrainedNetwork::<StyleGenerator>::load,
    },
    Family {
        name: DistributionMatching::NAME,
        summary: "a few images of each class with the mean embeddings of the training images under random networks; no \
                  guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: steps × classes × (batch + images_per_class) × pixels × width; 55 000 of 28×28 in minutes",
        source: "Zhao & Bilen 2023",
        build: |options| Ok(Box::new(DistributionMatching::new(read_options(DistributionMatching::NAME, options)?)?)),
        load: TrainedImages::load,
    },
    Family {
        name: DpDistillation::NAME,
        summary: "a few images of each class that match noisy mean embeddings under random networks; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: networks × images × pixels × width once, then steps × classes × images_per_class × pixels × width; \
               55 000 of 28×28 in minutes",
        source: "Zheng & Li, Differentially private dataset condensation; Zhao & Bilen 2023",
        build: |options| Ok(Box::new(DpDistillation::new(read_options(DpDistillation::NAME, options)?)?)),
        load: TrainedImages::load,
    },
    Family {
        name: Edm::NAME,
        summary: "class-conditional diffusion model with a small U-Net; no guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × pixels × width²; 2 ms per image of 28×28 and epoch on two cores",
        source: "Karras, Aittala, Aila & Laine 2022, EDM",
        build: |options| Ok(Box::new(Edm::new(read_options(Edm::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: DualEdm::NAME,
        summary: "diffusion model that is told class and group, learns a minority after or with the majority, and brings images from one \
                  group into another; no guarantee",
        private: false,
        public: PublicImages::Optional,
        cost: "time: as edm for the balanced images; 2 ms per image of 28×28 and epoch on two cores",
        source: "Wang, Chung, Ding & Hamm 2024, From Majority to Minority; Karras et al. 2022, EDM",
        build: |options| Ok(Box::new(DualEdm::new(read_options(DualEdm::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: Dpdm::NAME,
        summary: "diffusion model under DP-SGD from scratch; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: steps × batch × multiplicity × pixels × width²; 3 ms per row of 28×28 on two cores",
        source: "Dockhorn, Cao, Vahdat & Kreis 2023, DPDM",
        build: |options| Ok(Box::new(Dpdm::new(read_options(Dpdm::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: PdpDiffusion::NAME,
        summary: "diffusion model from public images, then under DP-SGD; private",
        private: true,
        public: PublicImages::Needed,
        cost: "time: that of edm on the public images and of dpdm on the private ones",
        source: "Ghalebikesabi et al. 2023",
        build: |options| Ok(Box::new(PdpDiffusion::new(read_options(PdpDiffusion::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: PrivImage::NAME,
        summary: "diffusion model from the public images that a noised histogram chooses, then under DP-SGD; private",
        private: true,
        public: PublicImages::Needed,
        cost: "time: that of edm on the chosen public images and of dpdm on the private ones, and images × cells × pixels",
        source: "Li, Wang, Chen & Liu 2024, PrivImage",
        build: |options| Ok(Box::new(PrivImage::new(read_options(PrivImage::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: DpFeta::NAME,
        summary: "diffusion model from noised class means, then under DP-SGD; private",
        private: true,
        public: PublicImages::Unused,
        cost: "time: that of dpdm and some hundred steps of edm",
        source: "Gong et al. 2025, DP-FETA",
        build: |options| Ok(Box::new(DpFeta::new(read_options(DpFeta::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: DpLora::NAME,
        summary: "diffusion model from public images with low-rank adapters under DP-SGD; private",
        private: true,
        public: PublicImages::Needed,
        cost: "time: that of edm on the public images and of dpdm on the private ones",
        source: "Tsai et al. 2024; Hu et al. 2022, LoRA",
        build: |options| Ok(Box::new(DpLora::new(read_options(DpLora::NAME, options)?)?)),
        load: TrainedNetwork::<ImageDiffusion>::load,
    },
    Family {
        name: LatentDiffusion::NAME,
        summary: "diffusion model of an autoencoder's codes; no guarantee",
        private: false,
        public: PublicImages::Unused,
        cost: "time: epochs × images × code values × width², and the autoencoder's",
        source: "Rombach, Blattmann, Lorenz, Esser & Ommer 2022",
        build: |options| Ok(Box::new(LatentDiffusion::new(read_options(LatentDiffusion::NAME, options)?)?)),
        load: TrainedNetwork::<CodeDiffusion>::load,
    },
    Family {
        name: DpLdm::NAME,
        summary: "diffusion model of a public autoencoder's codes, from public images, then under DP-SGD; private",
        private: true,
        public: PublicImages::Needed,
        cost: "time: that of latent-diffusion on the public images, then steps × batch × multiplicity × code values × width²",
        source: "Liu, Lyu, Vinaroz & Park 2024, DP-LDM",
        build: |options| Ok(Box::new(DpLdm::new(read_options(DpLdm::NAME, options)?)?)),
        load: TrainedNetwork::<CodeDiffusion>::load,
    },
    Family {
        name: DpMfa::NAME,
        summary: "mixture of factor analysers from three noisy releases of moments, nothing trained; private",
        private: true,
        public: PublicImages::Unused,
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

    /// The options that a family cannot do without.
    fn needed(name: &str) -> toml::Table {
        match name {
            "private-evolution" => toml::from_str("api.generator = 'somewhere'").unwrap(),
            _ => toml::Table::new(),
        }
    }

    #[test]
    fn every_family_is_found_by_its_name_and_builds_from_its_own_options() {
        for entry in GENERATORS {
            let family = family(entry.name).unwrap();
            let generator = (family.build)(&needed(entry.name)).unwrap();
            let options = generator.options();
            assert!(!options.is_empty());
            assert_eq!((family.build)(&options).unwrap().options(), options);
        }
    }

    #[test]
    fn unknown_names_and_options_are_refused_with_what_is_known() {
        let message = family("gran").unwrap_err().to_string();
        assert!(message.contains("`gran`") && message.contains("vae") && message.contains("dp-merf"), "{message}");
        for entry in GENERATORS {
            let options = toml::from_str("epoch = 3").unwrap();
            let message = (entry.build)(&options).unwrap_err().to_string();
            assert!(message.contains(entry.name) && message.contains("`epoch`"), "{message}");
            let known = (entry.build)(&needed(entry.name)).unwrap().options();
            for option in ["latent", "population", "images_per_class", "factors"]
                .into_iter()
                .filter(|option| known.contains_key(*option))
            {
                let options = toml::Table::from_iter([(option.to_owned(), toml::Value::Integer(0))]);
                let message = (entry.build)(&options).unwrap_err().to_string();
                assert!(message.contains(&format!("{option} is 0")), "{message}");
            }
        }
    }
}
