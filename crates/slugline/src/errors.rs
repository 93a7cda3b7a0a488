//! Why a command could not do what it was asked for, and how that is said.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use slugline_model::build::exit_code;
use slugline_model::message::Message;

use crate::backup::BackupError;
use crate::configuration::ConfigurationError;
use crate::ledger::RestoreError;
use crate::slug_exchange::SlugExchangeError;
use crate::storage::StorageCommandError;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("listen on {}", SocketAddr::new(*address, *port))]
    Listen { address: IpAddr, port: u16, flag: &'static str, source: std::io::Error },
    #[error("listen on {bind} without a domain")]
    Domain { bind: IpAddr },
    #[error("use the data directory {}", path.display())]
    DataDirectory { path: PathBuf, source: std::io::Error },
    #[error("lock the data directory {}", path.display())]
    DataDirectoryInUse { path: PathBuf, owner: String },
    #[error("read the configuration")]
    Configuration(#[from] ConfigurationError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("take signals")]
    Signals { source: std::io::Error },
    #[error("give way to {}", program.display())]
    Upgrade { program: PathBuf, found: String },
    #[error("find a data directory")]
    NoDataDirectory,
    #[error("start the platform")]
    Start(#[from] slugline_platform::StartError),
    #[error("use the bucket of the slug store")]
    Bucket(#[from] slugline_store::bucket::BucketError),
    #[error("open the slug store")]
    Store(#[from] slugline_store::StoreError),
    #[error("open the objects of apps")]
    Objects(#[from] slugline_s3::StorageError),
    #[error("start the engine")]
    Engine(#[from] slugline_model::port::EngineError),
    #[error("open the logs in {}", path.display())]
    Logs { path: PathBuf, source: std::io::Error },
    #[error("read the source in {}", path.display())]
    Source { path: PathBuf, source: std::io::Error },
    #[error("name the app")]
    AppName { wanted: String },
    #[error("talk to the Platform API: {what}")]
    Api { what: String, found: String },
    #[error("talk to the server: {what}")]
    Connection { what: String, port: u16, found: String },
    #[error("ask the server: {what}")]
    Refused { what: String, found: String },
    #[error("read the server's token in {}", path.display())]
    NoToken { path: PathBuf, source: std::io::Error },
    #[error("write {}", path.display())]
    Destination { path: PathBuf, source: std::io::Error },
    #[error("pass a slug on")]
    SlugExchange(#[from] SlugExchangeError),
    #[error("use the bucket of an app")]
    Storage(#[from] StorageCommandError),
    #[error("restore files")]
    Restore(#[from] RestoreError),
    #[error("bake files of {dyno}")]
    NotBaked { dyno: String, found: String },
    #[error("find a build of {app}")]
    NoBuild { app: String, wanted: Option<String>, known: Vec<String> },
}

impl CommandError {
    /// By phase, as for builds.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Source { .. } | Self::AppName { .. } => exit_code::SOURCE,
            Self::Store(_) => exit_code::STORE,
            _ => exit_code::INTERNAL,
        }
    }

    /// The same error, for a command whose server is another process.
    pub(crate) fn of_a_client(self) -> Self {
        match self {
            Self::Api { what, found } => Self::Refused { what, found },
            other => other,
        }
    }

    /// Whether the server was not reached, or went away: it may come back.
    pub(crate) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Connection { .. })
    }

    /// For the operator at a terminal.
    pub(crate) fn explain(&self) -> Message {
        let state = "Nothing was started or changed.".to_owned();
        let message = |what: String, found: String, allowed: &str, next: &str| Message {
            what,
            found,
            allowed: allowed.to_owned(),
            next: next.to_owned(),
            state: state.clone(),
        };
        match self {
            Self::Domain { bind } => no_domain(*bind),
            Self::Listen { address, port, flag, source } => message(
                format!("cannot listen on {}", SocketAddr::new(*address, *port)),
                if source.kind() == std::io::ErrorKind::AddrInUse {
                    format!("Port {port} is already taken by another program.")
                } else {
                    source.to_string()
                },
                "Any free port will do.",
                &format!("slugline … {flag} {}", port.saturating_add(1)),
            ),
            Self::Backup(error) => error.explain(),
            Self::Upgrade { program, found } => no_upgrade(program, found),
            Self::DataDirectory { path, source } => message(
                format!("cannot use the data directory {}", path.display()),
                source.to_string(),
                "It must be a directory that this user may write to.",
                "slugline … --data-dir DIRECTORY",
            ),
            Self::DataDirectoryInUse { path, owner } => message(
                format!("cannot use the data directory {}", path.display()),
                format!("Another slugline uses it: process {owner}."),
                "One server at a time may use a data directory.",
                "slugline … --data-dir ANOTHER, or stop the other one",
            ),
            Self::NotBaked { dyno, found } => crate::bake::explain(dyno, found),
            Self::Configuration(error) => error.explain(),
            Self::SlugExchange(error) => error.explain(),
            Self::Restore(error) => error.explain(),
            Self::Storage(error) => error.explain(),
            Self::Bucket(error) => Message { state, ..crate::bucket::explain(error) },
            Self::NoDataDirectory => message(
                "cannot find a place for the data".to_owned(),
                "Neither XDG_DATA_HOME nor HOME is set.".to_owned(),
                "A data directory can be named instead.",
                "slugline … --data-dir DIRECTORY",
            ),
            Self::Source { path, source } => message(
                format!("cannot read the source in {}", path.display()),
                source.to_string(),
                "It must be a directory, with every file in it readable.",
                "slugline up DIRECTORY",
            ),
            Self::AppName { wanted } => message(
                format!("cannot name the app after `{wanted}`"),
                slugline_model::name::NameError::App(wanted.clone()).to_string(),
                "The app can be given another name than its directory.",
                "slugline up DIRECTORY --app NAME",
            ),
            Self::Connection { what, port, found } => message(
                format!("cannot reach the server on 127.0.0.1:{port}"),
                format!("{what}: {found}"),
                "A server must run there: `slugline serve`, or `slugline up` in another terminal.",
                "slugline serve, or the same command with --api-port PORT",
            ),
            Self::Refused { what, found } => message(
                format!("the server refused: {what}"),
                found.clone(),
                "What a command names must be there, and must still allow what it asks for.",
                "slugline builds -a APP",
            ),
            Self::NoToken { path, source } => message(
                "cannot find the server's token".to_owned(),
                format!("{}: {source}", path.display()),
                "The token lies in the server's data directory; $HEROKU_API_KEY may hold it too.",
                "the same command with --data-dir DIRECTORY",
            ),
            Self::Destination { path, source } => destination(path, source, state),
            Self::NoBuild { app, wanted, known } => no_build(app, wanted.as_deref(), known, state),
            Self::Api { what, found } => {
                let what = format!("the server refused: {what}");
                Message {
                    what,
                    found: found.clone(),
                    allowed: "The server's own log, above, may say more (SLUGLINE_LOG=debug)."
                        .to_owned(),
                    next: "slugline up, again".to_owned(),
                    state: "The server has stopped, and with it all that it ran.".to_owned(),
                }
            }
            other => message(
                format!("cannot {other}"),
                chain(other),
                "This is not a problem of an app: the data directory must be whole and writable, \
                 and the kernel must let dynos start.",
                "slugline doctor",
            ),
        }
    }
}

fn no_build(app: &str, wanted: Option<&str>, known: &[String], state: String) -> Message {
    Message {
        what: match wanted {
            Some(id) => format!("cannot find build {id} of {app}"),
            None => format!("cannot find a build of {app}"),
        },
        found: match known {
            [] => format!("{app} has no builds yet."),
            known => format!("Its newest builds: {}", known.join(", ")),
        },
        allowed: "A build is named by its id, or by the beginning of its id.".to_owned(),
        next: format!("slugline builds -a {app}"),
        state,
    }
}

fn destination(path: &Path, source: &std::io::Error, state: String) -> Message {
    Message {
        what: format!("cannot write {}", path.display()),
        found: source.to_string(),
        allowed:
            "It must lie in a directory that this user may write to, and nothing but an empty \
                  directory may be there already."
                .to_owned(),
        next: "the same command with another DEST".to_owned(),
        state,
    }
}

/// The causes of an error, one a line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.map(|cause| format!("caused by: {cause}")).collect::<Vec<_>>().join("\n")
}

fn no_domain(bind: IpAddr) -> Message {
    Message {
        what: format!("cannot listen on {bind} as `localhost`"),
        found: format!("Apps would have names below `localhost`, which lead nobody to {bind}."),
        allowed: "Beyond this machine a server has a domain, with names in the DNS for it and all \
                  below it. The API then speaks TLS alone; accounts and tokens decide who may do what."
            .to_owned(),
        next: "slugline serve --bind ADDRESS --domain apps.example.com".to_owned(),
        state: "Nothing was started or changed.".to_owned(),
    }
}

fn no_upgrade(program: &Path, found: &str) -> Message {
    Message {
        what: format!("cannot give way to another server, {}", program.display()),
        found: found.to_owned(),
        allowed: "It takes this one's place when no build and no release phase is under way."
            .to_owned(),
        next: "kill -USR2 PID, or `systemctl reload slugline`, again".to_owned(),
        state: "This server serves on as before.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_names_its_operand_and_the_next_command() {
        let io = || std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let path = || PathBuf::from("/somewhere");
        let address = IpAddr::from([192, 0, 2, 1]);
        let errors = [
            (
                CommandError::Listen { address, port: 5080, flag: "--port", source: io() },
                "--port 5081",
            ),
            (CommandError::Domain { bind: address }, "--domain"),
            (CommandError::DataDirectory { path: path(), source: io() }, "/somewhere"),
            (CommandError::DataDirectoryInUse { path: path(), owner: "12".into() }, "process 12"),
            (CommandError::NoDataDirectory, "--data-dir"),
            (CommandError::Source { path: path(), source: io() }, "/somewhere"),
            (CommandError::AppName { wanted: "42".into() }, "`42` is not an app name"),
            (CommandError::Logs { path: path(), source: io() }, "/somewhere"),
            (CommandError::Signals { source: io() }, "take signals"),
            (CommandError::NoToken { path: path(), source: io() }, "/somewhere"),
            (CommandError::Destination { path: path(), source: io() }, "another DEST"),
            (
                CommandError::Connection { what: "GET /".into(), port: 5055, found: "no".into() },
                "127.0.0.1:5055",
            ),
            (
                CommandError::Api { what: "GET /x".into(), found: "no".into() }.of_a_client(),
                "GET /x",
            ),
            (
                CommandError::NoBuild {
                    app: "owl".into(),
                    wanted: Some("12".into()),
                    known: vec!["34".into()],
                },
                "Its newest builds: 34",
            ),
        ];
        for (error, expected) in errors {
            let message = error.explain();
            assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
            let text = message.plain();
            assert!(text.contains(expected), "{text}");
            assert!(text.ends_with("Nothing was started or changed."), "{text}");
        }
    }

    #[test]
    fn what_leaves_a_server_as_it_is_says_so() {
        let path = || PathBuf::from("/somewhere");
        let io = || std::io::Error::from(std::io::ErrorKind::AddrInUse);
        let upgrade = CommandError::Upgrade { program: path(), found: "no".into() };
        let write = BackupError::Write { data_dir: path(), archive: path(), source: io() };
        let read = BackupError::Read { data_dir: path(), archive: path(), source: io() };
        let away = BackupError::Write { data_dir: path(), archive: "s3:a".into(), source: io() };
        let message = away.explain();
        assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
        assert!(message.allowed.contains("[backups]"), "{message:?}");
        let list = BackupError::List { bucket: "s3://attic".into(), source: io() };
        for error in [BackupError::NoBucket, list] {
            assert_eq!(error.explain().silent_parts(), [""; 0], "{error:?}");
        }
        for (error, state) in [
            (upgrade, "This server serves on as before."),
            (write.into(), "No archive was written, and the server runs on."),
            (read.into(), "The data directory is as it was."),
        ] {
            let message = error.explain();
            assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
            assert!(message.what.contains("/somewhere"), "{message:?}");
            assert_eq!(message.state, state);
        }
    }

    #[test]
    fn what_the_server_refuses_says_what_became_of_it() {
        let error = CommandError::Api { what: "GET /apps".into(), found: "gone".into() };
        let message = error.explain();
        assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
        assert!(message.state.contains("has stopped"), "{message:?}");
    }
}
