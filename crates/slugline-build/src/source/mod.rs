//! The source: unpacked with suspicion, and cleaned of what is no part of a slug.

mod app_root;
mod extended;
mod ignore;
mod place;
mod unpack;

pub use app_root::AppRootError;
pub(crate) use app_root::{app_inside, app_root};
pub(crate) use ignore::{empty_tmp, remove_ignored};
pub use unpack::UnpackError;
pub(crate) use unpack::unpack;
