//! A build in a directory of its own, as a dyno would run it: `slugline compile`, the real one.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has to fail")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

/// An app's source and what its builds share: the cache and the config vars.
pub(crate) struct App {
    root: tempfile::TempDir,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    programs: Option<PathBuf>,
    builds: u32,
    /// What the next build is given as the tree of the last one.
    last_tree: Option<PathBuf>,
}

/// What a build left behind.
pub(crate) struct Built {
    /// Both outputs, with the paths that differ from build to build named instead.
    pub(crate) output: String,
    /// The exit code.
    pub(crate) code: i32,
    /// `BUILD_DIR`.
    pub(crate) build_dir: PathBuf,
    /// What `--result` holds; null if it was not written.
    pub(crate) result: Value,
}

impl App {
    /// An app without any file.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["source", "env", "buildpacks-of-the-test", "temporary"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        Self {
            root,
            arguments: Vec::new(),
            variables: BTreeMap::new(),
            programs: None,
            builds: 0,
            last_tree: None,
        }
    }

    /// A path beside the app.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Adds or replaces a file of the source.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        self.write(&Path::new("source").join(name), text, 0o644);
        self
    }

    /// A config var.
    pub(crate) fn config_var(self, name: &str, value: &str) -> Self {
        self.write(&Path::new("env").join(name), value, 0o644);
        self
    }

    /// A variable of the surrounding environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A buildpack made of bash scripts, in a directory of its own, which the build is asked for.
    pub(crate) fn buildpack(mut self, name: &str, scripts: &[(&str, &str)]) -> Self {
        let directory = Path::new("buildpacks-of-the-test").join(name);
        for (script, body) in scripts {
            let path = directory.join("bin").join(script);
            self.write(&path, &format!("#!/usr/bin/env bash\n{body}\n"), 0o755);
        }
        let directory = self.path("").join(directory);
        self.arguments.extend(["--buildpack".to_owned(), directory.display().to_string()]);
        self
    }

    /// More arguments for `slugline compile`.
    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A directory whose programs the stack has, too.
    pub(crate) fn programs(mut self, directory: &Path) -> Self {
        self.programs = Some(directory.to_owned());
        self
    }

    /// Removes a file of the source.
    pub(crate) fn without_file(self, name: &str) -> Self {
        fs::remove_file(self.path("source").join(name)).unwrap();
        self
    }

    fn write(&self, path: &Path, text: &str, mode: u32) {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Packs the source and builds it, in a new `BUILD_DIR` with the same cache.
    pub(crate) fn build(&mut self) -> Built {
        self.pack();
        self.builds += 1;
        let build_dir = self.path(&format!("build_{}", self.builds));
        let _ = fs::remove_file(self.path("result.json"));
        let output = self.command(&build_dir).output().unwrap();
        // As the platform does: a build that fails without touching the last tree leaves it.
        let taken = |last: &PathBuf| last.join(slugline_model::build::TAKEN).exists();
        if output.status.success() || self.last_tree.as_ref().is_none_or(taken) {
            self.last_tree = Some(build_dir.clone());
        }
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        let result = fs::read_to_string(self.path("result.json")).unwrap_or("null".into());
        Built {
            output: self.without_paths(&text, &build_dir),
            code: output.status.code().unwrap(),
            build_dir,
            result: serde_json::from_str(&result).unwrap(),
        }
    }

    fn command(&self, build_dir: &Path) -> Command {
        let mut command = Command::new("/bin/bash");
        // One pipe for both outputs, as in a dyno: their order is part of what is tested.
        command.args(["-c", "exec \"$0\" \"$@\" 2>&1", env!("CARGO_BIN_EXE_slugline"), "compile"]);
        for (option, path) in [
            ("--source", "source.tgz"),
            ("--cache-dir", "cache"),
            ("--env-dir", "env"),
            ("--buildpacks-dir", "buildpacks"),
            ("--app-dir", "app"),
            ("--result", "result.json"),
        ] {
            command.arg(option).arg(self.path(path));
        }
        command.args(self.last_tree.iter().flat_map(|last| [Path::new("--last-tree"), last]));
        command.arg("--build-dir").arg(build_dir).args(["--app", "owl-1234"]);
        command.args(&self.arguments).env_clear();
        let more = self.programs.iter().map(|directory| format!(":{}", directory.display()));
        let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        command.env("PATH", format!("{path}{}", more.collect::<String>()));
        // What programs leave in the temporary directory goes with the app.
        command.env("TMPDIR", self.path("temporary"));
        command.env("DYNO", "run.1234").env("REQUEST_ID", "r").env("SOURCE_VERSION", "abc");
        let surrounding =
            std::env::vars().filter(|(name, _)| slugline_build::is_network_variable(name));
        command.envs(surrounding.filter(|_| self.variables.is_empty())).envs(&self.variables);
        command
    }

    fn pack(&self) {
        let file = fs::File::create(self.path("source.tgz")).unwrap();
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        tar.follow_symlinks(false);
        tar.append_dir_all(".", self.path("source")).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
    }

    /// Names of directories instead of the directories, and `0.1s` instead of times.
    fn without_paths(&self, text: &str, build_dir: &Path) -> String {
        let mut text = text.replace(build_dir.to_str().unwrap(), "$BUILD_DIR");
        for (name, path) in [("$CACHE_DIR", "cache"), ("$ENV_DIR", "env"), ("/app", "app")] {
            text = text.replace(self.path(path).to_str().unwrap(), name);
        }
        text = text.replace(self.root.path().to_str().unwrap(), "$ROOT");
        text.split_inclusive('\n').map(without_time).collect()
    }
}

/// ` in 12.3s (now …` depends on the machine's mood.
fn without_time(line: &str) -> String {
    match (line.find(" in "), line.find("s (now ")) {
        (Some(start), Some(end)) if start < end => {
            format!("{} in N{}", &line[..start], &line[end..])
        }
        _ => line.to_owned(),
    }
}

impl Built {
    /// Asserts the whole output and the exit code.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, output: &str) {
        assert_eq!(self.output, output, "\n--- the output was:\n{}", self.output);
        assert_eq!(self.code, code);
    }

    /// Asserts the exit code and that these lines are in the output, in this order.
    #[track_caller]
    pub(crate) fn expect_lines(&self, code: i32, lines: &[&str]) {
        let mut rest = self.output.lines();
        for line in lines {
            assert!(rest.any(|l| l == *line), "`{line}` is missing in:\n{}", self.output);
        }
        assert_eq!(self.code, code, "{}", self.output);
    }

    /// The text of a file of the tree.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.build_dir.join(name)).unwrap()
    }
}
