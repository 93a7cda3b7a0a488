//! Objects that are carried from one bucket into another while an app goes on writing: what is to be
//! done about each key.

/// An object, as a bucket's list shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its size (bytes).
    pub size: u64,
    /// What changes whenever its content does: its `ETag`, without quotes.
    pub tag: String,
}

/// An object as both buckets had it when it was carried and compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// In the bucket that is left.
    pub source: Seen,
    /// In the one that it was carried into.
    pub target: Seen,
}

/// Who writes into the new bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Whoever carries, and nobody else.
    Before,
    /// The app, too: what it has written there is newer than anything that is carried.
    After,
}

/// What is to be done about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing: both are as they should be.
    Nothing,
    /// Carry the object over. In [`Phase::After`] only as long as the target is as it was seen.
    Carry,
    /// Read both, and carry the object where they differ.
    Compare,
    /// Remove the target's.
    Remove,
}

/// Decides about a key by what both buckets have now, and what was carried before.
#[expect(clippy::match_same_arms, reason = "the cases are read in their order")]
pub fn decide(
    phase: Phase,
    source: Option<&Seen>,
    target: Option<&Seen>,
    before: Option<&Carried>,
) -> Act {
    let target_is_as_carried = target == before.map(|before| &before.target);
    let source_is_as_carried = source == before.map(|before| &before.source);
    match (phase, source, target) {
        (_, None, None) => Act::Nothing,
        (Phase::Before, Some(_), Some(_)) if before.is_none() => Act::Compare,
        (Phase::Before, Some(_), _) if source_is_as_carried && target_is_as_carried => Act::Nothing,
        (Phase::Before, Some(_), _) => Act::Carry,
        (Phase::Before, None, Some(_)) => Act::Remove,
        // Whatever the app has made of it since, is right.
        (Phase::After, Some(_), _) if source_is_as_carried => Act::Nothing,
        (Phase::After, Some(_), _) if target_is_as_carried => Act::Carry,
        // Removed there by the app, and written here since by one of its older dynos: not lost.
        (Phase::After, Some(_), None) => Act::Carry,
        (Phase::After, Some(_), Some(_)) => Act::Nothing,
        (Phase::After, None, Some(_)) if before.is_some() && target_is_as_carried => Act::Remove,
        (Phase::After, None, Some(_)) => Act::Nothing,
    }
}

/// Whether two tags say by themselves that contents are the same: both are MD5 sums of them.
pub fn same_by_tag(source: &Seen, target: &Seen) -> bool {
    let is_sum = |tag: &str| tag.len() == 32 && tag.bytes().all(|byte| byte.is_ascii_hexdigit());
    source.size == target.size && is_sum(&source.tag) && source.tag == target.tag
}

/// Where clients would ask for another object than this key's: they take `.` and `..` between slashes
/// out of addresses.
pub fn cannot_be_asked_for(key: &str) -> bool {
    key.is_empty() || key.split('/').any(|part| matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(tag: &str) -> Seen {
        Seen { size: 1, tag: tag.to_owned() }
    }

    fn act(phase: Phase, source: &str, target: &str, before: (&str, &str)) -> Act {
        let one = |tag: &str| (!tag.is_empty()).then(|| seen(tag));
        let before = (!before.0.is_empty())
            .then(|| Carried { source: seen(before.0), target: seen(before.1) });
        decide(phase, one(source).as_ref(), one(target).as_ref(), before.as_ref())
    }

    #[test]
    fn before_the_apps_change_over_the_target_becomes_the_source() {
        let before = |source, target, carried| act(Phase::Before, source, target, carried);
        assert_eq!(before("a", "", ("", "")), Act::Carry);
        assert_eq!(before("a", "A", ("a", "A")), Act::Nothing);
        assert_eq!(before("b", "A", ("a", "A")), Act::Carry);
        assert_eq!(before("a", "X", ("a", "A")), Act::Carry, "somebody else was there");
        assert_eq!(before("a", "", ("a", "A")), Act::Carry);
        assert_eq!(before("a", "A", ("", "")), Act::Compare, "what was carried is not known");
        assert_eq!(before("", "A", ("a", "A")), Act::Remove);
        assert_eq!(before("", "A", ("", "")), Act::Remove);
        assert_eq!(before("", "", ("a", "A")), Act::Nothing);
    }

    #[test]
    fn afterwards_what_the_app_wrote_into_the_target_stays() {
        let after = |source, target, carried| act(Phase::After, source, target, carried);
        assert_eq!(after("a", "A", ("a", "A")), Act::Nothing);
        assert_eq!(after("a", "X", ("a", "A")), Act::Nothing, "changed by the app");
        assert_eq!(after("a", "", ("a", "A")), Act::Nothing, "removed by the app");
        assert_eq!(after("", "X", ("", "")), Act::Nothing, "made by the app");
        assert_eq!(after("b", "A", ("a", "A")), Act::Carry, "written by an older dyno");
        assert_eq!(after("b", "", ("", "")), Act::Carry);
        assert_eq!(after("b", "X", ("a", "A")), Act::Nothing, "the app's is newer");
        assert_eq!(after("b", "X", ("", "")), Act::Nothing);
        assert_eq!(after("b", "", ("a", "A")), Act::Carry, "nothing is lost");
        assert_eq!(after("", "A", ("a", "A")), Act::Remove, "removed by an older dyno");
        assert_eq!(after("", "X", ("a", "A")), Act::Nothing);
    }

    #[test]
    fn tags_prove_only_what_they_are_sums_of() {
        let sum = "d41d8cd98f00b204e9800998ecf8427e";
        assert!(same_by_tag(&seen(sum), &seen(sum)));
        assert!(!same_by_tag(&seen(&format!("{sum}-2")), &seen(&format!("{sum}-2"))));
        assert!(!same_by_tag(&seen(sum), &Seen { size: 2, tag: sum.to_owned() }));
    }

    #[test]
    fn keys_that_an_address_cannot_hold_are_told() {
        for key in ["../x", "a/./b", "a/..", ".", ""] {
            assert!(cannot_be_asked_for(key), "{key}");
        }
        for key in ["a//b", "/a", "a/", "..a", "a.b/c..", "ü b"] {
            assert!(!cannot_be_asked_for(key), "{key}");
        }
    }
}
