//! Heroku's `slug.tgz`: a gzip tar with everything under `./app/`, GNU tar, owner root, hard links
//! as copies, and `SHA256:…` of its bytes as its checksum.

mod export;
mod import;

pub use export::Exported;
pub use import::{TgzError, TgzRequest, procfile};
