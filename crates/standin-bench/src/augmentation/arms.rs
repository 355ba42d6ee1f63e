use std::fmt;

use serde::{Deserialize, Serialize};
use standin_data::ImageSet;

use super::configuration::Classical;
use super::stages::{MAJORITY, MINORITY, SIDE};
use crate::study::Classifier;

/// A way to train a classifier for a minority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The majority's images alone.
    MajorityOnly,
    /// All real training images as they are.
    Real,
    /// All real training images, those of the minority repeated until each class has as many of either side.
    Oversampled,
    /// As [`Arm::Oversampled`], with images changed at random.
    Classical,
    /// As [`Arm::Oversampled`], with mixtures of images and of their labels.
    Mixup,
    /// The synthetic images of the minority alone.
    Synthetic,
    /// All real training images and the synthetic ones.
    RealAndSynthetic,
    /// As [`Arm::RealAndSynthetic`], the real ones of the minority repeated as in [`Arm::Oversampled`], and images changed at random.
    ClassicalAndSynthetic,
}

impl Arm {
    /// All arms, in the order of reports.
    pub const ALL: [Self; 8] = [
        Self::MajorityOnly,
        Self::Real,
        Self::Oversampled,
        Self::Classical,
        Self::Mixup,
        Self::Synthetic,
        Self::RealAndSynthetic,
        Self::ClassicalAndSynthetic,
    ];

    /// Whether it is trained on synthetic images.
    pub const fn is_generative(self) -> bool {
        matches!(self, Self::Synthetic | Self::RealAndSynthetic | Self::ClassicalAndSynthetic)
    }

    /// Whether it is another arm where there is no real image of the minority.
    pub(super) const fn needs_minority(self) -> bool {
        matches!(self, Self::Real | Self::Oversampled)
    }

    /// The backbone's settings in this arm; none where the arm changes images and the backbone does not.
    pub(super) fn settings(self, backbone: &Classifier, classical: &Classical) -> Option<toml::Table> {
        let mut settings = backbone.settings.clone();
        match self {
            Self::Classical | Self::ClassicalAndSynthetic => {
                let changes = toml::Table::from_iter([
                    ("shift".to_owned(), toml::Value::Integer(classical.shift as i64)),
                    ("flip".to_owned(), toml::Value::Boolean(classical.flip)),
                ]);
                settings.insert("augmentation".to_owned(), changes.into());
            }
            Self::Mixup => {
                settings.insert("mixup".to_owned(), classical.mixup.into());
            }
            _ => return Some(settings),
        }
        let family = standin_classify::family(backbone.family()).ok()?;
        (family.build)(&settings).is_ok().then_some(settings)
    }

    /// What is trained on.
    pub(super) fn images(self, train: &ImageSet, synthetic: Option<&ImageSet>) -> standin_data::Result<ImageSet> {
        let of = |side: &str| -> Vec<usize> {
            let values = train.column(SIDE).map_or(&[][..], |column| &column.values);
            (0..train.len()).filter(|&image| values.get(image).is_some_and(|value| value == side)).collect()
        };
        let repeated = || train.select(&[of(MAJORITY), balanced(train, &of(MAJORITY), &of(MINORITY))].concat());
        let joined = |real: ImageSet| match synthetic {
            Some(synthetic) => real.concat(synthetic),
            None => Ok(real),
        };
        match self {
            Self::MajorityOnly => Ok(train.select(&of(MAJORITY))),
            Self::Real => Ok(train.clone()),
            Self::Oversampled | Self::Classical | Self::Mixup => Ok(repeated()),
            Self::Synthetic => Ok(synthetic.cloned().unwrap_or_else(|| train.select(&[]))),
            Self::RealAndSynthetic => joined(train.clone()),
            Self::ClassicalAndSynthetic => joined(repeated()),
        }
    }
}

/// The minority's images of each class, again and again until they are as many as the majority's.
fn balanced(train: &ImageSet, majority: &[usize], minority: &[usize]) -> Vec<usize> {
    let Some(labels) = train.labels() else { return minority.to_vec() };
    let of_class = |images: &[usize], class: usize| -> Vec<usize> {
        images.iter().copied().filter(|&image| labels.values[image] as usize == class).collect()
    };
    let classes = 0..labels.classes.len();
    let of_class = |class| {
        let (few, wanted) = (of_class(minority, class), of_class(majority, class).len());
        let wanted = if few.is_empty() { 0 } else { wanted.max(few.len()) };
        few.into_iter().cycle().take(wanted).collect::<Vec<_>>()
    };
    classes.flat_map(of_class).collect()
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MajorityOnly => "majority only",
            Self::Real => "real",
            Self::Oversampled => "oversampled",
            Self::Classical => "classical augmentation",
            Self::Mixup => "MixUp",
            Self::Synthetic => "synthetic",
            Self::RealAndSynthetic => "real + synthetic",
            Self::ClassicalAndSynthetic => "classical + synthetic",
        })
    }
}

#[cfg(test)]
mod tests {
    use standin_data::{Column, Labels, Shape};

    use super::*;

    /// Images 0–5 of the majority, four of class 0 and two of class 1; image 6 of the minority and class 0, 7–9 of class 1.
    fn train() -> ImageSet {
        let shape = Shape { channels: 1, height: 1, width: 1 };
        let labels = Labels { values: vec![0, 0, 0, 0, 1, 1, 0, 1, 1, 1], classes: vec!["a".into(), "b".into()] };
        let side = (0..10).map(|image| if image < 6 { MAJORITY } else { MINORITY }.to_owned()).collect();
        let column = Column { name: SIDE.into(), values: side };
        ImageSet::new(shape, (0..10).collect()).unwrap().with_labels(labels).unwrap().with_column(column).unwrap()
    }

    #[test]
    fn each_arm_is_trained_on_what_it_says() {
        let train = train();
        let synthetic = train.select(&[7]);
        let pixels = |arm: Arm| arm.images(&train, Some(&synthetic)).unwrap().pixels().to_vec();
        assert_eq!(pixels(Arm::MajorityOnly), [0, 1, 2, 3, 4, 5]);
        assert_eq!(pixels(Arm::Real), train.pixels());
        assert_eq!(pixels(Arm::Oversampled), [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7, 8, 9]);
        assert_eq!(pixels(Arm::Synthetic), [7]);
        assert_eq!(pixels(Arm::RealAndSynthetic), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 7]);
        assert_eq!(pixels(Arm::ClassicalAndSynthetic), [0, 1, 2, 3, 4, 5, 6, 6, 6, 6, 7, 8, 9, 7]);
    }

    #[test]
    fn arms_that_change_images_need_a_backbone_that_does() {
        let classical = Classical::default();
        let of = |name: &str, arm: Arm| arm.settings(&Classifier::from(name.to_owned()), &classical);
        assert!(of("cnn", Arm::Classical).unwrap().contains_key("augmentation"));
        assert!(of("cnn", Arm::Mixup).unwrap().contains_key("mixup"));
        assert!(of("scattering-logistic", Arm::Classical).is_none());
        assert!(of("scattering-logistic", Arm::Oversampled).is_some());
    }
}
