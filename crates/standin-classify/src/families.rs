use crate::classifier::configured;
use crate::network::{
    Architecture, Cnn, Design, Preset, RESNET_9, RESNET_18, RESNEXT_29, Softmax, WIDE_RESNET_16_4, WIDE_RESNET_28_10,
};
use crate::network_classifier::{Defaults, NetworkClassifier, Sight};
use crate::trained::TrainedNetwork;
use crate::{Classifier, Error, Family, Logistic, Recipe, Result, TrainedClassifier, TrainedLogistic};
use std::path::Path;

/// Groups of scattering planes (Tramèr and Boneh 2021, appendix C).
const FEATURE_GROUPS: usize = 27;

/// Every classifier.
pub const CLASSIFIERS: &[Family] = &[
    Family {
        name: "cnn",
        summary: "convolutional network in the manner of LeNet, as deep as the images are large",
        cost: "linear in images and pixels; 700 images of 8×8 half a second, 60 000 of 28×28 16 s of one core",
        source: "LeCun et al. 1998, Gradient-based learning applied to document recognition",
        build: |table| build(cnn(), table),
        load: |folder| load::<<Cnn as Design>::Architecture>("cnn", folder),
    },
    Family {
        name: "logistic",
        summary: "multinomial logistic regression on standardised pixels: what can be told apart linearly",
        cost: "linear in images, pixels and classes; 60 000 images of 28×28 13 s of one core; no seed used",
        source: "Bishop 2006, Pattern recognition and machine learning, section 4.3.4",
        build: logistic,
        load: |folder| Ok(Box::new(TrainedLogistic::load(folder)?)),
    },
    Family {
        name: "scattering-logistic",
        summary: "multinomial logistic regression on wavelet scattering features, which need no training",
        cost: "linear in images, pixels and classes; 60 000 of 28×28 half a minute, 480 MB for their features",
        source: "Tramèr and Boneh 2021, Differentially private learning needs better features (or much more data)",
        build: |table| build(scattering_logistic(), table),
        load: |folder| load::<<Softmax as Design>::Architecture>("scattering-logistic", folder),
    },
    Family {
        name: "scattering-cnn",
        summary: "the network `cnn` on wavelet scattering features in the place of pixels",
        cost: "as scattering-logistic, and about twice its time",
        source: "Tramèr and Boneh 2021, Differentially private learning needs better features (or much more data)",
        build: |table| build(scattering_cnn(), table),
        load: |folder| load::<<Cnn as Design>::Architecture>("scattering-cnn", folder),
    },
    Family {
        name: "resnet-9",
        summary: "residual network of eight convolutions with group norm and max pools",
        cost: "linear in images and pixels; a step on one image of 28×28 is 1.6 billion operations",
        source: "Page 2018, How to train your ResNet; group norm: Wu and He 2018",
        build: |table| residual(RESNET_9, table),
        load: |folder| load_residual(RESNET_9, folder),
    },
    Family {
        name: "resnet-18",
        summary: "residual network of 17 convolutions with group norm, its stem for small images",
        cost: "linear in images and pixels; a step on one image of 28×28 is 2.7 billion operations",
        source: "He et al. 2016, Deep residual learning for image recognition; group norm: Wu and He 2018",
        build: |table| residual(RESNET_18, table),
        load: |folder| load_residual(RESNET_18, folder),
    },
    Family {
        name: "wide-resnet-16-4",
        summary: "residual network of 15 convolutions, four times as wide, norms before convolutions",
        cost: "linear in images and pixels; a step on one image of 28×28 is 1.8 billion operations",
        source: "Zagoruyko and Komodakis 2016, Wide residual networks; with privacy: De et al. 2022",
        build: |table| residual(WIDE_RESNET_16_4, table),
        load: |folder| load_residual(WIDE_RESNET_16_4, folder),
    },
    Family {
        name: "wide-resnet-28-10",
        summary: "residual network of 27 convolutions, ten times as wide, norms before convolutions",
        cost: "linear in images and pixels; a step on one image of 28×28 is 24 billion operations",
        source: "Zagoruyko and Komodakis 2016, Wide residual networks; with privacy: De et al. 2022",
        build: |table| residual(WIDE_RESNET_28_10, table),
        load: |folder| load_residual(WIDE_RESNET_28_10, folder),
    },
    Family {
        name: "resnext-29",
        summary: "residual network of 28 convolutions with group norm, in eight branches of 16 channels",
        cost: "linear in images and pixels; a step on one image of 28×28 is 4.1 billion operations",
        source: "Xie et al. 2017, Aggregated residual transformations for deep neural networks",
        build: |table| residual(RESNEXT_29, table),
        load: |folder| load_residual(RESNEXT_29, folder),
    },
];

/// The one classifier whose training is not made of steps that noise could protect.
fn logistic(table: &toml::Table) -> Result<Box<dyn Classifier>> {
    if table.contains_key("privacy") {
        let reason = "it has no private training; use `scattering-logistic`, or `cnn`".to_owned();
        return Err(Error::Configuration { classifier: "logistic", reason });
    }
    Ok(Box::new(configured::<Logistic>("logistic", table)?.checked()?))
}

/// The network that encodes too.
pub(crate) fn cnn() -> Defaults<Cnn> {
    Defaults {
        name: "cnn",
        design: Cnn,
        sight: Sight::Pixels(None),
        recipe: Recipe::adam(),
        private_recipe: Recipe::private(),
    }
}

fn scattering_logistic() -> Defaults<Softmax> {
    Defaults {
        name: "scattering-logistic",
        design: Softmax,
        sight: Sight::Scattering { groups: FEATURE_GROUPS },
        recipe: Recipe { weight_decay: 1e-4, epochs: 20.0, most_steps: 20_000, batch_size: 256, ..Recipe::adam() },
        private_recipe: private_on_features(),
    }
}

/// The best of a few tried on Fashion-MNIST, which is public: what is learnt from features bears larger batches.
fn private_on_features() -> Recipe {
    Recipe { learning_rate: 1.0, epochs: 40.0, batch_size: 8192, ..Recipe::private() }
}

fn scattering_cnn() -> Defaults<Cnn> {
    let sight = Sight::Scattering { groups: FEATURE_GROUPS };
    Defaults { name: "scattering-cnn", sight, private_recipe: private_on_features(), ..cnn() }
}

fn residual(preset: Preset, table: &toml::Table) -> Result<Box<dyn Classifier>> {
    let defaults = Defaults {
        name: preset.name,
        design: preset,
        sight: Sight::Pixels(None),
        recipe: Recipe::nesterov(),
        private_recipe: Recipe::private(),
    };
    build(defaults, table)
}

fn load_residual(preset: Preset, folder: &Path) -> Result<Box<dyn TrainedClassifier>> {
    load::<<Preset as Design>::Architecture>(preset.name, folder)
}

fn build<D: Design + 'static>(defaults: Defaults<D>, table: &toml::Table) -> Result<Box<dyn Classifier>> {
    Ok(Box::new(NetworkClassifier::configured(defaults, table)?))
}

fn load<A: Architecture + 'static>(name: &'static str, folder: &Path) -> Result<Box<dyn TrainedClassifier>> {
    Ok(Box::new(TrainedNetwork::<A>::load(name, folder)?))
}
