//! The directory that one build works in: its source, its cache, its tree.
//!
//! Everything below `tmp` is written by hostile code. It is only looked at once the build's dyno
//! is gone, and no symbolic link in it is followed.

use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use slugline_model::build::{CompileResult, TAKEN};
use slugline_model::config_vars::ConfigVars;
use slugline_model::name::AppName;
use slugline_model::port::Engine;
use uuid::Uuid;

/// The most that a build's result may take (bytes).
const RESULT_LIMIT: u64 = 4 << 20;

/// Where the cache lies below `/tmp`, as on Heroku. On the same mount as the tree, so that
/// buildpacks may link and rename between them.
const CACHE: &str = "codon/tmp/cache";

/// Where the tree of the app's last build lies below `/tmp`. Buildpacks may move out of it what is
/// to be in the new tree too: the files stay what they are, and need not be stored again.
const LAST_TREE: &str = "codon/tmp/last";

/// One build's directory.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// On the host; `tmp` in it is the build's `/tmp`.
    pub(crate) root: PathBuf,
    /// Where the app's cache is kept between builds.
    cache_home: PathBuf,
    /// Where the last build's tree is kept until the next one.
    last_tree_home: PathBuf,
    /// The name of the unpacked source below `/tmp`, another one for every build.
    pub(crate) tree_name: String,
    /// Where the app's tree is in it: normal names only.
    pub(crate) app_root: PathBuf,
    /// The config vars' directory below `/tmp`.
    pub(crate) env_name: String,
}

impl Workspace {
    pub(crate) fn new(data_dir: &Path, app: &AppName, build: Uuid, app_root: &str) -> Self {
        let hex = build.simple().to_string();
        Self {
            root: data_dir.join("builds").join(build.to_string()),
            cache_home: data_dir.join("cache").join(app.as_str()),
            last_tree_home: last_tree_home(data_dir, app),
            tree_name: format!("build_{}", &hex[..8]),
            app_root: app_root.into(),
            env_name: format!("d{}", &hex[8..20]),
        }
    }

    /// Lays it out: the source, the config vars as files, the cache of the last build.
    pub(crate) fn prepare(&self, source: &Path, vars: &ConfigVars) -> std::io::Result<()> {
        let env = self.tmp().join(&self.env_name);
        fs_err::create_dir_all(&env)?;
        fs_err::create_dir_all(self.tmp().join(&self.tree_name))?;
        fs_err::create_dir_all(self.tmp().join("codon/tmp/buildpacks"))?;
        for (name, value) in vars {
            fs_err::write(env.join(name), value)?;
        }
        fs_err::copy(source, self.tmp().join("source.tgz"))?;
        // Its name is kept for a server that is killed meanwhile.
        fs_err::write(
            self.root.join("cache_home"),
            self.cache_home.as_os_str().as_encoded_bytes(),
        )?;
        let cache = self.tmp().join(CACHE);
        if !move_if_there(&self.cache_home, &cache)? {
            fs_err::create_dir_all(cache)?;
        }
        move_if_there(&self.last_tree_home, &self.tmp().join(LAST_TREE)).map(drop)
    }

    /// Where the operator's mirrors are written down, for the build to read.
    pub(crate) fn mirrors(&self) -> PathBuf {
        self.root.join("mirrors")
    }

    /// Where the configuration of apt is copied to, without its secrets.
    pub(crate) fn apt(&self) -> PathBuf {
        self.root.join("apt")
    }

    /// Where the locales that the host lacks are laid out.
    pub(crate) fn locales(&self) -> PathBuf {
        self.root.join("locales")
    }

    /// The build's `/tmp`.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// The build's tree, if the build left a directory there.
    pub(crate) fn tree(&self) -> Option<PathBuf> {
        let mut tree = self.tmp().join(&self.tree_name);
        let mut whole = is_directory(&tree);
        for name in self.app_root.components() {
            tree.push(name);
            whole = whole && is_directory(&tree);
        }
        whole.then_some(tree)
    }

    /// What the build says of itself.
    pub(crate) fn result(&self) -> Option<CompileResult> {
        let no_follow = rustix_no_follow();
        let mut options = std::fs::OpenOptions::new();
        let file = options.read(true).custom_flags(no_follow).open(self.tmp().join("result.json"));
        let file = file.ok().filter(|file| file.metadata().is_ok_and(|m| m.is_file()))?;
        let mut json = String::new();
        file.take(RESULT_LIMIT).read_to_string(&mut json).ok()?;
        serde_json::from_str(&json).ok()
    }

    /// Keeps the cache and a tree for the next build and removes the rest: this build's tree, if it
    /// succeeded or took something out of the last one's, else the last one's.
    pub(crate) fn clear(&self, engine: &dyn Engine, succeeded: bool) {
        let keeps_own = succeeded || was_taken_from(&self.tmp().join(LAST_TREE));
        if let Some(tree) = self.tree().filter(|_| keeps_own)
            && open_up(&tree)
        {
            let _ = move_if_there(&tree, &self.last_tree_home);
        }
        clear(&self.root, &self.cache_home, engine);
    }
}

