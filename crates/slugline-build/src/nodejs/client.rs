//! npm, Yarn and pnpm at work: the packages, the app's scripts, and what is left out of the slug
//! afterwards.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use super::cache::{self, Key, Use};
use super::environment::BuildEnvironment;
use super::error::NodejsError;
use super::package_client::{self, PackageClient};
use super::package_json::PackageJson;
use crate::builtin::Call;
use crate::{files, log, program};

/// A package client, in one build.
pub(crate) struct Client<'a> {
    /// The build.
    pub(crate) call: &'a Call,
    /// What the client and the scripts see.
    pub(crate) environment: &'a BuildEnvironment,
    /// The app's.
    pub(crate) package_json: &'a PackageJson,
    /// Which one it is.
    pub(crate) kind: PackageClient,
    /// `1.22.22`; empty for npm, whose version makes no difference to what it installs.
    pub(crate) version: String,
    /// `20.20.2`
    pub(crate) node: String,
    /// Whether the source brought a `node_modules`.
    pub(crate) brought_modules: bool,
}

/// What each client says of a lock file that does not lock what package.json asks for.
const OUT_OF_STEP: [&str; 4] = [
    "npm ci` can only install packages when your package.json and",
    "Your lockfile needs to be updated",
    "YN0028",
    "ERR_PNPM_OUTDATED_LOCKFILE",
];

