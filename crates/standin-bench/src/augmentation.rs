//! Studies of augmentation: do images of an under-represented group, made from those of a majority, help its diagnosis?
//!
//! Wang, Chung, Ding & Hamm 2024 ("From Majority to Minority") trained classifiers with and without translated images in three scenarios of
//! scarcity. Here the same is a graph of stages for any set with labels and an attribute column: for every seed and scenario a generator
//! that is told class and group, its translations of the majority's images, the ones a classifier accepts, and every arm's classifiers.
//!
//! What decides anything sees training images alone: test images are asked once, at the end, by classifiers whose training they did not
//! touch.

mod arms;
mod check;
mod configuration;
mod images;
mod plan;
mod scores;
mod stages;
mod summary;

pub use arms::Arm;
pub use configuration::{
    AugmentationData, AugmentationStudy, Classical, MinorityGenerator, Scenario, Sides, Translation, Trial,
};
pub use images::AugmentationImages;
pub use plan::{AugmentationPlan, plan};
pub use summary::{
    AcceptanceSummary, ArmResult, AugmentationSummary, ClassCounts, Comparison, GroupFinding, SCHEMA, ScenarioSummary,
    Skipped, StrengthSummary,
};
