//! Ids of what has a name and no row: stacks, regions, plans.

use uuid::{Builder, Uuid};

/// The id of a thing of this kind and name, for ever the same.
pub(super) fn named_id(kind: &str, name: &str) -> Uuid {
    let hash = blake3::hash(format!("slugline {kind} {name}").as_bytes());
    let bytes = hash.as_bytes().first_chunk::<16>().copied().unwrap_or_default();
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id() {
        assert_eq!(named_id("plan", "a"), named_id("plan", "a"));
        assert_ne!(named_id("plan", "a"), named_id("stack", "a"));
        assert_eq!(named_id("plan", "a").get_version_num(), 4);
    }
}
