//! The operator's configuration file: TOML, one table a subject.
//!
//! What a table may hold is its type here, and nothing else is accepted. A new subject is a field
//! of [`File`].

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use slugline_model::cycle::Cycle;
use slugline_model::kept::Keeping;
use slugline_model::message::Message;
use slugline_model::mirror::{Mirror, MirrorTarget};
use slugline_model::network::NetworkOptions;
use slugline_model::outbound::Outbound;
use slugline_model::retention::Policy;
use slugline_model::stack::{HEROKU_STACKS, PAST_STACKS, announced};
use slugline_platform::Acme;
use slugline_platform::Declared;
use slugline_store::bucket::BucketSettings;
use toml::Spanned;

use crate::acme_settings::{self, AcmeTable};
use crate::addon_settings::{AddonTable, declared};
use crate::bucket::{StoreTable, Wrong};
use crate::dyno_settings::DynosTable;
use crate::layer_settings::LayersTable;
use crate::network::{NetworkTable, OutboundTable};
use crate::objects::{ObjectsTable, Outside};

/// What the file is called where nobody names another.
const NAME: &str = "slugline.toml";

/// What there is to decide, for those who wrote something else.
const TABLES: &str = "There are eleven tables: [acme], with `directory`, `contact` and `trust`; \
    [addons.NAME], with `plans`; [build], with `stack` and the table `mirrors`; [dynos], with `cycle` \
    and `window`; [layers], with `grace` and `quota`; [network], with `subnet` and `reach`; \
    [outbound], with `allow`; [backups], [logs], [s3] and [store], with `bucket`, `endpoint`, `region`, `path_style`, \
    `credentials`, and for [store] `collect`, for [s3] `users`.";

/// What the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// Which of Heroku's stacks builds are told that they run on.
    pub(crate) stack: String,
    /// Where builds fetch from instead.
    pub(crate) mirrors: Vec<Mirror>,
    /// Where slugs are kept beside the data directory.
    pub(crate) bucket: Option<BucketSettings>,
    /// Which slugs are kept.
    pub(crate) retention: Policy,
    /// When dynos are cycled; none for never.
    pub(crate) cycle: Option<Cycle>,
    /// For how long, and how much of, what dynos wrote is kept.
    pub(crate) keeping: Keeping,
    /// Where dynos' addresses come from, and what of this machine they reach.
    pub(crate) network: NetworkOptions,
    /// What the server connects to because a user says so.
    pub(crate) outbound: Outbound,
    /// Who issues certificates for apps' domains.
    pub(crate) acme: Acme,
    /// Services that apps may have as add-ons.
    pub(crate) addons: Vec<Declared>,
    /// Where apps get buckets, or parts of one, beside the embedded server.
    pub(crate) objects: Option<Outside>,
    /// The bucket that backups go to.
    pub(crate) backups: Option<BucketSettings>,
    /// The bucket that outputs of builds and release phases go to.
    pub(crate) logs: Option<BucketSettings>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    acme: AcmeTable,
    addons: BTreeMap<Spanned<String>, AddonTable>,
    backups: ObjectsTable,
    build: Build,
    dynos: DynosTable,
    layers: LayersTable,
    logs: ObjectsTable,
    network: NetworkTable,
    outbound: OutboundTable,
    s3: ObjectsTable,
    store: StoreTable,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Build {
    stack: Option<Spanned<String>>,
    mirrors: BTreeMap<Spanned<String>, Spanned<String>>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigurationError {
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("parse {}", path.display())]
    Parse { path: PathBuf, line: usize, found: String },
    #[error("use the stack `{value}` of {}", path.display())]
    Stack { path: PathBuf, line: usize, value: String },
    #[error("use `{value}` for the network of {}", path.display())]
    Network { path: PathBuf, line: usize, value: String, found: String },
    #[error("use `{value}` for what is reached for users of {}", path.display())]
    Outbound { path: PathBuf, line: usize, value: String, found: String },
    #[error("use `{value}` for the add-ons of {}", path.display())]
    Addons { path: PathBuf, line: usize, value: String, found: String },
    #[error("use `{value}` for the buckets of {}", path.display())]
    Objects { path: PathBuf, line: usize, value: String, found: String },
    #[error("use `{value}` for the certificates of {}", path.display())]
    Acme { path: PathBuf, line: usize, value: String, found: String },
    #[error("use the quota `{value}` of {}", path.display())]
    Quota { path: PathBuf, line: usize, value: String },
    #[error("use `{value}` for the dynos of {}", path.display())]
    Dynos { path: PathBuf, line: usize, value: String },
    #[error("use `{value}` for the kept layers of {}", path.display())]
    Layers { path: PathBuf, line: usize, value: String },
    #[error("use the mirror `{value}` of {}", path.display())]
    Mirror { path: PathBuf, line: usize, value: String, found: String },
    #[error("use `{value}` for the store of {}", path.display())]
    Store { path: PathBuf, line: usize, value: String, found: String },
}

