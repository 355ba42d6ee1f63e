//! Pictures: read beside the summary, checked, and put inside the page.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use standin_bench::summary::Summary;

use crate::{Error, Result};

/// Bytes of a whole page.
const PAGE: usize = 9_900_000;

/// Bytes kept free for what stands around the pictures.
const AROUND: usize = 600_000;

/// Bytes of pictures that one page carries beside so many bytes of text: base64 makes three of them four.
fn budget(text: usize) -> usize {
    PAGE.saturating_sub(AROUND + text) / 4 * 3
}

/// A PNG file with its size in pixels.
#[derive(Clone, Debug)]
struct Picture {
    bytes: Vec<u8>,
    width: u32,
    height: u32,
}

/// All pictures of a summary by their path in it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pictures {
    pictures: BTreeMap<String, Picture>,
}

/// A picture as the page shows it.
#[derive(Clone, Debug)]
pub(crate) enum Shown {
    /// Inside the page.
    Inlined { url: String, width: u32, height: u32 },
    /// Left out, and why.
    LeftOut(String),
}

impl Pictures {
    /// Reads every picture that `summary` names from `folder`.
    pub(crate) fn load(folder: &Path, summary: &Summary) -> Result<Self> {
        let galleries = summary.releases.iter().filter_map(|release| release.gallery.as_ref());
        let mut names: Vec<&String> = Vec::new();
        for gallery in galleries {
            names.push(&gallery.grid);
            for pair in &gallery.near_copies {
                names.extend([&pair.synthetic_picture, &pair.train_picture]);
            }
        }
        let mut pictures = BTreeMap::new();
        for name in names {
            if !pictures.contains_key(name) {
                pictures.insert(name.clone(), read(folder, name)?);
            }
        }
        Ok(Self { pictures })
    }

    /// The pictures in the order asked for, as many as one page carries beside so many bytes of text.
    pub(crate) fn on_page(&self, text: usize) -> OnPage<'_> {
        OnPage { pictures: self, budget: Budget::beside(text) }
    }
}

/// Bytes of pictures that a page still carries.
#[derive(Debug)]
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    /// Beside so many bytes of text.
    pub(crate) fn beside(text: usize) -> Self {
        Self { left: budget(text) }
    }

    /// A PNG file, if there is room for it.
    pub(crate) fn show(&mut self, png: &[u8]) -> Shown {
        match dimensions(png) {
            Some((width, height)) => self
                .inlined(png, width, height)
                .unwrap_or_else(|| Shown::LeftOut("left out to keep this page below 10 MB".into())),
            None => Shown::LeftOut("no PNG picture".into()),
        }
    }

    fn inlined(&mut self, png: &[u8], width: u32, height: u32) -> Option<Shown> {
        self.left = self.left.checked_sub(png.len())?;
        Some(Shown::Inlined { url: format!("data:image/png;base64,{}", STANDARD.encode(png)), width, height })
    }
}

/// Pictures going onto a page until its budget is used.
pub(crate) struct OnPage<'a> {
    pictures: &'a Pictures,
    budget: Budget,
}

impl OnPage<'_> {
    /// The picture of that name.
    pub(crate) fn show(&mut self, name: &str) -> Shown {
        let Some(Picture { bytes, width, height }) = self.pictures.pictures.get(name) else {
            return Shown::LeftOut(format!("the picture {name} is not part of the study"));
        };
        self.budget.inlined(bytes, *width, *height).unwrap_or_else(|| {
            Shown::LeftOut(format!("left out to keep this page below 10 MB; see {name} beside the summary"))
        })
    }
}

fn read(folder: &Path, name: &str) -> Result<Picture> {
    let relative = Path::new(name);
    let path = folder.join(relative);
    if name.is_empty() || !relative.components().all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::invalid(
            &folder.join("summary.json"),
            format!("it names the picture \"{name}\", which is not inside its folder"),
            "picture paths are relative to the summary; run the study again",
        ));
    }
    let bytes = std::fs::read(&path).map_err(|source| {
        Error::invalid(
            &path,
            format!("the summary names this picture but reading it failed ({source})"),
            "copy the study's whole folder, or run the study again",
        )
    })?;
    let (width, height) = dimensions(&bytes).ok_or_else(|| {
        Error::invalid(&path, "this is not a PNG picture", "copy the study's folder again, or run the study again")
    })?;
    Ok(Picture { bytes, width, height })
}

/// Width and height from the header of a PNG file (ISO 15948, 5.2 and 11.2.2).
fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..16)?.strip_prefix(b"IHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(0)?, number(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pictures(sizes: &[(&str, usize)]) -> Pictures {
        let picture = |size: usize| Picture { bytes: vec![0; size], width: 1, height: 1 };
        Pictures { pictures: sizes.iter().map(|&(name, size)| (name.into(), picture(size))).collect() }
    }

    #[test]
    fn pictures_beyond_the_budget_are_named_instead_of_shown() {
        let pictures = pictures(&[("large.png", budget(5_000_000)), ("small.png", 100)]);
        let mut page = pictures.on_page(5_000_000);
        assert!(matches!(page.show("small.png"), Shown::Inlined { .. }));
        let Shown::LeftOut(reason) = page.show("large.png") else { panic!("the page would exceed its size") };
        assert!(reason.contains("large.png"));
        assert!(matches!(page.show("small.png"), Shown::Inlined { .. }));
    }

    #[test]
    fn text_and_pictures_fill_one_page() {
        for text in [0, 1_000_000, 9_000_000] {
            assert!(text + budget(text) * 4 / 3 + AROUND <= PAGE, "{text}");
        }
        assert_eq!(budget(20_000_000), 0);
    }

    #[test]
    fn dimensions_need_a_complete_header() {
        let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        assert_eq!(dimensions(&bytes), None);
        bytes.extend([0, 0, 1, 2, 0, 0, 0, 7]);
        assert_eq!(dimensions(&bytes), Some((258, 7)));
        assert_eq!(dimensions(b"GIF89a"), None);
    }
}
