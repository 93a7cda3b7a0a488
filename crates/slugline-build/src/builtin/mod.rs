//! The buildpacks that come with Slugline: directories of scripts that re-enter the binary.

mod scripts;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use slugline_model::build::exit_code;

pub(crate) use scripts::Scripts;

use crate::print_env::HOOK_ENVIRONMENT;
use crate::record::{self, Entry, Failure};
use crate::{nodejs, procfile_only, python, static_site};

/// A buildpack that comes with Slugline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Builtin {
    /// `heroku/nodejs`
    Nodejs,
    /// `heroku/python`
    Python,
    /// `heroku/static`
    Static,
    /// `heroku/procfile`
    Procfile,
}

/// Files of languages that only other buildpacks know: their apps have Procfiles and pages too, and
/// are not to be taken for something that needs no building.
const OF_OTHER_LANGUAGES: [&str; 12] = [
    "Cargo.toml",
    "Gemfile",
    "build.gradle",
    "build.gradle.kts",
    "build.sbt",
    "composer.json",
    "deps.edn",
    "go.mod",
    "gradlew",
    "mix.exs",
    "pom.xml",
    "project.clj",
];

impl Builtin {
    const ALL: [Builtin; 4] =
        [Builtin::Nodejs, Builtin::Python, Builtin::Static, Builtin::Procfile];

    /// Those that are asked whether they recognise an app. Heroku asks Node.js before Python: an app
    /// with both is a Node.js app unless it says otherwise.
    pub(crate) fn in_detection_order(root: &Path) -> &'static [Builtin] {
        let foreign = OF_OTHER_LANGUAGES.iter().any(|name| root.join(name).exists());
        if foreign { &Self::ALL[..2] } else { &Self::ALL }
    }

    /// By its name without `heroku/`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|builtin| builtin.name() == name)
    }

    /// Its name without `heroku/`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nodejs => "nodejs",
            Self::Python => "python",
            Self::Static => "static",
            Self::Procfile => "procfile",
        }
    }
}

/// What a built-in buildpack's scripts are called with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Call {
    /// Where the slug will be when it runs.
    pub(crate) app_dir: PathBuf,
    /// The tree of the app's last build, if it is kept.
    pub(crate) last_tree: Option<PathBuf>,
    /// Where measures and the failure are recorded, when a compile reads them.
    pub(crate) record: Option<PathBuf>,
    /// The buildpack's own root, where `export` goes.
    pub(crate) buildpack_dir: PathBuf,
    /// The app.
    pub(crate) build_dir: PathBuf,
    /// What outlives a build.
    pub(crate) cache_dir: PathBuf,
    /// The config vars, a file each.
    pub(crate) env_dir: PathBuf,
}

impl Call {
    fn parse(args: &[OsString]) -> Self {
        let mut call = Self { app_dir: PathBuf::from("/app"), ..Self::default() };
        let mut args = args.iter().map(PathBuf::from);
        let mut directories = Vec::new();
        while let Some(arg) = args.next() {
            match arg.to_str() {
                Some("--app-dir") => call.app_dir = args.next().unwrap_or_default(),
                Some("--last-tree") => call.last_tree = args.next(),
                Some("--record") => call.record = args.next(),
                Some("--buildpack-dir") => call.buildpack_dir = args.next().unwrap_or_default(),
                Some("--") => {}
                _ => directories.push(arg),
            }
        }
        let mut directories = directories.into_iter();
        call.build_dir = directories.next().unwrap_or_default();
        call.cache_dir = directories.next().unwrap_or_default();
        call.env_dir = directories.next().unwrap_or_default();
        call
    }

    /// Adds to the record, if somebody reads it. A record that cannot be written fails no build.
    pub(crate) fn record(&self, entry: &Entry) {
        if let Some(path) = &self.record {
            let _ = record::append(path, entry);
        }
    }
}

/// `slugline buildpack NAME PHASE ARGS…`: the answer is the exit code.
pub fn builtin_main(name: &str, phase: &str, args: &[OsString]) -> i32 {
    let call = Call::parse(args);
    match (Builtin::named(name), phase) {
        (Some(Builtin::Nodejs), "detect") => return nodejs::detect(&call),
        (Some(Builtin::Nodejs), "compile") => return finish(&call, nodejs::compile(&call)),
        (Some(Builtin::Nodejs), "release") => nodejs::release(&call),
        (Some(Builtin::Nodejs), "report") => nodejs::report(&call),
        (Some(Builtin::Python), "detect") => return python::detect(&call),
        (Some(Builtin::Python), "compile") => return finish(&call, python::compile(&call)),
        (Some(Builtin::Python), HOOK_ENVIRONMENT) => return python::hook_environment(&call),
        (Some(Builtin::Python), "release") => python::release(),
        (Some(Builtin::Python), "report") => python::report(&call),
        (Some(Builtin::Static), "detect") => return static_site::detect(&call),
        (Some(Builtin::Static), "compile") => return finish(&call, static_site::compile(&call)),
        (Some(Builtin::Static), "release") => static_site::release(),
        (Some(Builtin::Static), "report") => static_site::report(),
        (Some(Builtin::Procfile), "detect") => return procfile_only::detect(&call),
        (Some(Builtin::Procfile), "compile") => procfile_only::compile(),
        (Some(Builtin::Procfile), "release") => procfile_only::release(),
        (Some(Builtin::Procfile), "report") => procfile_only::report(),
        _ => return exit_code::INTERNAL,
    }
    exit_code::OK
}

/// Tells the compile that started this, or, when nobody reads a record, the person who did.
fn finish(call: &Call, done: Result<(), Failure>) -> i32 {
    let Err(failure) = done else { return exit_code::OK };
    let exit_code = failure.exit_code;
    if call.record.is_none() {
        crate::log::line(failure.message().gutter().trim_end());
    }
    call.record(&Entry::Failure(failure));
    exit_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_has_directories_and_options() {
        let args = ["--app-dir", "/a", "--last-tree", "/l", "--record", "/r", "b", "c", "e"]
            .map(OsString::from);
        let call = Call::parse(&args);
        assert_eq!(call.app_dir, PathBuf::from("/a"));
        assert_eq!(call.last_tree, Some(PathBuf::from("/l")));
        assert_eq!(call.record, Some(PathBuf::from("/r")));
        let directories = [call.build_dir, call.cache_dir, call.env_dir];
        assert_eq!(directories, ["b", "c", "e"].map(PathBuf::from));
    }

    #[test]
    fn an_unknown_buildpack_or_phase_is_no_success() {
        assert_eq!(builtin_main("cobol", "detect", &[]), exit_code::INTERNAL);
        assert_eq!(builtin_main("python", "test", &[]), exit_code::INTERNAL);
    }
}
