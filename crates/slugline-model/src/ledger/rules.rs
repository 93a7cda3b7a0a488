//! The places, names and endings by which files are told apart.

use super::classes::{Class, Path};

/// Places for files that nobody keeps.
const TEMPORARY: [&str; 7] =
    ["/tmp/", "/var/tmp/", "/run/", "/var/run/", "/app/tmp/", "/dev/", "/etc/"];

/// What Heroku's Python buildpack, and ours, rewrite at each boot.
const BOOT: [&str; 3] = [".pth", ".egg-link", "__editable__"];

const PROCESS: [&str; 5] = [".pid", ".sock", ".lock", ".socket", "_history"];

/// Lists of dependencies, which are no locks of processes.
const LOCK_FILES: [&str; 10] = [
    "yarn.lock",
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pipfile.lock",
    "gemfile.lock",
    "composer.lock",
    "cargo.lock",
    "mix.lock",
    "bun.lock",
];

/// Caches whose names no app gives to anything else.
const TOOLS_CACHES: [&str; 24] = [
    "/__pycache__/",
    "/node_modules/.cache/",
    "/.npm/",
    "/.yarn/",
    "/.pnpm-store/",
    "/.bundle/cache/",
    "/.cache/",
    "/.next/cache/",
    "/.parcel-cache/",
    "/.sass-cache/",
    "/.webassets-cache/",
    "/.pytest_cache/",
    "/.mypy_cache/",
    "/.turbo/",
    "/.config/matplotlib/",
    "/.config/configstore/",
    "/.nv/",
    "/.local/share/virtualenv/",
    "/var/cache/",
    "/bootstrap/cache/",
    "/storage/framework/cache/",
    "/storage/framework/views/",
    "/storage/framework/testing/",
    "/bootsnap/",
];

const BYTECODE: [&str; 5] = [".pyc", ".pyo", ".rbc", ".jsc", ".tsbuildinfo"];

/// Names of caches: by no app's users, and made again by whoever finds none.
const CACHE_NAMES: [&str; 4] =
    [".eslintcache", ".webassets-cache", "celerybeat-schedule", ".ds_store"];

const DATABASE: [&str; 16] = [
    ".sqlite3",
    ".sqlite",
    ".sqlite2",
    ".db",
    ".db3",
    ".s3db",
    ".mdb",
    ".duckdb",
    ".duckdb.wal",
    ".rdb",
    ".aof",
    ".ldb",
    ".sst",
    ".realm",
    "-wal",
    "-shm",
];

const LOG_PLACES: [&str; 2] = ["/log/", "/logs/"];

const SESSION_PLACES: [&str; 5] =
    ["/sessions/", "/session/", "/flask_session/", "/.sessions/", "/storage/framework/sessions/"];

/// How the files of PHP's and of Django's sessions begin.
const SESSION_NAMES: [&str; 2] = ["sess_", "sessionid"];

const UPLOAD_PLACES: [&str; 11] = [
    "/media/",
    "/mediafiles/",
    "/uploads/",
    "/upload/",
    "/uploaded/",
    "/storage/",
    "/attachments/",
    "/avatars/",
    "/documents/",
    "/invoices/",
    "/thumbnails/",
];

const ASSET_PLACES: [&str; 12] = [
    "/static/",
    "/staticfiles/",
    "/static_root/",
    "/assets/",
    "/dist/",
    "/build/",
    "/.next/",
    "/_next/",
    "/.nuxt/",
    "/.output/",
    "/packs/",
    "/CACHE/",
];

const ASSETS: [&str; 18] = [
    ".css",
    ".js",
    ".mjs",
    ".map",
    ".woff",
    ".woff2",
    ".ttf",
    ".otf",
    ".eot",
    ".wasm",
    ".css.gz",
    ".js.gz",
    ".css.br",
    ".js.br",
    ".scss.css",
    ".less.css",
    ".css.zst",
    ".js.zst",
];

/// What tells pages which assets there are.
const ASSET_LISTS: [&str; 6] = [
    "staticfiles.json",
    "webpack-stats.json",
    "asset-manifest.json",
    "mix-manifest.json",
    ".vite/manifest.json",
    "build-manifest.json",
];

/// Caches by names that apps give them.
const CACHE_PLACES: [&str; 3] = ["/cache/", "/caches/", "/_cache/"];

const UPLOADS: [&str; 36] = [
    ".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".avif", ".heic", ".bmp", ".tif", ".tiff",
    ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".rtf", ".epub",
    ".csv", ".zip", ".mp3", ".mp4", ".m4a", ".wav", ".ogg", ".mov", ".mkv", ".webm", ".avi",
    ".ics", ".vcf", ".eml",
];

