//! Buildpacks: which ones, where they come from, and how each of their scripts is run.

mod choose;
mod environment;
mod fetch;
mod reference;
mod run;

pub use choose::ChooseError;
pub(crate) use choose::{Choice, app_has_inline_buildpack, choose};
pub(crate) use environment::{Environment, parse_env};
pub use fetch::FetchError;
pub(crate) use fetch::{Buildpack, Fetching, fetch};
pub(crate) use reference::Reference;
pub use reference::ReferenceError;
pub(crate) use run::{Context, compile, detect, export, release, report};
