use crate::classifier::lira::{Lira, Shadows, Variance};
use crate::classifier::metric::Metric;
use crate::classifier::rmia::Rmia;
use crate::generator::denoising::Denoising;
use crate::generator::discriminator::Discriminator;
use crate::generator::latent::Latent;
use crate::generator::loss_ratio::LossRatio;
use crate::images::domias::Domias;
use crate::images::extraction::Extraction;
use crate::images::gan_leaks::GanLeaks;
use crate::images::monte_carlo::{MonteCarlo, Radius};
use crate::images::surrogate::Surrogate;
use crate::{Access, Error, Family, Need, Result};

const SEARCH: &str = "one nearest-neighbour search: O(candidates · synthetic · features) time, bounded memory";
const CLOSED_FORM: &str = "O(candidates · classes)";
const SHADOWED: &str = "the training of the shadows; then O(candidates · shadows · classes)";
const LIRA: &str = "Carlini et al. 2022, \"Membership inference attacks from first principles\", arXiv 2112.03570";
const RMIA: &str =
    "Zarifzadeh, Liu & Shokri 2024, \"Low-cost high-power membership inference attacks\", arXiv 2312.03262";
const DOMIAS: &str = "van Breugel, Sun, Qian & van der Schaar 2023, \"Membership inference attacks against synthetic data through overfitting detection\", arXiv 2302.12580";
const LOGAN: &str = "Hayes, Melis, Danezis & De Cristofaro 2019, \"LOGAN\", arXiv 1705.07663, black box";
const PIA: &str = "Kong et al. 2024, \"An efficient membership inference attack for the diffusion model by proximal initialization\", arXiv 2305.18355";
const CARLINI: &str = "Carlini et al. 2023, \"Extracting training data from diffusion models\", arXiv 2301.13188";
const MONTE_CARLO: &str =
    "Hilprecht et al. 2019, \"Monte Carlo and reconstruction membership inference attacks\", arXiv 1906.03006";

