//! Every encoder a study can name: those that need no training, those that learn first, and those in a file.

use standin_encode::{ENCODERS, TrainableFamily};

/// The encoder of that name that has to be trained, if it is one.
pub fn trainable(name: &str) -> Option<&'static TrainableFamily> {
    trainable_families().find(|family| family.name == name)
}

/// Every encoder that has to be trained.
pub fn trainable_families() -> impl Iterator<Item = &'static TrainableFamily> + Clone {
    standin_classify::ENCODERS.iter().chain(standin_generate::ENCODERS)
}

/// Names of all encoders without a file.
pub(super) fn names() -> impl Iterator<Item = &'static str> + Clone {
    ENCODERS.iter().map(|family| family.name).chain(trainable_families().map(|family| family.name))
}
