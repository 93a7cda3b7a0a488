//! What of a data directory is backed up, and how.

use std::ffi::OsStr;
use std::path::Path;

/// What becomes of something in a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An SQLite database: a copy of it as it stands at one moment.
    Database,
    /// Whatever is made anew, or is of no use without the processes of this moment.
    Passing,
    /// Everything else, as it is.
    Kept,
}

/// At the top: live dynos and builds, caches of builds, and the mark of the running server.
const PASSING: [&str; 4] = ["dynos", "builds", "cache", "lock"];

/// In the slug store: what is not whole yet, and what is made anew from what is.
const PASSING_IN_STORE: [&str; 5] = ["staging", "checkouts", "layers", "bucket", "lock"];

/// What SQLite keeps beside a database.
const BESIDE_A_DATABASE: [&str; 3] = ["sqlite3-wal", "sqlite3-shm", "sqlite3-journal"];

/// The kind of what has this name, from the data directory on.
pub(super) fn kind(path: &Path) -> Kind {
    let names: Vec<&str> = path.iter().filter_map(OsStr::to_str).collect();
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    match names[..] {
        [name, ..] if PASSING.contains(&name) => Kind::Passing,
        ["s3" | "git", "lock"] | ["git", _, "lfs", "incoming", ..] => Kind::Passing,
        ["git", name, ..] if is_unfinished(name) => Kind::Passing,
        ["store", name, ..] if PASSING_IN_STORE.contains(&name) => Kind::Passing,
        // A push under way: what it brings is in quarantine, refs that it changes are locked.
        ["git", _, "objects", name] if name.starts_with("tmp_") => Kind::Passing,
        ["git", _, "objects", _, name] if name.starts_with("tmp_") => Kind::Passing,
        ["git", _, _, ..] if ending == "lock" => Kind::Passing,
        // Files of users may have any name, but their directories are known.
        [_] | ["s3", ..] if ending == "sqlite3" => Kind::Database,
        [_] | ["s3", ..] if BESIDE_A_DATABASE.contains(&ending) => Kind::Passing,
        _ => Kind::Kept,
    }
}

/// Repositories that are being made or removed, and those of a push's submodules.
fn is_unfinished(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "new" || ending == "going")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_kept() {
        for (path, expected) in [
            ("state.sqlite3", Kind::Database),
            ("state.sqlite3-wal", Kind::Passing),
            ("token", Kind::Kept),
            ("tls/ca.key", Kind::Kept),
            ("lock", Kind::Passing),
            ("dynos/1/disk", Kind::Passing),
            ("store/objects/ab/cd", Kind::Kept),
            ("s3/index.sqlite3", Kind::Database),
            ("s3/content/ab/cd", Kind::Kept),
            ("s3/secret.key", Kind::Kept),
            ("s3/lock", Kind::Passing),
            ("store/staging", Kind::Passing),
            ("store/checkouts/1.erofs", Kind::Passing),
            ("layers/1/app/db.sqlite3", Kind::Kept),
            ("layers/1/app/lock", Kind::Kept),
            ("git/1.git/HEAD", Kind::Kept),
            ("git/1.git/lfs/objects/4d/7a/4d7a", Kind::Kept),
            ("git/1.git/lfs/incoming/1", Kind::Passing),
            ("git/submodules-1.new/0/HEAD", Kind::Passing),
            ("git/1.git/objects/tmp_objdir-incoming-x/pack", Kind::Kept),
            ("git/1.git/objects/tmp_objdir-incoming-x", Kind::Passing),
            ("git/1.git/objects/pack/tmp_pack_x", Kind::Passing),
            ("git/1.git/objects/pack/pack-1.pack", Kind::Kept),
            ("git/1.git/refs/heads/main.lock", Kind::Passing),
            ("git/1.git/refs/heads/lock", Kind::Kept),
            ("git/lock", Kind::Passing),
        ] {
            assert_eq!(kind(Path::new(path)), expected, "{path}");
        }
    }
}