impl Configuration {
    /// Reads the file that was named, else the one in the data directory if there is one.
    pub(crate) fn load(named: Option<&Path>, data_dir: &Path) -> Result<Self, ConfigurationError> {
        let path = named.map_or_else(|| data_dir.join(NAME), Path::to_path_buf);
        match fs_err::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            // A data directory that is none is said by whoever uses it.
            Err(error) if named.is_none() && is_absent(&error) => Self::parse("", &path),
            Err(source) => Err(ConfigurationError::Read { path, source }),
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, ConfigurationError> {
        let file: File = toml::from_str(text).map_err(|error| ConfigurationError::Parse {
            path: path.to_path_buf(),
            line: line(text, error.span()),
            found: error.message().to_owned(),
        })?;
        let mirrors = file.build.mirrors.iter().map(|(from, to)| mirror(text, path, from, to));
        Ok(Self {
            stack: stack(text, path, file.build.stack.as_ref())?,
            mirrors: mirrors.collect::<Result<_, _>>()?,
            bucket: bucket(text, path, &file.store)?,
            retention: file.store.policy(text, path)?,
            cycle: file.dynos.cycle(text, path)?,
            keeping: file.layers.keeping(text, path)?,
            network: network(text, path, &file.network)?,
            outbound: outbound(text, path, &file.outbound)?,
            acme: acme(text, path, &file.acme)?,
            addons: addons(text, path, &file.addons)?,
            objects: objects(text, path, file.s3.outside(path))?,
            backups: objects(text, path, file.backups.settings(path))?,
            logs: objects(text, path, file.logs.settings(path))?,
        })
    }
}

/// The stack that is asked for, else the newest one whose programs the host runs.
fn stack(
    text: &str,
    path: &Path,
    asked: Option<&Spanned<String>>,
) -> Result<String, ConfigurationError> {
    let Some(asked) = asked else { return Ok(announced(host_glibc().as_deref()).to_owned()) };
    let value = asked.get_ref().clone();
    if PAST_STACKS.into_iter().chain(HEROKU_STACKS.map(|(name, _)| name)).any(|name| name == value)
    {
        return Ok(value);
    }
    let line = line(text, Some(asked.span()));
    Err(ConfigurationError::Stack { path: path.to_path_buf(), line, value })
}

fn bucket(
    text: &str,
    path: &Path,
    table: &StoreTable,
) -> Result<Option<BucketSettings>, ConfigurationError> {
    table.settings(path, |name| std::env::var(name).ok()).map_err(|wrong| {
        ConfigurationError::Store {
            path: path.to_path_buf(),
            line: line(text, wrong.place),
            value: wrong.value,
            found: wrong.found,
        }
    })
}

fn network(
    text: &str,
    path: &Path,
    table: &NetworkTable,
) -> Result<NetworkOptions, ConfigurationError> {
    table.options().map_err(|wrong| ConfigurationError::Network {
        path: path.to_path_buf(),
        line: line(text, Some(wrong.place)),
        value: wrong.value,
        found: wrong.found,
    })
}

fn outbound(
    text: &str,
    path: &Path,
    table: &OutboundTable,
) -> Result<Outbound, ConfigurationError> {
    table.outbound().map_err(|wrong| ConfigurationError::Outbound {
        path: path.to_path_buf(),
        line: line(text, Some(wrong.place)),
        value: wrong.value,
        found: wrong.found,
    })
}

fn objects<T>(text: &str, path: &Path, found: Result<T, Wrong>) -> Result<T, ConfigurationError> {
    found.map_err(|wrong| ConfigurationError::Objects {
        path: path.to_path_buf(),
        line: line(text, wrong.place),
        value: wrong.value,
        found: wrong.found,
    })
}

fn addons(
    text: &str,
    path: &Path,
    tables: &BTreeMap<Spanned<String>, AddonTable>,
) -> Result<Vec<Declared>, ConfigurationError> {
    declared(tables).map_err(|wrong| ConfigurationError::Addons {
        path: path.to_path_buf(),
        line: line(text, Some(wrong.place)),
        value: wrong.value,
        found: wrong.found,
    })
}

fn acme(text: &str, path: &Path, table: &AcmeTable) -> Result<Acme, ConfigurationError> {
    table.settings(path).map_err(|wrong| ConfigurationError::Acme {
        path: path.to_path_buf(),
        line: line(text, Some(wrong.place)),
        value: wrong.value,
        found: wrong.found,
    })
}

/// `2.36`; none where the C library is another one.
fn host_glibc() -> Option<String> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().strip_prefix("glibc ")?.to_owned())
}