/// Where the tree of an app's last build is kept.
pub(crate) fn last_tree_home(data_dir: &Path, app: &AppName) -> PathBuf {
    last_tree_beside(&data_dir.join("cache").join(app.as_str()))
}

/// Whether a buildpack moved something out of a tree.
fn was_taken_from(tree: &Path) -> bool {
    std::fs::symlink_metadata(tree.join(TAKEN)).is_ok()
}

/// Renames a directory; false where there is none.
fn move_if_there(from: &Path, to: &Path) -> std::io::Result<bool> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        moved => moved.map(|()| true),
    }
}

/// Linux's `O_NOFOLLOW | O_NONBLOCK`: neither a link nor a pipe may lead the server elsewhere.
fn rustix_no_follow() -> i32 {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    flags.bits().cast_signed()
}

/// An app's last tree lies beside its cache. No app's name has a dot in it.
fn last_tree_beside(cache_home: &Path) -> PathBuf {
    cache_home.with_extension("last")
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn clear(root: &Path, cache_home: &Path, engine: &dyn Engine) {
    let tmp = root.join("tmp");
    let way = [tmp.clone(), tmp.join("codon"), tmp.join("codon/tmp"), tmp.join(CACHE)];
    // A directory that denies itself to its owner could be neither moved nor used again.
    if way.iter().all(|directory| open_up(directory)) && !cache_home.exists() {
        let _ = std::fs::rename(&way[3], cache_home);
    }
    let (last, last_home) = (tmp.join(LAST_TREE), last_tree_beside(cache_home));
    if way[..3].iter().all(|directory| open_up(directory))
        && open_up(&last)
        && !was_taken_from(&last)
        && !last_home.exists()
    {
        let _ = std::fs::rename(last, last_home);
    }
    remove(root, engine);
}

/// Gives a directory's owner every right to it; false for anything else than a directory.
fn open_up(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    if !is_directory(path) {
        return false;
    }
    let mode = std::fs::symlink_metadata(path).map_or(0, |found| found.permissions().mode());
    let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode | 0o700));
    true
}

fn remove(root: &Path, engine: &dyn Engine) {
    if let Err(error) = engine.remove_tree(root) {
        tracing::error!(?error, root = %root.display(), "a build's directory could not be removed");
    }
}

