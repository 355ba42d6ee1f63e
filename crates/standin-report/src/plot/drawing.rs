//! SVG elements as text.

use std::fmt::{Display, Write};

use askama::filters::{Html, escape};

/// An SVG drawing that grows element by element, later ones on top.
#[derive(Clone, Debug)]
pub(crate) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

impl Drawing {
    /// An empty drawing of that size.
    pub(crate) fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        self.body.write_fmt(element).expect("writing to a string cannot fail");
    }

    pub(crate) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.push(format_args!(r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#));
    }

    pub(crate) fn rectangle(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        self.push(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// A rectangle whose colour is as deep as `share`, from 0 to 1.
    pub(crate) fn shaded_rectangle(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        share: f64,
    ) {
        let heat = 100.0 * share.clamp(0.0, 1.0);
        self.push(format_args!(
            r#"<rect class="{class}" style="--heat:{heat:.0}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    pub(crate) fn circle(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        self.push(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="{radius:.1}"/>"#));
    }

    /// A line through points, open.
    pub(crate) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in points {
            let separator = if path.is_empty() { 'M' } else { 'L' };
            write!(path, "{separator}{x:.1} {y:.1}").expect("writing to a string cannot fail");
        }
        self.path(class, &path);
    }

    /// Any path.
    pub(crate) fn path(&mut self, class: &str, path: &str) {
        self.push(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// Text that starts, is centred, or ends at the position, as the class says.
    pub(crate) fn text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        self.push(format_args!(r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#));
    }

    /// Text that reads upwards, centred at the position.
    pub(crate) fn upright_text(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let text = escaped(text);
        self.push(format_args!(
            r#"<text class="{class}" transform="translate({x:.1} {y:.1}) rotate(-90)">{text}</text>"#
        ));
    }

    /// Opens a group whose title shows when pointed at.
    pub(crate) fn open_group(&mut self, title: &str) {
        let title = escaped(title);
        self.push(format_args!("<g><title>{title}</title>"));
    }

    /// Opens a group of a class that belongs to a release and whose title shows when pointed at.
    pub(crate) fn open_release(&mut self, class: &str, release: &str, title: &str) {
        let (release, title) = (escaped(release), escaped(title));
        self.push(format_args!(r#"<g class="{class}" data-release="{release}"><title>{title}</title>"#));
    }

    /// Opens a group of a class.
    pub(crate) fn open_class(&mut self, class: &str) {
        self.push(format_args!(r#"<g class="{class}">"#));
    }

    /// Closes the group opened last.
    pub(crate) fn close_group(&mut self) {
        self.body.push_str("</g>");
    }

    /// The drawing as a picture with a title and a description, read out in the place of its parts. `id` is unique on
    /// the page.
    pub(crate) fn finish(self, id: &str, title: &str, description: &str) -> String {
        let Self { width, height, body } = self;
        let (title, description) = (escaped(title), escaped(description));
        format!(
            r#"<svg class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-labelledby="{id}-title {id}-description"><title id="{id}-title">{title}</title><desc id="{id}-description">{description}</desc>{body}</svg>"#
        )
    }

    /// The drawing as an ornament beside numbers that say the same.
    pub(crate) fn finish_hidden(self) -> String {
        let Self { width, height, body } = self;
        format!(
            r#"<svg class="spark" viewBox="0 0 {width} {height}" width="{width}" height="{height}" aria-hidden="true" focusable="false">{body}</svg>"#
        )
    }
}

fn escaped(text: &str) -> impl Display {
    escape(text, Html).expect("escaping is infallible")
}

/// The width of text in CSS pixels at a font size, from above: letters of system fonts are 0.58 of their size on
/// average.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    0.58 * size * text.chars().count() as f64
}

/// Text at 12 pixels that fits a width, its end replaced by an ellipsis where it must be.
pub(crate) fn shortened(text: &str, width: f64) -> String {
    if text_width(text, 12.0) <= width {
        return text.into();
    }
    let mut kept: String = text.into();
    while !kept.is_empty() && text_width(&kept, 12.0) + 12.0 > width {
        kept.pop();
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        let mut drawing = Drawing::new(10.0, 10.0);
        drawing.text("label", (1.0, 2.0), r#"<b>&""#);
        let svg = drawing.finish("x", "a < b", "&");
        assert!(!svg.contains("<b>") && svg.contains("a &#60; b") && svg.contains("&#38;"));
    }
}
