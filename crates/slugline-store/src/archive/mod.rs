//! Tar archives: written so that the same tree gives the same bytes, and read as if an enemy had
//! made them.

pub(crate) mod bounded;
pub(crate) mod digest;
mod extended;
pub mod place;
pub mod read;
pub(crate) mod write;