/// Smaller copies of pictures that somebody sent, made by whoever first asks for them.
const SMALLER_COPIES: [&str; 2] = ["/media/CACHE/", "/media/cache/"];

/// What package managers put there.
const DEPENDENCIES: [&str; 2] = ["/node_modules/", "/site-packages/"];

/// What follows from a file's directory alone: which of the places it lies in, as they are spelled.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "a place may be several")]
pub(super) struct Places {
    /// With a slash at its end.
    pub(super) directory: String,
    temporary: bool,
    python: bool,
    tools_cache: bool,
    dependencies: bool,
    session: bool,
    log: bool,
    upload: bool,
    asset: bool,
    cache: bool,
}

impl Places {
    pub(super) fn of(directory: &str) -> Self {
        let within = |places: &[&str]| places.iter().any(|place| directory.contains(place));
        Self {
            directory: directory.to_owned(),
            temporary: TEMPORARY.iter().any(|place| directory.starts_with(place)),
            python: within(&["/.heroku/python/"]),
            tools_cache: within(&TOOLS_CACHES) || within(&SMALLER_COPIES),
            dependencies: within(&DEPENDENCIES),
            session: within(&SESSION_PLACES),
            log: within(&LOG_PLACES),
            upload: within(&UPLOAD_PLACES),
            asset: within(&ASSET_PLACES),
            cache: within(&CACHE_PLACES),
        }
    }
}

/// Places and names that systems and runtimes gave themselves.
pub(super) fn by_runtime(path: &Path<'_>) -> Option<Class> {
    // Users are signed out, wherever their sessions lay.
    if path.starts(&["/tmp/"]) && SESSION_NAMES.iter().any(|name| path.name.starts_with(name)) {
        return Some(Class::Session);
    }
    if path.places.temporary {
        return Some(Class::Temporary);
    }
    if path.places.python && BOOT.iter().any(|part| path.whole.contains(part)) {
        return Some(Class::Boot);
    }
    let is_lock_file = || LOCK_FILES.contains(&path.name.to_ascii_lowercase().as_str());
    if path.ends(&PROCESS) && !is_lock_file() {
        return Some(Class::Process);
    }
    let is_cache = path.places.tools_cache || path.ends(&BYTECODE) || path.ends(&CACHE_NAMES);
    is_cache.then_some(Class::Cache)
}

pub(super) fn by_name(path: &Path<'_>) -> Option<Class> {
    if path.places.dependencies {
        return Some(Class::Other);
    }
    if path.ends(&DATABASE) || is_journal(path) || is_of_leveldb(path.name) {
        return Some(Class::Database);
    }
    let named = SESSION_NAMES.iter().any(|name| path.name.starts_with(name));
    if named || path.places.session {
        return Some(Class::Session);
    }
    (path.places.log || is_log(path)).then_some(Class::Log)
}

/// `SQLite`'s journal beside a database that has one of the usual endings.
fn is_journal(path: &Path<'_>) -> bool {
    let database = path.lower.strip_suffix("-journal");
    database.is_some_and(|database| DATABASE.iter().any(|ending| database.ends_with(ending)))
}

/// `MANIFEST-000004`, `000003.log`: a directory of `LevelDB`'s or `RocksDB`'s.
fn is_of_leveldb(name: &str) -> bool {
    let digits = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = name.strip_prefix("MANIFEST-").or_else(|| name.strip_suffix(".log"));
    parts.is_some_and(digits)
}

/// `app.log`, `app.log.1`, `app.log.2026-01-31`, and what a shell's `nohup` leaves.
fn is_log(path: &Path<'_>) -> bool {
    let name = path.name.to_ascii_lowercase();
    let rotated = || {
        name.split_once(".log.").is_some_and(|(_, rest)| {
            rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_'))
                || rest == "gz"
        })
    };
    name == "nohup.out" || path.ends(&[".log"]) || rotated()
}

pub(super) fn by_place(path: &Path<'_>) -> Option<Class> {
    // A style below a folder of uploads is one all the same, where pages load it from.
    let is_asset = path.ends(&ASSETS);
    if path.places.upload && !is_asset {
        return Some(Class::Upload);
    }
    if path.places.asset || is_asset || path.ends(&ASSET_LISTS) {
        return Some(Class::Asset);
    }
    if path.places.cache {
        return Some(Class::Cache);
    }
    path.ends(&UPLOADS).then_some(Class::Upload)
}
