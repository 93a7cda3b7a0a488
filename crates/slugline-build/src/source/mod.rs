//! The source: unpacked with suspicion, and cleaned of what is no part of a slug.

mod extended;
mod ignore;
mod place;
mod unpack;

pub(crate) use ignore::{empty_tmp, remove_ignored};
pub use unpack::UnpackError;
pub(crate) use unpack::unpack;
