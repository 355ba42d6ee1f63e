use std::fmt::Write;
use std::path::Path;

use crate::{Error, Result, Trained};

/// Writes `README.md` into a generator's folder: what it is, how it was made and what it promises, with a head in YAML
/// as the Hugging Face hub reads it.
///
/// # Errors
/// If the file cannot be written.
pub fn write_card(trained: &dyn Trained, folder: &Path) -> Result<()> {
    let path = folder.join("README.md");
    let text = card(trained).expect("writing to a string succeeds");
    std::fs::write(&path, text).map_err(|source| Error::Work { action: "writing", path, source })
}

fn card(trained: &dyn Trained) -> std::result::Result<String, std::fmt::Error> {
    let about = trained.description();
    let mut text = String::from("---\ntags:\n- image-generation\n");
    if trained.guarantee().is_some_and(standin_privacy::Guarantee::holds) {
        text.push_str("- differential-privacy\n");
    }
    text.push_str("---\n\n");
    let kind = if about.shape.channels == 1 { "grey" } else { "colour" };
    writeln!(text, "# A generator of images: {}\n", about.family)?;
    writeln!(
        text,
        "It draws {kind} images of {} × {} pixels (height × width) of {} classes: {}.\n",
        about.shape.height,
        about.shape.width,
        about.classes.len(),
        about.classes.join(", ")
    )?;
    writeln!(text, "`standin sample FOLDER --count 1000 --out images/` draws from it.\n")?;
    writeln!(text, "## How it was made\n\nTrained on {} with seed {}. Settings:\n", about.trained_on, about.seed)?;
    writeln!(text, "```toml\n{}```\n", toml::to_string(about.options).unwrap_or_default())?;
    let controls: Vec<&str> = trained.controls().iter().map(|control| control.name()).collect();
    if !controls.is_empty() {
        writeln!(text, "When drawing it follows: {}.\n", controls.join(", "))?;
    }
    writeln!(text, "## Privacy\n")?;
    match trained.guarantee() {
        Some(guarantee) => writeln!(text, "{}", guarantee.statement())?,
        None => writeln!(
            text,
            "No guarantee: what this generator, or its images, tells about single training images is not bounded. Before it is \
             released, `standin audit` its images and attack it."
        )?,
    }
    Ok(text)
}
