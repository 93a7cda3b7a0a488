//! Where an archive's entry may lie: below the root, by names that every file system takes.

/// Why a path has no place below the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unplaceable {
    /// It starts with `/`.
    #[error("it is absolute")]
    Absolute,
    /// It has a `..` in it.
    #[error("it leads upwards")]
    Upwards,
    /// It holds a byte that no path can.
    #[error("no path can hold a zero byte")]
    Malformed,
    /// It is deeper, or longer, than a path may be wherever the app is.
    #[error("it lies too deep, or its name is too long")]
    TooDeep,
}

/// How many names a path may have. Deeper ones exist nowhere but in attacks.
const DEEPEST: usize = 128;

/// The longest path and the longest name (bytes): what Linux takes, less the way to the app.
const LONGEST_PATH: usize = 3_800;
const LONGEST_NAME: usize = 255;

/// An entry's path from the root, without `.` and doubled slashes; empty for the root itself.
pub fn normal(path: &[u8]) -> Result<Vec<u8>, Unplaceable> {
    if path.starts_with(b"/") {
        return Err(Unplaceable::Absolute);
    }
    if path.contains(&0) {
        return Err(Unplaceable::Malformed);
    }
    let names: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b".")).collect();
    if names.contains(&&b".."[..]) {
        return Err(Unplaceable::Upwards);
    }
    let normal = names.join(&b'/');
    let too_long = normal.len() > LONGEST_PATH || names.len() > DEEPEST;
    if too_long || names.iter().any(|name| name.len() > LONGEST_NAME) {
        return Err(Unplaceable::TooDeep);
    }
    Ok(normal)
}

/// What lies below `app/` in a path that was made normal: none for `app` itself and for the root.
pub(crate) fn below_app(normal: &[u8]) -> Place<'_> {
    match normal.strip_prefix(b"app") {
        Some([]) => Place::App,
        Some([b'/', below @ ..]) => Place::Below(below),
        _ if normal.is_empty() => Place::Root,
        _ => Place::Elsewhere,
    }
}

/// Where a path lies.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Root,
    App,
    Below(&'a [u8]),
    Elsewhere,
}

/// Whether a symbolic link may have this target.
pub(crate) fn is_target(target: &[u8]) -> bool {
    !target.is_empty() && target.len() <= LONGEST_PATH && !target.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_normal_or_refused() {
        assert_eq!(normal(b"./a/.//b/").unwrap(), b"a/b");
        assert_eq!(normal(b"./").unwrap(), b"");
        assert_eq!(normal(b"/etc/passwd"), Err(Unplaceable::Absolute));
        assert_eq!(normal(b"app/../../b"), Err(Unplaceable::Upwards));
        assert_eq!(normal(b"a\0b"), Err(Unplaceable::Malformed));
        assert_eq!(normal(&[b'x'; 256]), Err(Unplaceable::TooDeep));
        assert_eq!(normal("x/".repeat(129).as_bytes()), Err(Unplaceable::TooDeep));
    }

    #[test]
    fn only_what_lies_below_app_is_of_the_slug() {
        assert_eq!(below_app(b"app/a"), Place::Below(b"a"));
        assert_eq!(below_app(b"app"), Place::App);
        assert_eq!(below_app(b"apple"), Place::Elsewhere);
        assert_eq!(below_app(b"etc/app/x"), Place::Elsewhere);
    }
}