/// All attacks, in the order in which they are listed.
pub const ATTACKS: &[Family] = &[
    Family {
        name: "gan-leaks",
        access: Access::Images,
        needs: &[],
        summary: "nearness to the nearest synthetic image",
        cost: SEARCH,
        source: "Chen et al. 2020, \"GAN-Leaks\", arXiv 1909.03935, full black box",
        make: || Box::new(GanLeaks { calibrated: false }),
    },
    Family {
        name: "gan-leaks-calibrated",
        access: Access::Images,
        needs: &[Need::Reference],
        summary: "nearness to the nearest synthetic image, less that to the nearest reference image",
        cost: "two nearest-neighbour searches: against the synthetic and against the reference images",
        source: "Chen et al. 2020, \"GAN-Leaks\", arXiv 1909.03935; reference images in the place of a reference model",
        make: || Box::new(GanLeaks { calibrated: true }),
    },
    Family {
        name: "monte-carlo",
        access: Access::Images,
        needs: &[],
        summary: "share of synthetic images within the median nearest distance",
        cost: "two searches like gan-leaks",
        source: MONTE_CARLO,
        make: || Box::new(MonteCarlo { radius: Radius::MedianNearest, components: None }),
    },
    Family {
        name: "monte-carlo-quantile",
        access: Access::Images,
        needs: &[],
        summary: "share of synthetic images within the 0.1 % quantile of all distances",
        cost: "one search like gan-leaks, and at most four million distances",
        source: MONTE_CARLO,
        make: || Box::new(MonteCarlo { radius: Radius::Quantile(0.001), components: None }),
    },
    Family {
        name: "monte-carlo-components",
        access: Access::Images,
        needs: &[Need::EuclideanFeatures],
        summary: "monte-carlo along 40 principal components of the synthetic images",
        cost: "O(synthetic · features² + features³), then two searches in 40 dimensions",
        source: MONTE_CARLO,
        make: || Box::new(MonteCarlo { radius: Radius::MedianNearest, components: Some(40) }),
    },
    Family {
        name: "domias",
        access: Access::Images,
        needs: &[Need::Reference, Need::EuclideanFeatures],
        summary: "density of the synthetic images over that of reference images, both by Gaussian kernels",
        cost: "O((candidates + synthetic + reference) · features²), then candidates · (synthetic + reference) · 16",
        source: DOMIAS,
        make: || Box::new(Domias),
    },
    Family {
        name: "extraction",
        access: Access::Images,
        needs: &[],
        summary: "nearness to a synthetic image that was drawn more than once",
        cost: "one search of the synthetic images among themselves, and one like gan-leaks",
        source: CARLINI,
        make: || Box::new(Extraction::Released),
    },
    Family {
        name: "logan",
        access: Access::Images,
        needs: &[Need::Reference, Need::Pictures],
        summary: "a network that tells released from reference images takes it for released",
        cost: "the training of a small convolutional network, 2000 to 6000 steps",
        source: LOGAN,
        make: || Box::new(Surrogate::Separator),
    },
    Family {
        name: "auxiliary",
        access: Access::Images,
        needs: &[Need::Labels, Need::Reference, Need::Pictures],
        summary: "a classifier trained on the released images knows it better than one trained on reference images",
        cost: "the training of two small convolutional networks, 2000 to 6000 steps each",
        source: "Watson et al. 2022, \"On the importance of difficulty calibration\", arXiv 2111.08440, calibrated loss",
        make: || Box::new(Surrogate::Auxiliary),
    },
    Family {
        name: "loss",
        access: Access::Classifier,
        needs: &[Need::Labels],
        summary: "low cross-entropy of the true label",
        cost: CLOSED_FORM,
        source: "Yeom et al. 2018, \"Privacy risk in machine learning\", arXiv 1709.01604",
        make: || Box::new(Metric::Loss),
    },
    Family {
        name: "confidence",
        access: Access::Classifier,
        needs: &[],
        summary: "high probability of the predicted label",
        cost: CLOSED_FORM,
        source: "Salem et al. 2019, \"ML-Leaks\", arXiv 1806.01246, adversary 3",
        make: || Box::new(Metric::Confidence),
    },
    Family {
        name: "entropy",
        access: Access::Classifier,
        needs: &[],
        summary: "low entropy of the prediction",
        cost: CLOSED_FORM,
        source: "Salem et al. 2019, \"ML-Leaks\", arXiv 1806.01246, adversary 3",
        make: || Box::new(Metric::Entropy),
    },
    Family {
        name: "modified-entropy",
        access: Access::Classifier,
        needs: &[Need::Labels],
        summary: "low entropy that counts confident errors as uncertain",
        cost: CLOSED_FORM,
        source: "Song & Mittal 2021, \"Systematic evaluation of privacy risks\", arXiv 2003.10595",
        make: || Box::new(Metric::ModifiedEntropy),
    },
    Family {
        name: "gap",
        access: Access::Classifier,
        needs: &[Need::Labels],
        summary: "correct prediction",
        cost: CLOSED_FORM,
        source: "Yeom et al. 2018, \"Privacy risk in machine learning\", arXiv 1709.01604",
        make: || Box::new(Metric::Gap),
    },
    Family {
        name: "lira-online",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsInAndOut],
        summary: "likelihood ratio of the answer under shadows with and without the candidate",
        cost: SHADOWED,
        source: LIRA,
        make: || Box::new(Lira { shadows: Shadows::InAndOut, variance: Variance::PerExample }),
    },
    Family {
        name: "lira-online-fixed",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsInAndOut],
        summary: "lira-online with one variance for all candidates: better below 64 shadows",
        cost: SHADOWED,
        source: LIRA,
        make: || Box::new(Lira { shadows: Shadows::InAndOut, variance: Variance::Fixed }),
    },
    Family {
        name: "lira-offline",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsOut],
        summary: "how far the answer lies above those of shadows without the candidate",
        cost: SHADOWED,
        source: LIRA,
        make: || Box::new(Lira { shadows: Shadows::Out, variance: Variance::PerExample }),
    },
    Family {
        name: "lira-offline-fixed",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsOut],
        summary: "lira-offline with one variance for all candidates: better below 64 shadows",
        cost: SHADOWED,
        source: LIRA,
        make: || Box::new(Lira { shadows: Shadows::Out, variance: Variance::Fixed }),
    },
    Family {
        name: "rmia-online",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsInAndOut],
        summary: "probability of the label over its mean under shadows with and without the candidate",
        cost: SHADOWED,
        source: RMIA,
        make: || Box::new(Rmia::Online),
    },
    Family {
        name: "rmia-offline",
        access: Access::Classifier,
        needs: &[Need::Labels, Need::ShadowsOut],
        summary: "rmia-online from shadows without the candidate: works with one to four",
        cost: SHADOWED,
        source: RMIA,
        make: || Box::new(Rmia::Offline),
    },
    Family {
        name: "diffusion-loss",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Denoiser],
        summary: "low loss of the denoising network at time step 100",
        cost: "8 passes of the network for each candidate",
        source: "Matsumoto, Miura & Yanai 2023, \"Membership inference attacks against diffusion models\", arXiv 2302.03262",
        make: || Box::new(Denoising::Loss),
    },
    Family {
        name: "secmi",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Denoiser],
        summary: "small error of one deterministic step on and back at time step 100",
        cost: "12 passes of the network for each candidate",
        source: "Duan et al. 2023, \"Are diffusion models vulnerable to membership inference attacks?\", arXiv 2302.01316",
        make: || Box::new(Denoising::StepwiseError),
    },
    Family {
        name: "pia",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Denoiser],
        summary: "the noise seen in the image is the noise seen after it was added, at time steps 20 to 100",
        cost: "6 passes of the network for each candidate",
        source: PIA,
        make: || Box::new(Denoising::ProximalInitialisation),
    },
    Family {
        name: "diffusion-lira-online",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Denoiser, Need::ShadowsInAndOut],
        summary: "likelihood ratio of diffusion-loss under shadows with and without the candidate, one variance for all",
        cost: "the training of the shadows; then 8 passes of each for each candidate",
        source: CARLINI,
        make: || Box::new(LossRatio { ratio: Lira { shadows: Shadows::InAndOut, variance: Variance::Fixed } }),
    },
    Family {
        name: "diffusion-lira-offline",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Denoiser, Need::ShadowsOut],
        summary: "how far diffusion-loss lies below those of shadows without the candidate, one variance for all",
        cost: "the training of the shadows; then 8 passes of each for each candidate",
        source: CARLINI,
        make: || Box::new(LossRatio { ratio: Lira { shadows: Shadows::Out, variance: Variance::Fixed } }),
    },
    Family {
        name: "latent-search",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Decoder],
        summary: "nearness to the nearest image that the generator can draw, by gradients in its latent space",
        cost: "600 passes there and back for each candidate",
        source: "Chen et al. 2020, \"GAN-Leaks\", arXiv 1909.03935, white box",
        make: || Box::new(Latent::NearestImage),
    },
    Family {
        name: "elbo",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Likelihood],
        summary: "high variational bound of the image's likelihood, with a posterior of its own",
        cost: "200 passes there and back for each candidate",
        source: "Hilprecht et al. 2019, arXiv 1906.03006; Chen et al. 2020, arXiv 1909.03935",
        make: || Box::new(Latent::Bound),
    },
    Family {
        name: "drawn-extraction",
        access: Access::Generator,
        needs: &[Need::Labels],
        summary: "nearness, in pixels, to an image that was drawn more than once among 10 000",
        cost: "10 000 images of the generator, and one search among them",
        source: CARLINI,
        make: || Box::new(Extraction::Drawn),
    },
    Family {
        name: "discriminator",
        access: Access::Generator,
        needs: &[Need::Labels, Need::Discriminator],
        summary: "high score of the discriminator that the generator was trained against",
        cost: "one pass of the discriminator for each candidate",
        source: "Hayes, Melis, Danezis & De Cristofaro 2019, \"LOGAN\", arXiv 1705.07663, white box",
        make: || Box::new(Discriminator),
    },
];

/// The attack registered under `name`.
///
/// # Errors
/// If there is none; the message lists those there are.
pub fn attack(name: &str) -> Result<&'static Family> {
    ATTACKS.iter().find(|family| family.name == name).ok_or_else(|| Error::Unknown {
        name: name.into(),
        known: ATTACKS.iter().map(|family| family.name).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<_> = ATTACKS.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), ATTACKS.len());
        for name in names {
            assert_eq!(attack(name).unwrap().name, name);
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_known() {
        let message = attack("lira").unwrap_err().to_string();
        assert!(message.contains("`lira`") && message.contains("lira-offline-fixed"), "{message}");
    }
}
