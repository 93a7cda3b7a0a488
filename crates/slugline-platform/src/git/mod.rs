//! git over HTTP: every app has a repository, which only this machine's git writes to. It is run with
//! an environment and a configuration of its own, whatever the server's user has.

mod exchange;
mod large;
mod pushes;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use rustix::fs::{FlockOperation, flock};
use slugline_model::limits::Limits;
use tokio::process::Command;
use uuid::Uuid;

pub(crate) use exchange::{GZIP, exchange};
pub(crate) use large::NotTaken;
pub(crate) use pushes::{Changes, Push, Pushes};

use crate::db;
use crate::platform::{Inner, Platform};

/// What a repository must hold to be one: attributes that say how it is read as a source. What the
/// app exports is all of it, whatever `git archive` would leave out.
const ATTRIBUTES: &str = "* -export-ignore -export-subst\n";

/// What git calls before it takes a push.
const HOOK: &str = "#!/bin/sh\nexec \"$SLUGLINE_PROGRAM\" git-pre-receive\n";

/// What old histories have, and no harm comes of. Everything else that git knows to be wrong in an
/// object is refused.
const HARMLESS: [&str; 3] = ["zeroPaddedFilemode", "missingSpaceBeforeDate", "badTimezone"];

/// The two halves of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    /// A push.
    Receive,
    /// A clone or a fetch.
    Upload,
}

impl Service {
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "git-receive-pack" => Some(Self::Receive),
            "git-upload-pack" => Some(Self::Upload),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "git-receive-pack",
            Self::Upload => "git-upload-pack",
        }
    }

    /// What git is asked to be.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Receive => "receive-pack",
            Self::Upload => "upload-pack",
        }
    }
}

/// The configuration of every run: what a push may bring, and in how much memory.
fn settings(hooks: &Path, limits: &Limits) -> Vec<String> {
    let mut settings = vec![
        format!("core.hooksPath={}", hooks.display()),
        "receive.fsckObjects=true".to_owned(),
        format!("receive.maxInputSize={}", limits.push),
        "receive.autogc=false".to_owned(),
        // A clone that is cut off may be pushed from.
        "receive.shallowUpdate=true".to_owned(),
        "receive.denyDeleteCurrent=refuse".to_owned(),
        "receive.advertisePushOptions=false".to_owned(),
        // Packs are kept as they come, however small, and large files never in memory.
        "transfer.unpackLimit=1".to_owned(),
        "core.bigFileThreshold=16m".to_owned(),
        "pack.threads=1".to_owned(),
        "pack.windowMemory=64m".to_owned(),
        "gc.autoDetach=false".to_owned(),
        "maintenance.autoDetach=false".to_owned(),
        "safe.directory=*".to_owned(),
    ];
    settings.extend(HARMLESS.map(|check| format!("receive.fsck.{check}=ignore")));
    settings
}

impl Inner {
    fn git_directory(&self) -> PathBuf {
        self.config.data_dir.join("git")
    }

    /// Where an app's repository lies.
    pub(crate) fn repository(&self, app: Uuid) -> PathBuf {
        self.git_directory().join(format!("{app}.git"))
    }

    /// A run of git with nothing of the server's own around it.
    pub(crate) fn git(&self) -> Command {
        let mut git = Command::new("git");
        let nothing = "/dev/null";
        git.env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", nothing)
            .env("GIT_CONFIG_GLOBAL", nothing)
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .current_dir("/");
        for setting in settings(&self.git_directory().join("hooks"), &self.config.limits) {
            git.arg("-c").arg(setting);
        }
        git
    }

