//! A reader of the markup the report writes: elements in order with attributes, nesting checked on the way.

use std::collections::BTreeMap;

/// One element with what is inside it.
#[derive(Clone, Debug)]
pub struct Element {
    pub name: String,
    pub attributes: BTreeMap<String, String>,
    /// Names of the elements around it, the outermost first.
    pub path: Vec<String>,
    /// Indices of its children among all elements.
    pub children: Vec<usize>,
    /// The text directly inside it, as written.
    pub text: String,
}

const VOID: [&str; 5] = ["meta", "img", "br", "link", "input"];

/// All elements of a document in the order they open.
///
/// # Panics
/// If an element is closed that is not the innermost open one, or is never closed.
pub fn elements(document: &str) -> Vec<Element> {
    let mut elements: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = document;
    while let Some(start) = rest.find('<') {
        if let Some(&parent) = open.last() {
            elements[parent].text.push_str(&rest[..start]);
        }
        rest = &rest[start..];
        let end = tag_end(rest);
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let innermost = open.pop().map(|index| elements[index].name.clone());
            assert_eq!(innermost.as_deref(), Some(name), "</{name}> closes another element");
            continue;
        }
        let closed = tag.ends_with('/');
        let tag = tag.trim_end_matches('/');
        let name = tag.split_whitespace().next().expect("a tag has a name").to_owned();
        let path = open.iter().map(|&index| elements[index].name.clone()).collect();
        let attributes = attributes(&tag[name.len()..]);
        let index = elements.len();
        elements.push(Element { name: name.clone(), attributes, path, children: Vec::new(), text: String::new() });
        if let Some(&parent) = open.last() {
            elements[parent].children.push(index);
        }
        if matches!(name.as_str(), "script" | "style") {
            let close = rest.find(&format!("</{name}>")).expect("it is closed");
            elements[index].text = rest[..close].into();
            rest = &rest[close..];
        }
        if !closed && !VOID.contains(&name.as_str()) {
            open.push(index);
        }
    }
    let left: Vec<_> = open.iter().map(|&index| &elements[index].name).collect();
    assert!(left.is_empty(), "never closed: {left:?}");
    elements
}

/// Where a tag ends: at the first `>` outside quotes.
fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    let mut ends = text.char_indices().filter(|(_, character)| {
        quoted ^= *character == '"';
        *character == '>' && !quoted
    });
    ends.next().expect("a tag ends").0
}

fn attributes(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let name = rest[..end].to_owned();
        rest = &rest[end..];
        let mut value = String::new();
        if let Some(quoted) = rest.strip_prefix("=\"") {
            let close = quoted.find('"').expect("a quoted value is closed");
            value = quoted[..close].to_owned();
            rest = &quoted[close + 1..];
        }
        assert!(!name.is_empty() && found.insert(name.clone(), value).is_none(), "attribute \"{name}\" in {text}");
        rest = rest.trim_start();
    }
    found
}