impl Client<'_> {
    /// Gives the app its own cache directories back, before its first script.
    pub(crate) fn restore_directories(&self) -> Result<(), NodejsError> {
        let directories = self.kept_directories();
        if directories.is_empty() || self.cache_is_off() {
            return Ok(());
        }
        log::heading("Restoring cache directories");
        cache::restore_directories(self.call, &directories)
    }

    /// Installs all packages, those for development too: they build the app. The answer is what they
    /// were made from: an installer may write its own version of package.json.
    pub(crate) fn install(&self) -> Result<Key, NodejsError> {
        log::heading("Restoring cache");
        let key = self.key();
        if !self.restored(&key)? {
            let (shown, arguments) = self.install_command();
            log::heading(format!("Installing node modules using '{shown}'"));
            if self.brought_modules && self.kind == PackageClient::Npm {
                self.run("npm rebuild", &["rebuild"])?;
            }
            self.run(&shown, &arguments)?;
        }
        cache::restore_directories(self.call, &[cache::CACHE_INSIDE])?;
        Ok(key)
    }

    /// Whether the packages of the last build will do; says why or why not.
    fn restored(&self, key: &Key) -> Result<bool, NodejsError> {
        let afresh = |why: &str| log::detail(format!("Packages are installed afresh: {why}"));
        if let Some(why) = self.why_not_cached() {
            afresh(&why);
            return Ok(false);
        }
        let lock_file = self.lock_file().unwrap_or_default();
        match cache::restore(self.call, key, self.kind.updates())? {
            Use::Update(why) if self.kind.updates() => {
                log::detail(format!("{why}: only the difference is installed"));
            }
            Use::Nothing(why) | Use::Update(why) => afresh(&why),
            Use::AsItIs => {
                log::detail(format!("Restored node_modules from the cache: {lock_file} unchanged"));
                return Ok(self.kind.may_be_skipped() && !self.install_does_more());
            }
        }
        Ok(false)
    }

    fn why_not_cached(&self) -> Option<String> {
        if self.cache_is_off() {
            return Some("NODE_MODULES_CACHE is false".to_owned());
        }
        if self.brought_modules {
            return Some("the source brought a node_modules".to_owned());
        }
        let Some(lock_file) = self.lock_file() else {
            return Some("there is no package-lock.json".to_owned());
        };
        if self.kind == (PackageClient::YarnBerry { plug_and_play: true }) {
            return Some(format!("{lock_file} without node_modules"));
        }
        // npm removes node_modules before it installs: nothing to restore.
        (self.kind == PackageClient::Npm).then(|| self.package_json.install_does_more()).flatten()
    }

    fn install_does_more(&self) -> bool {
        self.package_json.install_does_more().is_some()
    }

    fn cache_is_off(&self) -> bool {
        self.environment.get("NODE_MODULES_CACHE").is_some_and(|value| value == "false")
    }

    fn install_command(&self) -> (String, Vec<&'static str>) {
        let (shown, more): (&[&str], &[&str]) = match self.kind {
            PackageClient::Npm => {
                let production = self.is_true("NPM_CONFIG_PRODUCTION");
                let groups: &[&str] = if production { &["--omit=dev"] } else { &["--include=dev"] };
                let locked = self.lock_file().is_some() && !self.brought_modules;
                (if locked { &["ci"] } else { &["install"] }, groups)
            }
            PackageClient::YarnClassic => {
                let more: &[&str] = if self.is_true("YARN_PRODUCTION") {
                    &["--ignore-engines", "--prefer-offline", "--production=true"]
                } else {
                    &["--ignore-engines", "--prefer-offline", "--production=false"]
                };
                (&["install", "--frozen-lockfile"], more)
            }
            PackageClient::YarnBerry { .. } => (&["install", "--immutable"], &[]),
            PackageClient::Pnpm => (&["install", "--frozen-lockfile"], &["--prod=false"]),
        };
        let arguments = shown.iter().chain(more).copied().collect();
        (format!("{} {}", self.kind.name(), shown.join(" ")), arguments)
    }

    fn is_true(&self, name: &str) -> bool {
        self.environment.get(name).is_some_and(|value| value == "true")
    }

    /// `heroku-postbuild` if there is one, else `build`.
    pub(crate) fn build(&self) -> Result<(), NodejsError> {
        log::heading("Build");
        if self.package_json.has_script("heroku-postbuild") {
            if self.package_json.has_script("build") {
                log::detail("Of build and heroku-postbuild, only heroku-postbuild is run");
            }
            return self.run_script("heroku-postbuild");
        }
        let flags = self.environment.get("NODE_BUILD_FLAGS").unwrap_or_default();
        let flags: Vec<&str> = flags.split_whitespace().collect();
        self.run_script_with("build", &flags)
    }

    /// Runs a script of package.json, if there is one.
    pub(crate) fn run_script(&self, name: &str) -> Result<(), NodejsError> {
        self.run_script_with(name, &[])
    }

    fn run_script_with(&self, name: &str, flags: &[&str]) -> Result<(), NodejsError> {
        if !self.package_json.has_script(name) {
            return Ok(());
        }
        log::heading(format!("Running {name}"));
        // npm alone would take flags for its own.
        let separator: &[&str] =
            if flags.is_empty() || self.kind != PackageClient::Npm { &[] } else { &["--"] };
        let ran = self.start(&[&["run", name], separator, flags].concat(), &[])?;
        if ran.status.success() {
            Ok(())
        } else {
            let (client, script) = (self.kind.name(), name.to_owned());
            Err(NodejsError::Script { client, script, status: ran.status })
        }
    }

    /// Keeps the packages as they are before pruning, for the next build.
    pub(crate) fn save_cache(&self, key: &Key) -> Result<(), NodejsError> {
        if self.cache_is_off() {
            return Ok(());
        }
        let mut directories = self.kept_directories();
        directories.push(cache::CACHE_INSIDE);
        cache::save_directories(self.call, &directories)?;
        let unchanged = cache::read_key(&self.call.cache_dir).as_ref() == Some(key);
        // npm writes a lock file where the source has none, and nobody commits it.
        let was_locked = self.lock_files().iter().any(|name| key.files.contains_key(*name));
        if unchanged || self.brought_modules || !was_locked {
            return Ok(());
        }
        log::heading("Caching build");
        cache::save(self.call, key)
    }

    /// The app's own cache directories, and where Yarn keeps what the app runs from.
    fn kept_directories(&self) -> Vec<&str> {
        let own = self.package_json.cache_directories().filter(|name| *name != "node_modules");
        let plug_and_play = self.kind == (PackageClient::YarnBerry { plug_and_play: true });
        own.chain(plug_and_play.then_some(".yarn/cache")).collect()
    }

    /// Leaves the packages for development out of the slug, unless the app says otherwise.
    pub(crate) fn prune(&self) -> Result<(), NodejsError> {
        if !self.package_json.has_dev_dependencies() && self.kind == PackageClient::Npm {
            return Ok(());
        }
        log::heading("Pruning devDependencies");
        if let Some(why) = self.why_not_pruned() {
            log::detail(format!("Skipping because {why}"));
            return Ok(());
        }
        let arguments: &[&str] = match self.kind {
            PackageClient::Npm => &["prune", "--omit=dev"],
            PackageClient::YarnClassic => &[
                "install",
                "--frozen-lockfile",
                "--ignore-engines",
                "--ignore-scripts",
                "--prefer-offline",
                "--production=true",
            ],
            PackageClient::YarnBerry { .. } => &["workspaces", "focus", "--all", "--production"],
            PackageClient::Pnpm if self.has_pnpm_workspace() => {
                &["install", "--prod", "--frozen-lockfile", "--ignore-scripts", "--offline"]
            }
            PackageClient::Pnpm => &["prune", "--prod", "--ignore-scripts"],
        };
        let shown = format!("{} {}", self.kind.name(), arguments[..2].join(" "));
        // pnpm asks before it removes packages, and nobody is there to answer.
        self.run_with(&shown, arguments, &[("CI", "true")])?;
        if self.kind == (PackageClient::YarnBerry { plug_and_play: false }) {
            let cache = self.call.build_dir.join(".yarn/cache");
            files::remove(&cache).map_err(NodejsError::io("remove .yarn/cache"))?;
        }
        Ok(())
    }

    fn why_not_pruned(&self) -> Option<String> {
        let node_env = self.environment.get("NODE_ENV").unwrap_or_default();
        if node_env != "production" {
            return Some(format!("NODE_ENV is not 'production' but '{node_env}'"));
        }
        // The first two turn pruning off whatever they say, as on Heroku.
        let (switch, any_value) = match self.kind {
            PackageClient::Npm => ("NPM_CONFIG_PRODUCTION", true),
            PackageClient::YarnClassic => ("YARN_PRODUCTION", true),
            PackageClient::YarnBerry { .. } => ("YARN2_SKIP_PRUNING", false),
            PackageClient::Pnpm => ("PNPM_SKIP_PRUNING", false),
        };
        if let Some(value) = self.environment.get(switch)
            && (any_value || value == "true")
        {
            return Some(format!("{switch} is '{value}'"));
        }
        let root = &self.call.build_dir;
        let old_berry = matches!(self.kind, PackageClient::YarnBerry { .. })
            && ["2.", "3."].iter().any(|major| self.version.starts_with(major));
        let extended = || {
            let text = fs_err::read_to_string(root.join(".yarnrc.yml")).unwrap_or_default();
            text.contains("workspace-tools")
        };
        (old_berry && !extended())
            .then(|| format!("Yarn {} prunes only with its workspace-tools", self.version))
    }

    fn has_pnpm_workspace(&self) -> bool {
        let text = fs_err::read_to_string(self.call.build_dir.join("pnpm-workspace.yaml"));
        text.unwrap_or_default().lines().any(|line| line.starts_with("packages:"))
    }

    /// The file that locks the packages.
    fn lock_file(&self) -> Option<&'static str> {
        let there = |name: &&&str| self.call.build_dir.join(name).is_file();
        self.lock_files().iter().find(there).copied()
    }

    fn lock_files(&self) -> &'static [&'static str] {
        let locks = if self.kind == PackageClient::Npm { 2 } else { 1 };
        &self.kind.files()[..locks]
    }

    fn key(&self) -> Key {
        let hash = |name: &&str| {
            let bytes = fs_err::read(self.call.build_dir.join(name)).ok()?;
            Some(((*name).to_owned(), blake3::hash(&bytes).to_hex().to_string()))
        };
        let files: BTreeMap<_, _> = self.kind.files().iter().filter_map(hash).collect();
        Key {
            stack: self.environment.get("STACK").unwrap_or_default().to_owned(),
            node: self.node.clone(),
            client: format!("{} {}", self.kind.name(), self.version).trim_end().to_owned(),
            files,
            packages: self.package_json.packages(),
        }
    }

    fn run(&self, shown: &str, arguments: &[&str]) -> Result<(), NodejsError> {
        self.run_with(shown, arguments, &[])
    }

    fn run_with(
        &self,
        shown: &str,
        arguments: &[&str],
        more: &[(&str, &str)],
    ) -> Result<(), NodejsError> {
        let ran = self.start(arguments, more)?;
        if ran.status.success() {
            Ok(())
        } else if OUT_OF_STEP.iter().any(|words| ran.output.contains(words)) {
            let file = self.lock_file().unwrap_or("the lock file");
            Err(NodejsError::LockFile { file, client: self.kind.name() })
        } else {
            Err(NodejsError::Install { command: shown.to_owned(), status: ran.status })
        }
    }

    fn start(
        &self,
        arguments: &[&str],
        more: &[(&str, &str)],
    ) -> Result<program::Ran, NodejsError> {
        let mut command = Command::new(self.program());
        self.environment.apply(&mut command);
        command.args(arguments).envs(more.iter().copied()).current_dir(&self.call.build_dir);
        program::run_indented(&mut command).map_err(NodejsError::io("run the package client"))
    }

    fn program(&self) -> PathBuf {
        let search = self.environment.get("PATH").unwrap_or_default();
        let name = self.kind.name();
        program::find(name, search.as_ref()).unwrap_or_else(|| name.into())
    }
}

