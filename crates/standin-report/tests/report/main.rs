//! The report of a made-up study: its page, its files, its colours.

mod contrast;
mod folder;
mod markup;
mod page;
mod sample;