fn mirror(
    text: &str,
    path: &Path,
    from: &Spanned<String>,
    to: &Spanned<String>,
) -> Result<Mirror, ConfigurationError> {
    let wrong = |at: &Spanned<String>, found: &str| ConfigurationError::Mirror {
        path: path.to_path_buf(),
        line: line(text, Some(at.span())),
        value: at.get_ref().clone(),
        found: found.to_owned(),
    };
    if !from.get_ref().contains("://") {
        return Err(wrong(from, "It is no URL."));
    }
    if !from.get_ref().ends_with('/') {
        return Err(wrong(from, "It does not end with a slash."));
    }
    let target = target(to.get_ref(), path).map_err(|found| wrong(to, &found))?;
    Ok(Mirror { from: from.get_ref().clone(), to: target })
}

/// A URL, or a directory, which may be named from where the file is.
fn target(value: &str, file: &Path) -> Result<MirrorTarget, String> {
    if value.contains("://") {
        let whole = value.ends_with('/');
        return if whole {
            Ok(MirrorTarget::Url(value.to_owned()))
        } else {
            Err("It does not end with a slash.".to_owned())
        };
    }
    let path = file.parent().unwrap_or(Path::new("")).join(value);
    let path = path.canonicalize().map_err(|error| format!("{}: {error}.", path.display()))?;
    if !path.is_dir() {
        return Err(format!("{} is no directory.", path.display()));
    }
    Ok(MirrorTarget::Directory(path))
}

/// The line that a place in a text is on, counted from one.
pub(crate) fn line(text: &str, place: Option<Range<usize>>) -> usize {
    let start = place.map_or(0, |place| place.start).min(text.len());
    String::from_utf8_lossy(&text.as_bytes()[..start]).matches('\n').count() + 1
}

