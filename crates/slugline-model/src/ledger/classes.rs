//! What a file that a dyno wrote is for, judged by where it lies, what it is called and how it
//! begins.

use serde::{Deserialize, Serialize};

use super::ChangeKind;
use super::rules::{self, Places};

/// What a file is for, and with that, what to do about it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody gave it to the app, or the app made it for somebody: pictures, documents.
    Upload,
    /// A database, or a part of one.
    Database,
    /// What pages load: styles, scripts, fonts, and what they were made into.
    Asset,
    /// Sessions of the app's users.
    Session,
    /// Can be made again: caches and bytecode.
    Cache,
    /// What the app logs to files.
    Log,
    /// Files of processes that run: their numbers, locks and sockets.
    Process,
    /// What a runtime rewrites at each boot.
    Boot,
    /// In a place for files that nobody keeps.
    Temporary,
    /// In a directory that the app declares as fine to lose.
    Scratch,
    /// Somebody may miss it.
    #[default]
    Other,
}

impl Class {
    /// Whether nobody misses such a file.
    pub fn is_noise(self) -> bool {
        use Class::{Boot, Cache, Process, Scratch, Temporary};
        matches!(self, Cache | Process | Boot | Temporary | Scratch)
    }

    /// As it is spelled in JSON and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Upload => "upload",
            Class::Database => "database",
            Class::Asset => "asset",
            Class::Session => "session",
            Class::Cache => "cache",
            Class::Log => "log",
            Class::Process => "process",
            Class::Boot => "boot",
            Class::Temporary => "temporary",
            Class::Scratch => "scratch",
            Class::Other => "other",
        }
    }
}

/// What is known of a file.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// Absolute in the dyno.
    pub path: &'a str,
    /// What became of it.
    pub kind: ChangeKind,
    /// Its size (bytes).
    pub bytes: u64,
    /// How it begins: at most [`HEAD`] bytes, none where nobody looked.
    pub head: &'a [u8],
}

/// How much of a file's beginning tells what it is (bytes).
pub const HEAD: usize = 64;

/// Says what a file is for. `scratch` are directories, absolute and without a slash at the end,
/// that the app declares as fine to lose.
pub fn classify(found: &Found<'_>, scratch: &[String]) -> Class {
    Classifier::new(scratch).classify(found)
}

/// Classifies many files: what follows from a directory is found out once for those that come one
/// after the other.
#[derive(Debug)]
pub struct Classifier<'a> {
    scratch: &'a [String],
    places: Places,
}

impl<'a> Classifier<'a> {
    /// With the app's own directories, see [`classify`].
    pub fn new(scratch: &'a [String]) -> Self {
        Self { scratch, places: Places::default() }
    }

    /// See [`classify`].
    pub fn classify(&mut self, found: &Found<'_>) -> Class {
        let path = found.path;
        let below = |directory: &String| {
            path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        if self.scratch.iter().any(below) {
            return Class::Scratch;
        }
        by_rules(&Path::of(path, &mut self.places), found.head)
    }

    /// Whether how it begins may tell more than its name does. Opening each of many files takes
    /// time.
    pub fn is_worth_opening(&mut self, path: &str, bytes: u64) -> bool {
        const SMALLEST: u64 = 100;
        if bytes < SMALLEST {
            return false;
        }
        let path = Path::of(path, &mut self.places);
        let may_be_any = !path.name.contains('.') || path.ends(&UNTOLD);
        may_be_any && rules::by_runtime(&path).is_none() && rules::by_name(&path).is_none()
    }
}

fn by_rules(path: &Path<'_>, head: &[u8]) -> Class {
    rules::by_runtime(path)
        .or_else(|| by_head(head))
        .or_else(|| rules::by_name(path))
        .or_else(|| rules::by_place(path))
        .unwrap_or_default()
}

/// Endings of databases and of much else.
const UNTOLD: [&str; 7] = [".dat", ".data", ".bin", ".dbm", ".bdb", ".store", ".kv"];

/// How databases begin: where (bytes), and with what.
const MAGIC: [(usize, &[u8]); 15] = [
    (0, b"SQLite format 3\0"),
    // SQLite's journal, and its log in either order of bytes.
    (0, &[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]),
    (0, &[0x37, 0x7f, 0x06, 0x82]),
    (0, &[0x37, 0x7f, 0x06, 0x83]),
    // LMDB: 0xbeefc0de behind a page's header.
    (16, &[0xde, 0xc0, 0xef, 0xbe]),
    (8, b"DUCK"),
    // Berkeley DB: a tree, a hash, a queue; in either order of bytes.
    (12, &[0x62, 0x31, 0x05, 0x00]),
    (12, &[0x00, 0x05, 0x31, 0x62]),
    (12, &[0x61, 0x15, 0x06, 0x00]),
    (12, &[0x00, 0x06, 0x15, 0x61]),
    (12, &[0x53, 0x22, 0x04, 0x00]),
    // GNU dbm.
    (0, &[0xce, 0x9a, 0x57, 0x13]),
    (0, &[0xcf, 0x9a, 0x57, 0x13]),
    (0, &[0xcd, 0x9a, 0x57, 0x13]),
    (0, b"REDIS0"),
];

fn by_head(head: &[u8]) -> Option<Class> {
    let begins =
        |(at, magic): &(usize, &[u8])| head.get(*at..).is_some_and(|from| from.starts_with(magic));
    MAGIC.iter().any(begins).then_some(Class::Database)
}

/// A path as the rules look at it.
pub(super) struct Path<'a> {
    /// As it is.
    pub(super) whole: &'a str,
    /// In lower case.
    pub(super) lower: String,
    /// Its last part, as it is.
    pub(super) name: &'a str,
    /// What its directory says.
    pub(super) places: &'a Places,
}

impl<'a> Path<'a> {
    /// With what is known of the directory that was asked for last.
    pub(super) fn of(whole: &'a str, places: &'a mut Places) -> Self {
        let (directory, name) = whole.split_at(whole.rfind('/').map_or(0, |at| at + 1));
        if places.directory != directory {
            *places = Places::of(directory);
        }
        Self { whole, lower: whole.to_ascii_lowercase(), name, places }
    }

    /// Whether it ends so, in either case.
    pub(super) fn ends(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.lower.ends_with(ending))
    }

    pub(super) fn starts(&self, places: &[&str]) -> bool {
        places.iter().any(|place| self.whole.starts_with(place))
    }
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