    /// Makes an app's repository where it has none. It appears whole.
    pub(crate) async fn ensure_repository(&self, app: Uuid) -> io::Result<PathBuf> {
        let (repository, hooks) = (self.repository(app), self.git_directory().join("hooks"));
        if !hooks.join("pre-receive").is_file() {
            place_hook(&hooks)?;
        }
        if repository.is_dir() {
            return Ok(repository);
        }
        let staging = self.git_directory().join(format!("{}.new", Uuid::new_v4()));
        let mut git = self.git();
        git.args(["init", "--quiet", "--bare", "--template=", "--initial-branch=main"]);
        let output = git.arg("--").arg(&staging).output().await?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(format!("git init: {said}")));
        }
        fs_err::create_dir_all(staging.join("info"))?;
        fs_err::write(staging.join("info/attributes"), ATTRIBUTES)?;
        // Another one may have been as quick.
        if fs_err::rename(&staging, &repository).is_err() {
            fs_err::remove_dir_all(&staging)?;
        }
        Ok(repository)
    }

    /// What `slugline backup` shares while it copies repositories.
    fn git_lock(&self, how: FlockOperation) -> io::Result<std::fs::File> {
        let mut options = std::fs::OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = options.open(self.git_directory().join("lock"))?;
        flock(&file, how)?;
        Ok(file)
    }

    /// Removes what is left of an app's repository.
    pub(crate) fn remove_repository(&self, app: Uuid) {
        let _lock = self.git_lock(FlockOperation::LockExclusive);
        let (repository, going) =
            (self.repository(app), self.git_directory().join(format!("{}.going", Uuid::new_v4())));
        if std::fs::rename(&repository, &going).is_ok()
            && let Err(error) = std::fs::remove_dir_all(&going)
        {
            tracing::warn!(%error, path = %going.display(), "a repository could not be removed");
        }
    }

    /// Removes repositories that were not finished, or not removed, when a server was killed.
    pub(crate) fn clear_git(&self) {
        for entry in std::fs::read_dir(self.git_directory()).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_dir() {
                continue;
            }
            remove_left_locks(&path, SystemTime::now());
            large::remove_left_parts(&path);
            let is_left = path.extension().is_some_and(|end| end == "new" || end == "going");
            if is_left && let Err(error) = std::fs::remove_dir_all(&path) {
                tracing::warn!(%error, path = %path.display(), "a repository could not be removed");
            }
        }
    }

    /// After a push: a clone finds the branch that was built, packs are put together when there are
    /// many, and what it all takes is known.
    async fn tidy_repository(&self, app: Uuid) {
        let repository = self.repository(app);
        let run = async |args: &[&str]| {
            let output = self.git().arg("-C").arg(&repository).args(args).output().await;
            output.is_ok_and(|output| output.status.success())
        };
        if !run(&["rev-parse", "--verify", "--quiet", "HEAD"]).await
            && run(&["rev-parse", "--verify", "--quiet", "refs/heads/master"]).await
        {
            run(&["symbolic-ref", "HEAD", "refs/heads/master"]).await;
        }
        // Whoever copies repositories holds this: no object goes meanwhile.
        if let Ok(lock) = self.git_lock(FlockOperation::NonBlockingLockExclusive) {
            run(&["gc", "--auto", "--quiet"]).await;
            drop(lock);
        }
        let bytes = size(&repository);
        let noted = self.db.transaction(|db| crate::db::app::set_repo_size(db, app, bytes));
        if let Err(error) = noted {
            tracing::error!(?error, "a repository's size could not be written down");
        }
    }
}

/// How old the locks of refs are that nobody holds any more: git has one for a moment.
const LEFT: Duration = Duration::from_mins(10);

/// Removes the locks that a machine without power left behind. They would keep a ref as it is for ever.
fn remove_left_locks(repository: &Path, now: SystemTime) {
    let mut left = vec![repository.join("refs")];
    let mut locks = vec![repository.join("packed-refs.lock"), repository.join("HEAD.lock")];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "lock") {
                locks.push(path);
            }
        }
    }
    let is_left = |path: &PathBuf| {
        let written = path.metadata().and_then(|metadata| metadata.modified());
        written.is_ok_and(|written| now.duration_since(written).is_ok_and(|age| age > LEFT))
    };
    for lock in locks.into_iter().filter(is_left) {
        if let Err(error) = std::fs::remove_file(&lock) {
            tracing::warn!(%error, path = %lock.display(), "a lock could not be removed");
        }
    }
}

