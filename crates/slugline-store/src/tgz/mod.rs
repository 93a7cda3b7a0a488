//! Heroku's `slug.tgz`: a gzip tar with everything under `./app/`, GNU tar, owner root, hard links
//! as copies, and `SHA256:…` of its bytes as its checksum.

pub(crate) mod export;
pub(crate) mod extend;
pub(crate) mod import;

pub use import::{TgzError, procfile};
