//! What a file that a dyno wrote is for, judged by where it lies, what it is called and how it
//! begins.

use serde::{Deserialize, Serialize};

use super::ChangeKind;

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

const TEMPORARY: [&str; 5] = ["/tmp/", "/var/tmp/", "/run/", "/var/run/", "/app/tmp/"];
const BOOT: [&str; 3] = [".pth", ".egg-link", "__editable___"];
const PROCESS: [&str; 4] = [".pid", ".sock", ".lock", ".bash_history"];
const CACHE: [&str; 7] = [
    "/__pycache__/",
    "/node_modules/.cache/",
    "/.npm/",
    "/.bundle/cache/",
    "/.cache/",
    "/var/cache/",
    "/cache/",
];
const BYTECODE: [&str; 2] = [".pyc", ".pyo"];
const DATABASE: [&str; 12] = [
    ".sqlite3", ".sqlite", ".db", ".db3", ".mdb", ".duckdb", "-wal", "-shm", "-journal", ".rdb",
    ".aof", ".ldb",
];
const LOG: [&str; 2] = [".log", ".out"];
const ASSET_PLACES: [&str; 9] = [
    "/static/",
    "/staticfiles/",
    "/assets/",
    "/dist/",
    "/build/",
    "/.next/",
    "/_next/",
    "/packs/",
    "/CACHE/",
];
const ASSETS: [&str; 9] =
    [".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".eot", ".wasm"];
const UPLOAD_PLACES: [&str; 5] = ["/media/", "/uploads/", "/upload/", "/storage/", "/attachments/"];
const UPLOADS: [&str; 18] = [
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf", ".doc", ".docx", ".xls", ".xlsx",
    ".csv", ".zip", ".mp3", ".mp4", ".mov", ".avif", ".heic",
];

/// Says what a file is for. `scratch` are directories, absolute and without a slash at the end,
/// that the app declares as fine to lose.
pub fn classify(found: &Found<'_>, scratch: &[String]) -> Class {
    let path = found.path;
    let below = |directory: &String| {
        path.strip_prefix(directory.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    if scratch.iter().any(below) {
        return Class::Scratch;
    }
    let lower = path.to_ascii_lowercase();
    by_runtime(path)
        .or_else(|| by_head(found.head))
        .or_else(|| by_name(&lower))
        .or_else(|| by_place(path, &lower))
        .unwrap_or_default()
}

/// Whether how it begins may tell more than its name does. Opening each of many files takes time.
pub fn worth_opening(path: &str, bytes: u64) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    bytes >= 100
        && (!name.contains('.') || by_name(&path.to_ascii_lowercase()) == Some(Class::Database))
}

/// Places and names that systems and runtimes gave themselves.
fn by_runtime(path: &str) -> Option<Class> {
    let starts = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let ends = |endings: &[&str]| endings.iter().any(|ending| path.ends_with(ending));
    if starts(&TEMPORARY) || starts(&["/etc/"]) {
        return Some(Class::Temporary);
    }
    // Heroku's Python buildpack rewrites these at every boot.
    if path.contains("/.heroku/python/") && BOOT.iter().any(|part| path.contains(part)) {
        return Some(Class::Boot);
    }
    if ends(&PROCESS) {
        return Some(Class::Process);
    }
    let hidden = CACHE[..5].iter().any(|part| path.contains(part));
    (hidden || ends(&BYTECODE)).then_some(Class::Cache)
}

fn by_head(head: &[u8]) -> Option<Class> {
    head.starts_with(b"SQLite format 3\0").then_some(Class::Database)
}

fn by_name(lower: &str) -> Option<Class> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    let name = lower.rsplit('/').next().unwrap_or_default();
    if ends(&DATABASE) {
        return Some(Class::Database);
    }
    if lower.contains("/sessions/") || name.starts_with("sess_") || name.starts_with("sessionid") {
        return Some(Class::Session);
    }
    (ends(&LOG) || lower.contains("/log/") || lower.contains("/logs/")).then_some(Class::Log)
}

fn by_place(path: &str, lower: &str) -> Option<Class> {
    let within = |places: &[&str]| places.iter().any(|place| path.contains(place));
    let ends = |endings: &[&str]| endings.iter().any(|ending| lower.ends_with(ending));
    if within(&UPLOAD_PLACES) {
        return Some(Class::Upload);
    }
    if within(&ASSET_PLACES) || ends(&ASSETS) {
        return Some(Class::Asset);
    }
    if within(&CACHE) {
        return Some(Class::Cache);
    }
    ends(&UPLOADS).then_some(Class::Upload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(path: &str) -> Class {
        let found = Found { path, kind: ChangeKind::Created, bytes: 1_000, head: b"" };
        classify(&found, &["/app/thumbnails".to_owned()])
    }

    #[test]
    fn what_a_file_is_for_shows_in_its_place_and_name() {
        for (path, expected) in [
            ("/app/media/covers/a.png", Class::Upload),
            ("/app/invoice.pdf", Class::Upload),
            ("/app/db.sqlite3", Class::Database),
            ("/app/db.sqlite3-wal", Class::Database),
            ("/app/static/CACHE/css/out.css", Class::Asset),
            ("/app/staticfiles/app.1234.js", Class::Asset),
            ("/app/sessions/sess_1", Class::Session),
            ("/app/logs/app.log", Class::Log),
            ("/app/library/__pycache__/a.pyc", Class::Cache),
            ("/app/gunicorn.pid", Class::Process),
            ("/app/.heroku/python/lib/python3.11/site-packages/a.pth", Class::Boot),
            ("/tmp/x", Class::Temporary),
            ("/app/thumbnails/a.png", Class::Scratch),
            ("/app/thumbnails.txt", Class::Other),
            ("/app/notes", Class::Other),
        ] {
            assert_eq!(class(path), expected, "{path}");
        }
    }

    #[test]
    fn a_database_shows_in_its_first_bytes() {
        let head = b"SQLite format 3\0more";
        let found =
            Found { path: "/app/data/store", kind: ChangeKind::Created, bytes: 8_192, head };
        assert_eq!(classify(&found, &[]), Class::Database);
        assert!(worth_opening(found.path, found.bytes) && !worth_opening("/app/a.png", 8_192));
    }
}
