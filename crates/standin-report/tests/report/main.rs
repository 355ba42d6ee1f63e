//! The reports of a made-up study and a made-up audit: their pages, their files, their colours.

mod audit;
mod audit_page;
mod compare;
mod contrast;
mod folder;
mod markup;
mod page;
mod sample;
mod schema;
mod validator;
