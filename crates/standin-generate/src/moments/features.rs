//! What a class-wise release is made of.

use standin_data::{ImageSet, Labels, Progress};

use crate::matching::Mismatch;

/// Features of images in which a class is known by its mean: what methods that release one noisy sum per class differ in.
pub trait Features: Sync {
    /// Values of an image's features.
    fn width(&self) -> usize;

    /// What they are, in words, for the guarantee.
    fn name(&self) -> &'static str;

    /// The most images whose sums are exact.
    fn most_images(&self) -> usize;

    /// The sum of the features of the images of each class, classes × [`Features::width`].
    ///
    /// What an image adds depends on the image alone and has norm at most 1; the sums are exact, in whatever order they are
    /// made.
    fn class_sums(&self, images: &ImageSet, labels: &Labels, progress: &dyn Progress) -> Vec<f64>;

    /// How far generated images of one class are from a released embedding: the squared distance of `share` times their mean
    /// features to `target`, estimated without bias, and its gradient with respect to `points`, k ≥ 2 images with values in
    /// [0, 1]. Features may be compared in parts, another one at each `step`, scaled to stand for all.
    fn mismatch(&self, points: &[f32], target: &[f32], share: f64, step: usize) -> Mismatch;
}
