//! .
pub(crate) fn doctor() -> i32 { 0 }