/// Says what package.json and the environment disagree about, before anything runs.
pub(crate) fn check_berry(
    kind: PackageClient,
    environment: &BuildEnvironment,
) -> Result<(), NodejsError> {
    match environment.get("YARN_PRODUCTION") {
        // Later Yarns stop at a setting that they do not know.
        Some(value) if matches!(kind, PackageClient::YarnBerry { .. }) => {
            Err(NodejsError::YarnProduction { value: value.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Where the client of an app keeps what it fetched.
pub(crate) fn set_caches(kind: PackageClient, call: &Call, environment: &mut BuildEnvironment) {
    let kept = |name: &str| call.cache_dir.join(name);
    match kind {
        PackageClient::Npm => {}
        PackageClient::YarnClassic => environment.set("YARN_CACHE_FOLDER", kept("yarn")),
        PackageClient::Pnpm => {
            // Which of the two is read depends on the version.
            environment.set("npm_config_store_dir", kept("pnpm"));
            environment.set("pnpm_config_store_dir", kept("pnpm"));
        }
        PackageClient::YarnBerry { plug_and_play } => {
            let own = call.build_dir.join(".yarn/cache");
            let brought = fs_err::read_dir(&own).is_ok_and(|mut entries| entries.next().is_some());
            environment.set("YARN_GLOBAL_FOLDER", kept("yarn-berry"));
            if plug_and_play || brought {
                environment.set("YARN_ENABLE_GLOBAL_CACHE", "false".into());
                environment.set("YARN_CACHE_FOLDER", own);
            } else if package_client::yarnrc(&call.build_dir, "cacheFolder").is_none() {
                environment.set("YARN_CACHE_FOLDER", kept("yarn-berry/cache"));
            }
            if brought {
                environment.set("YARN_ENABLE_IMMUTABLE_CACHE", "true".into());
            }
            // Nobody asked to be told of, or to tell, anything.
            environment.set("YARN_ENABLE_TELEMETRY", "0".into());
        }
    }
}