/// What builds of a killed server left.
pub(crate) fn left(data_dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("builds")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// Clears what builds of a killed server left. They must be over.
pub(crate) fn salvage(left: &[PathBuf], data_dir: &Path, engine: &dyn Engine) {
    use std::os::unix::ffi::OsStringExt as _;
    for root in left {
        let home = std::fs::read(root.join("cache_home")).ok();
        let home = home.map(|bytes| PathBuf::from(std::ffi::OsString::from_vec(bytes)));
        // A name that is not ours was not written by us.
        let home = home.filter(|home| home.parent() == Some(&data_dir.join("cache")));
        match home {
            Some(home) => clear(root, &home, engine),
            None => remove(root, engine),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::fs::PermissionsExt as _;

    use slugline_model::dyno::{DynoId, DynoSpec, ExecRequest};
    use slugline_model::ledger::{Receipt, Tally};
    use slugline_model::port::{Adopted, EngineError, Session};
    use slugline_model::sandbox::Step;

    use super::*;

    /// Removes trees, and runs nothing.
    struct NoEngine;

    impl Engine for NoEngine {
        fn start(&self, _: &DynoSpec) -> Result<(), EngineError> {
            unreachable!()
        }
        fn stop(&self, _: DynoId) -> Result<(), EngineError> {
            unreachable!()
        }
        fn forget(&self, _: DynoId) -> Result<(), EngineError> {
            unreachable!()
        }
        fn adopt(&self) -> Result<Vec<Adopted>, EngineError> {
            unreachable!()
        }
        fn remove_tree(&self, tree: &Path) -> Result<(), EngineError> {
            std::fs::remove_dir_all(tree).unwrap();
            Ok(())
        }
        fn catch_up(&self, _: DynoId) {}
        fn plan(&self, _: DynoId) -> Result<Vec<Step>, EngineError> {
            unreachable!()
        }
        fn dial(&self, _: DynoId) -> Result<OwnedFd, EngineError> {
            unreachable!()
        }
        fn attach(&self, _: DynoId) -> Result<Session, EngineError> {
            unreachable!()
        }
        fn exec(&self, _: DynoId, _: &ExecRequest) -> Result<Session, EngineError> {
            unreachable!()
        }
        fn usage(&self, _: DynoId) -> Option<slugline_model::usage::Usage> {
            unreachable!()
        }
        fn ledger(&self, _: DynoId) -> Result<Receipt, EngineError> {
            unreachable!()
        }
        fn export(
            &self,
            _: DynoId,
            _: &[String],
            _: &mut dyn std::io::Write,
        ) -> Result<Tally, EngineError> {
            unreachable!()
        }
        fn kept_layers(&self) -> Result<Vec<DynoId>, EngineError> {
            unreachable!()
        }
        fn discard_layer(&self, _: DynoId) -> Result<(), EngineError> {
            unreachable!()
        }
    }

    fn workspace(data: &Path) -> Workspace {
        fs_err::create_dir_all(data.join("cache")).unwrap();
        fs_err::write(data.join("source"), "tgz").unwrap();
        Workspace::new(data, &"library".parse().unwrap(), Uuid::new_v4(), "")
    }

    #[test]
    fn the_cache_moves_in_and_out() {
        let data = tempfile::tempdir().unwrap();
        let vars = ConfigVars::from([("A".into(), "line 1\nline 2".into())]);
        for expect in ["", "one"] {
            let build = workspace(data.path());
            build.prepare(&data.path().join("source"), &vars).unwrap();
            let cached = build.tmp().join(CACHE).join("file");
            assert_eq!(std::fs::read_to_string(&cached).unwrap_or_default(), expect);
            std::fs::write(&cached, "one").unwrap();
            let env = build.tmp().join(&build.env_name).join("A");
            assert_eq!(std::fs::read_to_string(env).unwrap(), "line 1\nline 2");
            build.clear(&NoEngine, true);
            assert!(!build.root.exists());
        }
    }

    #[test]
    fn the_next_build_finds_the_last_ones_tree() {
        let data = tempfile::tempdir().unwrap();
        for expect in ["", "first", "second"] {
            let build = workspace(data.path());
            build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
            let last = build.tmp().join(LAST_TREE).join("file");
            assert_eq!(std::fs::read_to_string(last).unwrap_or_default(), expect);
            let text = if expect.is_empty() { "first" } else { "second" };
            std::fs::write(build.tree().unwrap().join("file"), text).unwrap();
            build.clear(&NoEngine, true);
            assert!(!build.root.exists());
        }
    }

    #[test]
    fn a_cache_that_denied_itself_can_be_used_by_the_next_build() {
        let data = tempfile::tempdir().unwrap();
        let build = workspace(data.path());
        build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
        let closed = std::fs::Permissions::from_mode(0o000);
        std::fs::set_permissions(build.tmp().join(CACHE), closed).unwrap();
        build.clear(&NoEngine, true);
        let mode = data.path().join("cache/library").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700);
    }

    #[test]
    fn a_build_of_a_killed_server_is_cleared_and_its_cache_kept() {
        let data = tempfile::tempdir().unwrap();
        let build = workspace(data.path());
        build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
        std::fs::write(build.tmp().join(CACHE).join("file"), "kept").unwrap();
        salvage(&left(data.path()), data.path(), &NoEngine);
        assert!(!build.root.exists());
        let kept = std::fs::read_to_string(data.path().join("cache/library/file"));
        assert_eq!(kept.unwrap(), "kept");
    }

    #[test]
    fn a_failed_build_leaves_the_last_tree_unless_it_took_from_it() {
        let data = tempfile::tempdir().unwrap();
        let run = |text: &str, took: bool, succeeded| {
            let build = workspace(data.path());
            build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
            std::fs::write(build.tree().unwrap().join("file"), text).unwrap();
            if took {
                std::fs::write(build.tmp().join(LAST_TREE).join(TAKEN), "").unwrap();
            }
            build.clear(&NoEngine, succeeded);
            std::fs::read_to_string(data.path().join("cache/library.last/file")).unwrap_or_default()
        };
        assert_eq!(run("none", false, false), "");
        assert_eq!(run("first", false, true), "first");
        assert_eq!(run("second", false, false), "first");
        assert_eq!(run("third", true, false), "third");
    }

    #[test]
    fn an_app_below_its_source_is_not_looked_for_behind_a_link() {
        let data = tempfile::tempdir().unwrap();
        let build = Workspace { app_root: "./services/web".into(), ..workspace(data.path()) };
        build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
        let source = build.tmp().join(&build.tree_name);
        std::fs::create_dir_all(source.join("services/web")).unwrap();
        assert_eq!(build.tree(), Some(source.join("services/web")));
        std::fs::rename(source.join("services"), source.join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", source.join("services")).unwrap();
        assert_eq!(build.tree(), None);
    }

    #[test]
    fn links_of_a_hostile_build_are_not_followed() {
        let data = tempfile::tempdir().unwrap();
        let build = workspace(data.path());
        build.prepare(&data.path().join("source"), &ConfigVars::new()).unwrap();
        let precious = data.path().join("precious/tmp/cache");
        std::fs::create_dir_all(&precious).unwrap();
        std::fs::remove_dir_all(build.tmp().join("codon")).unwrap();
        let link = |to: &Path, at: PathBuf| std::os::unix::fs::symlink(to, at).unwrap();
        link(&data.path().join("precious"), build.tmp().join("codon"));
        link(&data.path().join("source"), build.tmp().join("result.json"));
        std::fs::remove_dir(build.tmp().join(&build.tree_name)).unwrap();
        link(Path::new("/etc"), build.tmp().join(&build.tree_name));
        assert!(build.result().is_none() && build.tree().is_none());
        build.clear(&NoEngine, true);
        assert!(precious.exists() && !build.root.exists());
    }
}
