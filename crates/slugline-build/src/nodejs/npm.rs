//! npm: the packages, the app's scripts, and what is left out of the slug afterwards.

use std::path::Path;
use std::process::Command;

use super::cache::{self, Key};
use super::environment::BuildEnvironment;
use super::error::NodejsError;
use super::package_json::PackageJson;
use super::runtime::Node;
use crate::builtin::Call;
use crate::{log, program};

/// What npm says when package.json asks for something that its lock file does not lock.
const OUT_OF_STEP: &str = "npm ci` can only install packages when your package.json and";

/// Refuses apps whose packages are locked by another tool, or by several.
pub(crate) fn check_lock_files(root: &Path) -> Result<(), NodejsError> {
    let lock_files =
        ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"];
    let found: Vec<&'static str> =
        lock_files.into_iter().filter(|name| root.join(name).is_file()).collect();
    match found.as_slice() {
        [] | ["package-lock.json" | "npm-shrinkwrap.json"] => Ok(()),
        [only] => Err(NodejsError::UnsupportedLockFile { file: only }),
        several => Err(NodejsError::SeveralLockFiles { files: several.to_vec() }),
    }
}

/// npm, in one build.
pub(crate) struct Npm<'a> {
    /// The build.
    pub(crate) call: &'a Call,
    /// What npm and the scripts see.
    pub(crate) environment: &'a BuildEnvironment,
    /// The app's.
    pub(crate) package_json: &'a PackageJson,
}

impl Npm<'_> {
    /// Installs all packages, those for development too: they build the app.
    pub(crate) fn install(&self, node: &Node) -> Result<(), NodejsError> {
        log::heading("Restoring cache");
        for directory in self.package_json.cache_directories() {
            cache::restore_directory(self.call, directory)?;
        }
        let key = self.key(node);
        match self.why_install(&key) {
            None => {
                cache::restore_directory(self.call, "node_modules")?;
                log::detail("Restored node_modules from the cache: its lock file is unchanged");
                return Ok(());
            }
            Some(why) => log::detail(why),
        }
        let verb = if self.is_locked() { "ci" } else { "install" };
        log::heading(format!("Installing node modules using 'npm {verb}'"));
        let ran = self.npm(&[verb, "--include=dev"])?;
        if ran.status.success() {
            Ok(())
        } else if ran.output.contains(OUT_OF_STEP) {
            Err(NodejsError::LockFile)
        } else {
            Err(NodejsError::Npm { command: format!("npm {verb}"), status: ran.status })
        }
    }

    /// Why the packages have to be installed; `None` if those of the last build will do.
    fn why_install(&self, key: &Key) -> Option<String> {
        if !self.is_locked() {
            return Some("Packages are installed afresh: there is no package-lock.json".to_owned());
        }
        if let Some(more) = self.package_json.install_does_more() {
            return Some(format!("Packages are installed afresh by package.json: {more}"));
        }
        match cache::read_key(&self.call.cache_dir) {
            None => Some("Nothing is cached yet".to_owned()),
            Some(kept) => {
                kept.change(key).map(|change| format!("Packages are installed afresh: {change}"))
            }
        }
    }

    /// `heroku-postbuild` if there is one, else `build`.
    pub(crate) fn build(&self) -> Result<(), NodejsError> {
        log::heading("Build");
        if self.package_json.has_script("heroku-postbuild") {
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
        let separator = if flags.is_empty() { [].as_slice() } else { &["--"] };
        let ran = self.npm(&[&["run", name], separator, flags].concat())?;
        if ran.status.success() {
            Ok(())
        } else {
            Err(NodejsError::Script { script: name.to_owned(), status: ran.status })
        }
    }

    /// Keeps the packages as they are before pruning, for the next build.
    pub(crate) fn save_cache(&self, node: &Node) -> Result<(), NodejsError> {
        let directories: Vec<&str> = self.package_json.cache_directories().collect();
        for directory in &directories {
            cache::save_directory(self.call, directory)?;
        }
        let key = self.key(node);
        let unchanged = cache::read_key(&self.call.cache_dir).as_ref() == Some(&key);
        if unchanged || !self.is_locked() {
            return Ok(());
        }
        log::heading("Caching build");
        cache::remove_key(self.call)?;
        cache::save_directory(self.call, "node_modules")?;
        cache::write_key(self.call, &key)
    }

    /// Leaves the packages for development out of the slug, unless the app says otherwise.
    pub(crate) fn prune(&self) -> Result<(), NodejsError> {
        if !self.package_json.has_dev_dependencies() {
            return Ok(());
        }
        log::heading("Pruning devDependencies");
        let node_env = self.environment.get("NODE_ENV").unwrap_or_default();
        if node_env != "production" {
            log::detail(format!("Skipping because NODE_ENV is not 'production' but '{node_env}'"));
            return Ok(());
        }
        if let Some(value) = self.environment.get("NPM_CONFIG_PRODUCTION") {
            log::detail(format!("Skipping because NPM_CONFIG_PRODUCTION is '{value}'"));
            return Ok(());
        }
        let ran = self.npm(&["prune", "--omit=dev"])?;
        if ran.status.success() {
            Ok(())
        } else {
            Err(NodejsError::Npm { command: "npm prune".to_owned(), status: ran.status })
        }
    }

    fn is_locked(&self) -> bool {
        ["package-lock.json", "npm-shrinkwrap.json"]
            .iter()
            .any(|name| self.call.build_dir.join(name).is_file())
    }

    fn key(&self, node: &Node) -> Key {
        let files = ["package.json", "package-lock.json", "npm-shrinkwrap.json", ".npmrc"];
        let mut hasher = blake3::Hasher::new();
        for name in files {
            let bytes = fs_err::read(self.call.build_dir.join(name)).unwrap_or_default();
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        }
        Key {
            stack: self.environment.get("STACK").unwrap_or_default().to_owned(),
            node: node.version.clone(),
            packages: hasher.finalize().to_hex().to_string(),
        }
    }

    fn npm(&self, arguments: &[&str]) -> Result<program::Ran, NodejsError> {
        let search = self.environment.get("PATH").unwrap_or_default();
        let npm = program::find("npm", search.as_ref()).unwrap_or_else(|| "npm".into());
        let mut command = Command::new(npm);
        self.environment.apply(&mut command);
        command.args(arguments).current_dir(&self.call.build_dir);
        program::run_indented(&mut command).map_err(NodejsError::io("run npm"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str]) -> Result<(), NodejsError> {
        let root = tempfile::tempdir().unwrap();
        for name in files {
            fs_err::write(root.path().join(name), "").unwrap();
        }
        check_lock_files(root.path())
    }

    #[test]
    fn npms_lock_file_alone_is_fine() {
        check(&[]).unwrap();
        check(&["package-lock.json"]).unwrap();
        let yarn = check(&["yarn.lock"]);
        assert!(matches!(yarn, Err(NodejsError::UnsupportedLockFile { file: "yarn.lock" })));
        let both = check(&["yarn.lock", "package-lock.json"]);
        assert!(matches!(both, Err(NodejsError::SeveralLockFiles { .. })));
    }
}
