//! Removal from the bucket.
/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Slugs.
    pub slugs: u64,
}
