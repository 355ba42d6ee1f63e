use askama::Template;
use standin_bench::summary::{NearCopy, Release};

use super::Content;
use crate::fold::{Folded, Prominent};
use crate::number::{count, significant};
use crate::picture::{OnPage, Shown};
use crate::words;

/// Samples of each set of images, and the synthetic images nearest to training images.
#[derive(Template)]
#[template(path = "pictures.html")]
pub(super) struct Section<'a> {
    samples: Folded<Sample<'a>>,
    galleries: Folded<Gallery<'a>>,
    rows_of: String,
    withheld: bool,
    /// How many private training images are on the page.
    pub(super) training_pictures: usize,
}

struct Sample<'a> {
    release: &'a str,
    picture: Shown,
    alternative: String,
}

struct Gallery<'a> {
    anchor: String,
    release: &'a str,
    stamp: &'a str,
    pairs: Vec<Pair>,
}

struct Pair {
    synthetic: Shown,
    train: Shown,
    synthetic_index: String,
    train_index: String,
    distance: String,
    nearness: String,
    p_value: String,
}

impl<'a> Section<'a> {
    /// Whether there is any picture to show.
    pub(super) fn any(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Pictures beside so many bytes of text; those that matter most come onto the page first.
    pub(super) fn new(content: &Content<'a>, text: usize) -> Self {
        let data = &content.summary.data;
        let mut page = content.pictures.on_page(text);
        let prominent = Prominent::of(content.summary);
        let (first, others): (Vec<&Release>, Vec<&Release>) =
            content.summary.releases.iter().partition(|release| prominent.shows(&release.name));
        let ordered: Vec<&Release> = first.into_iter().chain(others).collect();
        let sets = || ordered.iter().filter_map(|release| Some((*release, release.gallery.as_ref()?)));
        let samples = sets()
            .map(|(release, gallery)| {
                let alternative = format!("Grid of synthetic images of {}, one row for each class", release.name);
                (release, Sample { release: &release.name, picture: page.show(&gallery.grid), alternative })
            })
            .collect::<Vec<_>>();
        let mut galleries = Vec::new();
        let mut training_pictures = 0;
        for (index, (release, gallery)) in sets().enumerate() {
            let pairs: Vec<Pair> =
                gallery.near_copies.iter().map(|copy| pair(copy, &mut page, content.training_pictures)).collect();
            training_pictures += pairs.iter().filter(|pair| matches!(pair.train, Shown::Inlined { .. })).count();
            let anchor = format!("copies-{index}");
            galleries.push((release, Gallery { anchor, release: &release.name, stamp: &gallery.stamp, pairs }));
        }
        let classes: Vec<&str> = data.classes.iter().map(String::as_str).collect();
        Self {
            samples: prominent.fold(samples),
            galleries: prominent.fold(galleries),
            rows_of: if classes.is_empty() { String::new() } else { words::listed(&classes) },
            withheld: !content.training_pictures,
            training_pictures,
        }
    }
}

fn pair(copy: &NearCopy, page: &mut OnPage<'_>, training_pictures: bool) -> Pair {
    Pair {
        synthetic: page.show(&copy.synthetic_picture),
        train: if training_pictures {
            page.show(&copy.train_picture)
        } else {
            Shown::LeftOut("a private image, left out of this page".into())
        },
        synthetic_index: count(copy.synthetic),
        train_index: count(copy.train),
        distance: significant(copy.distance),
        nearness: words::nearness(copy.p_value),
        p_value: words::p_value(copy.p_value),
    }
}