fn place_hook(hooks: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::create_dir_all(hooks)?;
    let part = hooks.join(format!("{}.part", Uuid::new_v4()));
    fs_err::write(&part, HOOK)?;
    fs_err::set_permissions(&part, std::fs::Permissions::from_mode(0o755))?;
    fs_err::rename(&part, hooks.join("pre-receive"))
}

/// What a repository's files take (bytes). git makes no links there.
fn size(directory: &Path) -> u64 {
    let mut bytes = 0;
    let mut left = vec![directory.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => left.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                // It has just gone.
                Err(_) => {}
            }
        }
    }
    bytes
}

impl Inner {
    /// A push is over: its turn passes on once its repository is tidy.
    pub(crate) async fn pushed(&self, name: Uuid, app: Uuid) {
        if let Some(changes) = self.pushes.find(name).and_then(|push| push.changes()) {
            self.audit_push(app, &changes).await;
            self.tidy_repository(app).await;
        }
        self.pushes.end(name);
    }

    /// Writes down what came of a push: whether its refs are what it wanted them to be.
    async fn audit_push(&self, app: Uuid, changes: &Changes) {
        let mut done = true;
        for (name, wanted) in &changes.refs {
            let mut git = self.git();
            git.arg("-C").arg(self.repository(app)).args(["rev-parse", "--verify", "--quiet"]);
            let there = git.arg(name).output().await.ok().filter(|there| there.status.success());
            let there = there.map(|there| String::from_utf8_lossy(&there.stdout).trim().to_owned());
            done &= there == *wanted;
        }
        let status = if done { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
        let noted =
            self.db.transaction(|db| db::audit_event::end(db, changes.number, status.as_u16()));
        if let Err(error) = noted {
            tracing::error!(?error, "what came of a push could not be written down");
        }
    }
}

impl Platform {
    /// Forgets the repository of an app that was destroyed, once no push uses it.
    pub(crate) fn forget_repository(&self, app: &crate::db::app::App) {
        let place = self.inner.pushes.turns.enter(&app.name, None);
        let (platform, id) = (self.clone(), app.id);
        tokio::spawn(async move {
            place.turn().await;
            platform.blocking(move |inner| inner.remove_repository(id)).await;
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_push_brings_more_than_it_may_or_what_git_knows_to_be_wrong() {
        let limits = Limits::default();
        let settings = settings(Path::new("/data/git/hooks"), &limits);
        for expected in [
            "core.hooksPath=/data/git/hooks",
            "receive.fsckObjects=true",
            "receive.maxInputSize=2147483648",
            "receive.fsck.zeroPaddedFilemode=ignore",
        ] {
            assert!(settings.iter().any(|setting| setting == expected), "{expected}");
        }
    }

    #[test]
    fn locks_of_long_ago_go_and_those_of_now_stay() {
        let repository = tempfile::tempdir().unwrap();
        let heads = repository.path().join("refs/heads/a");
        std::fs::create_dir_all(&heads).unwrap();
        let lock = heads.join("main.lock");
        std::fs::write(&lock, "").unwrap();
        std::fs::write(heads.join("main"), "").unwrap();
        remove_left_locks(repository.path(), SystemTime::now());
        assert!(lock.exists());
        remove_left_locks(repository.path(), SystemTime::now() + LEFT * 2);
        assert!(!lock.exists() && heads.join("main").exists());
    }

    #[test]
    fn a_service_has_the_name_by_which_git_asks_for_it() {
        for service in [Service::Receive, Service::Upload] {
            assert_eq!(Service::named(service.as_str()), Some(service));
        }
        assert_eq!(Service::named("git-upload-archive"), None);
    }
}
