//! A site of files: what static.json says, and what a request for a path is answered with.
//!
//! The format is that of heroku-buildpack-static, its order of precedence too: https, files,
//! redirects, routes, 404.

mod answer;
mod glob;
mod media_types;
mod site;

pub use answer::{Answer, Kind, Request, answer};
pub use glob::Glob;
pub use media_types::content_type;
pub use site::{Redirect, Route, SiteError, StaticSite};