impl ConfigurationError {
    /// For the operator at a terminal.
    pub(crate) fn explain(&self) -> Message {
        let (what, found, allowed, next) = match self {
            Self::Read { path, source } => (
                format!("cannot read the configuration {}", path.display()),
                source.to_string(),
                "It is a TOML file that this user may read.".to_owned(),
                "slugline … --config FILE".to_owned(),
            ),
            Self::Parse { path, line, found } => (
                format!("cannot understand {}, line {line}", path.display()),
                found.clone(),
                TABLES.to_owned(),
                edit(path, *line),
            ),
            Self::Stack { path, line, value } => (
                format!("cannot announce the stack `{value}`: {}, line {line}", path.display()),
                "Buildpacks know other names only.".to_owned(),
                format!(
                    "It is one of {}; for old buildpacks also {}.",
                    HEROKU_STACKS.map(|(name, _)| name).join(", "),
                    PAST_STACKS.join(" and ")
                ),
                edit(path, *line),
            ),
            Self::Network { path, line, value, found } => (
                format!("cannot use `{value}` for dynos' networks: {}, line {line}", path.display()),
                found.clone(),
                "[network] has `subnet`, a private network such as \"10.213.0.0/16\", and `reach`, \
                 ports of this machine that dynos reach, such as [\"127.0.0.1:5432\"]."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Outbound { path, line, value, found } => (
                format!("cannot use `{value}` in [outbound]: {}, line {line}", path.display()),
                found.clone(),
                "[outbound] has `allow`, addresses of the server's own that log drains, \
                 webhooks and submodules may reach: [\"127.0.0.1\", \"169.254.0.0/16\"]."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Addons { path, line, value, found } => (
                format!("cannot use `{value}` in [addons]: {}, line {line}", path.display()),
                found.clone(),
                crate::addon_settings::ALLOWED.to_owned(),
                edit(path, *line),
            ),
            Self::Objects { path, line, value, found } => (
                format!("cannot use `{value}` in [s3]: {}, line {line}", path.display()),
                found.clone(),
                crate::objects::ALLOWED.to_owned(),
                edit(path, *line),
            ),
            Self::Acme { path, line, value, found } => (
                format!("cannot use `{value}` in [acme]: {}, line {line}", path.display()),
                found.clone(),
                acme_settings::ALLOWED.to_owned(),
                edit(path, *line),
            ),
            Self::Quota { path, line, value } => (
                format!("cannot use the quota `{value}`: {}, line {line}", path.display()),
                "It is no size.".to_owned(),
                "A quota is a number of at least 1 and a unit: \"20 GB\", \"500 MB\", \"1 TB\"."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Dynos { path, line, value } => (
                format!("cannot use `{value}` for dynos: {}, line {line}", path.display()),
                "It is neither an age nor a part of the day.".to_owned(),
                "`cycle` is how old a dyno gets, of at least an hour: \"24h\", \"90m\", or \"off\". \
                 `window` is when of the day it may be cycled, in UTC: \"02:00-05:00\", or \"off\"."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Layers { path, line, value } => (
                format!("cannot use `{value}` for kept layers: {}, line {line}", path.display()),
                "It is neither a time nor a size.".to_owned(),
                "`grace` is how long what a dyno wrote can be restored: \"24h\", \"7d\", or \"off\". \
                 `quota` is how much of all dynos together is kept: \"2 GB\", \"500 MB\"."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Mirror { path, line, value, found } => (
                format!("cannot use `{value}` in a mirror: {}, line {line}", path.display()),
                found.clone(),
                "A mirror is \"https://host/path/\" = \"https://mirror/path/\", or a directory in \
                 the place of the second one. Addresses end with a slash."
                    .to_owned(),
                edit(path, *line),
            ),
            Self::Store { path, line, value, found } => (
                format!("cannot use `{value}` for the store: {}, line {line}", path.display()),
                found.clone(),
                "[store] has `bucket`, as \"s3://NAME/PREFIX\", and where it is not Amazon's \
                 `endpoint`, as \"https://HOST\". Credentials are in AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, or in a file that `credentials` names."
                    .to_owned(),
                edit(path, *line),
            ),
        };
        let state = "Nothing was started or changed.".to_owned();
        Message { what, found, allowed, next, state }
    }
}

fn edit(path: &Path, line: usize) -> String {
    format!("vi +{line} {}", path.display())
}

fn is_absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slugline_store::bucket::Credentials;

    fn parse(text: &str) -> Result<Configuration, ConfigurationError> {
        Configuration::parse(text, Path::new("/etc/slugline.toml"))
    }

    fn refused(text: &str) -> String {
        let message = parse(text).unwrap_err().explain();
        assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
        message.plain()
    }

    #[test]
    fn mirrors_are_addresses_or_directories() {
        let parsed = parse(
            "[build]\nstack = \"heroku-24\"\n[build.mirrors]\n\
             \"https://a.example/\" = \"https://m.example/a/\"\n\"https://b.example/\" = \"/usr\"\n",
        );
        let mirror = |from: &str, to| Mirror { from: from.to_owned(), to };
        assert_eq!(
            parsed.unwrap(),
            Configuration {
                stack: "heroku-24".to_owned(),
                mirrors: vec![
                    mirror(
                        "https://a.example/",
                        MirrorTarget::Url("https://m.example/a/".to_owned())
                    ),
                    mirror("https://b.example/", MirrorTarget::Directory("/usr".into())),
                ],
                bucket: None,
                retention: Policy::default(),
                cycle: Some(Cycle::default()),
                keeping: Keeping::default(),
                network: NetworkOptions::default(),
                outbound: Outbound::default(),
                acme: Acme::default(),
                addons: vec![],
                objects: None,
                backups: None,
                logs: None,
            }
        );
    }

    #[test]
    fn a_bucket_has_an_address_and_credentials() {
        let there = tempfile::tempdir().unwrap();
        let file = there.path().join("slugline.toml");
        let text = "[store]\nbucket = \"s3://slugs/house\"\nendpoint = \"https://s3.example\"\n\
                    region = \"garage\"\ncredentials = \"keys\"\ncollect = true\n";
        std::fs::write(&file, text).unwrap();
        let bucket = Configuration::load(None, there.path()).unwrap().bucket.unwrap();
        assert_eq!(bucket.shown(), "s3://slugs/house");
        assert_eq!(bucket.credentials, Credentials::File(there.path().join("keys")));
        assert!(bucket.path_style && bucket.collect && bucket.region == "garage");
        let table = "bucket = \"s3://slugs\"";
        let table: StoreTable = toml::from_str(table).unwrap();
        let set = |name: &str| name.starts_with("AWS_").then(|| "x".to_owned());
        let settings = table.settings(&file, set).ok().flatten().unwrap();
        assert!(matches!(settings.credentials, Credentials::Given(_)));
        assert!(!settings.path_style);
        let none = table.settings(&file, |_| None).err().unwrap();
        assert!(none.found.contains("AWS_ACCESS_KEY_ID"), "{}", none.found);
    }

    #[test]
    fn a_directory_may_be_named_from_where_the_file_is() {
        let there = tempfile::tempdir().unwrap();
        std::fs::create_dir(there.path().join("archives")).unwrap();
        let file = there.path().join("slugline.toml");
        std::fs::write(&file, "[build.mirrors]\n\"https://b.example/\" = \"archives\"\n").unwrap();
        let loaded = Configuration::load(None, there.path()).unwrap();
        let archives = there.path().join("archives").canonicalize().unwrap();
        assert_eq!(loaded.mirrors[0].to, MirrorTarget::Directory(archives));
    }

    #[test]
    fn no_file_is_fine_unless_it_was_named() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(Configuration::load(None, empty.path()).unwrap().mirrors, []);
        let named = Configuration::load(Some(Path::new("/nowhere.toml")), empty.path());
        assert!(matches!(named, Err(ConfigurationError::Read { .. })));
    }

    #[test]
    fn the_store_keeps_as_much_as_it_is_told_to() {
        let parsed = parse("[store]\nkeep_releases = 3\nkeep_days = 90\nquota = \"1.5 GB\"\n");
        let policy = Policy { releases: 3, days: Some(90), quota: Some(1_500_000_000) };
        assert_eq!(parsed.unwrap().retention, policy);
        assert_eq!(parse("[store]\n").unwrap().retention, Policy::default());
    }

    #[test]
    fn dynos_get_addresses_and_reach_what_they_are_allowed_to() {
        let reach = "reach = [\"127.0.0.1:6379\", \"127.0.0.1:5432\"]\n";
        let parsed = parse(&format!("[network]\nsubnet = \"172.20.0.0/20\"\n{reach}")).unwrap();
        assert_eq!(parsed.network.subnet.to_string(), "172.20.0.0/20");
        let reached: Vec<String> =
            parsed.network.reach.iter().map(|reach| reach.to.to_string()).collect();
        assert_eq!(reached, ["127.0.0.1:5432", "127.0.0.1:6379"]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, lines) in [
            ("[build]\nstakc = 1", ["/etc/slugline.toml, line 2", "unknown field `stakc`"]),
            ("\n[run]", ["/etc/slugline.toml, line 2", "unknown field `run`"]),
            ("[build]\nstack = \"cedar\"", ["`cedar`: /etc/slugline.toml, line 2", "heroku-22"]),
            (
                "[build.mirrors]\n\"https://a.example\" = \"/usr\"",
                ["`https://a.example` in a mirror: /etc/slugline.toml, line 2", "end with a slash"],
            ),
            (
                "[build.mirrors]\n\"https://a.example/\" = \"nowhere\"",
                ["`nowhere` in a mirror: /etc/slugline.toml, line 2", "No such file"],
            ),
            ("[build.mirrors]\n\"a\" = \"/usr\"", ["line 2", "It is no URL."]),
            ("[store]\nbukket = \"s3://a\"", ["line 2", "unknown field `bukket`"]),
            ("[store]\nbucket = \"slugs\"", ["`slugs`", "does not start with s3://"]),
            ("[store]\nregion = \"eu\"", ["`eu`", "There is no `bucket`"]),
            (
                "[store]\nbucket = \"s3://slugs\"\nendpoint = \"https://u:p@host/\"",
                ["line 3", "It is no address of a server"],
            ),
            ("[store]\n\nquota = \"much\"", ["`much`: /etc/slugline.toml, line 3", "20 GB"]),
            (
                "[layers]\n\ngrace = \"1y\"",
                ["`1y` for kept layers: /etc/slugline.toml, line 3", "7d"],
            ),
            ("[network]\nsubnet = \"8.8.8.0/24\"", ["`8.8.8.0/24`", "somebody on the internet"]),
            ("[network]\nreach = [\"10.0.0.1:80\"]", ["line 2", "no port of 127.0.0.1"]),
            ("[addons.x]\n", ["`x` in [addons]: /etc/slugline.toml, line 1", "It has no plan."]),
            ("[acme]\n\ndirectory = \"http://a\"", ["`http://a` in [acme]", "line 3"]),
            ("[acme]\ncontact = \"me\"", ["`me` in [acme]", "line 2"]),
            ("[acme]\ntrust = \"/nowhere.pem\"", ["`/nowhere.pem` in [acme]", "No such file"]),
            ("[store]\nkeep = 1", ["/etc/slugline.toml", "unknown field `keep`"]),
        ] {
            let message = refused(text);
            for line in lines {
                assert!(message.contains(line), "{text:?}: {message}");
            }
        }
    }
}
