use std::path::Path;

use serde_json::{Value, json};
use standin_data::{ImageSet, Progress};
use standin_privacy::Guarantee;

use super::write_json;
use crate::stage::{Inputs, Stage, StageId, StageResult};

/// Takes in synthetic images that another tool made, as if they had been sampled. Output: `images`.
pub struct Take {
    images: ImageSet,
    digest: String,
    label: String,
}

impl Take {
    /// Prepares the images; hashes their content, which is the stage's identity.
    pub fn new(images: ImageSet, label: &str) -> Self {
        Self { digest: images.digest().to_string(), images, label: label.to_owned() }
    }
}

impl Stage for Take {
    fn kind(&self) -> &'static str {
        "take"
    }

    fn code_version(&self) -> u32 {
        1
    }

    fn configuration(&self) -> Value {
        json!({ "images": self.digest })
    }

    fn inputs(&self) -> Vec<StageId> {
        Vec::new()
    }

    fn run(&self, _: &Inputs, out: &Path, _: &dyn Progress) -> StageResult {
        self.images.save(&out.join("images"))?;
        write_json(&out.join("guarantee.json"), &None::<Guarantee>)
    }

    fn name(&self) -> String {
        self.label.clone()
    }
}
