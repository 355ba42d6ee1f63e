//! One standalone report: HTML, JSON and Markdown.
