//! `slugline compile`: source in, tree and process types out. Read it like the log it prints.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use slugline_model::app_json::{self, Manifest};
use slugline_model::build::{BuildpackReport, CompileResult, StepMeasure, exit_code};
use slugline_model::limits::Limits;
use slugline_model::name::AppName;
use slugline_model::procfile::ProcessTypes;

use crate::buildpack::{self, Buildpack, Choice, Context, Environment, Fetching, Reference};
use crate::builtin::{Builtin, Scripts};
use crate::error::CompileError;
use crate::hook_lint::HooksOfSource;
use crate::measure::{self, Measuring};
use crate::process_types::{self, ReleaseOutput};
use crate::record::{self, Entry, Failure};
use crate::snapshot::Snapshot;
use crate::{files, heroku_yml, hook, inspect, log, source};

/// What a build starts from, and where it takes place.
#[derive(Debug, Clone)]
pub struct CompileRequest {
    /// The app's name, for messages.
    pub app: AppName,
    /// The stack beneath: `host`.
    pub stack: String,
    /// Which of Heroku's stacks buildpacks are told that it is, in `STACK`; none to tell its own
    /// name.
    pub announced_stack: Option<String>,
    /// The source, a `.tgz`.
    pub source: PathBuf,
    /// Where the source is unpacked. `BUILD_DIR`, which becomes the slug's tree, is `root` in it.
    pub build_dir: PathBuf,
    /// Where the app is in the source; empty for its top. Its siblings are there in the build, and
    /// not in the slug.
    pub root: PathBuf,
    /// `CACHE_DIR`: kept from build to build. On the same file system as `build_dir`.
    pub cache_dir: PathBuf,
    /// The tree of the app's last build, if it is kept. Built-in buildpacks move out of it what the
    /// new tree shall hold unchanged. On the same file system as `build_dir`.
    pub last_tree: Option<PathBuf>,
    /// `ENV_DIR`: the config vars, a file each.
    pub env_dir: PathBuf,
    /// Where buildpacks are put.
    pub buildpacks_dir: PathBuf,
    /// Where the slug will be when it runs: `/app`.
    pub app_dir: PathBuf,
    /// Where the [`CompileResult`] is written.
    pub result: PathBuf,
    /// Buildpacks somebody asked for, in order; empty to let the app decide.
    pub buildpacks: Vec<String>,
    /// Whether `bin/test-compile` takes the place of `bin/compile`, where a buildpack has it.
    pub test: bool,
    /// What the source may cost.
    pub limits: Limits,
}

/// Turns a source into a tree that can be packed.
///
/// The build's output is the standard output and error of this process and of those it starts.
pub fn compile(request: &CompileRequest) -> Result<CompileResult, CompileError> {
    make_directories(request)?;
    source::unpack(&request.source, &request.build_dir, &request.limits)?;
    let request = &in_its_root(request)?;
    log::heading(stack_heading(request));
    let hooks = HooksOfSource::of(&request.build_dir);
    source::remove_ignored(&request.build_dir).map_err(workplace(&request.build_dir))?;
    let heroku_yml = heroku_yml::read(&request.build_dir)?;
    add_config(&request.env_dir, &heroku_yml.config).map_err(workplace(&request.env_dir))?;
    let mut building = Building::new(request);
    let buildpacks = building.choose()?;
    building.lint(&hooks, &buildpacks)?;
    for buildpack in &buildpacks {
        building.build_with(buildpack)?;
    }
    building.warn_of_unrun_hooks(&buildpacks);
    log::heading("Discovering process types");
    let process_types =
        process_types::discover(&request.build_dir, &heroku_yml, &building.releases)?;
    source::empty_tmp(&request.build_dir).map_err(workplace(&request.build_dir))?;
    let result = building.finish(&buildpacks, process_types)?;
    write_result(&request.result, &result).map_err(workplace(&request.result))?;
    Ok(result)
}

struct Building<'a> {
    request: &'a CompileRequest,
    context: Context,
    record: PathBuf,
    /// As it was given: `bin/release` and `bin/report` never see what was exported.
    base: Environment,
    /// With what the buildpacks so far export.
    exported: Environment,
    detected: Vec<String>,
    /// The tree before anything was built in it, and after the last step.
    source_tree: Snapshot,
    tree: Option<Snapshot>,
    steps: Vec<StepMeasure>,
    reports: Vec<BuildpackReport>,
    releases: Vec<ReleaseOutput>,
}

impl<'a> Building<'a> {
    fn new(request: &'a CompileRequest) -> Self {
        let base = Environment::base(std::env::vars_os(), &request.app_dir, announced(request));
        // Of an earlier build in the same directory.
        drop(record::take(&request.buildpacks_dir.join("record")));
        let context = Context {
            build_dir: request.build_dir.clone(),
            cache_dir: request.cache_dir.clone(),
            env_dir: request.env_dir.clone(),
            log_file: request.buildpacks_dir.join("log"),
            test: request.test,
        };
        Self {
            request,
            context,
            record: request.buildpacks_dir.join("record"),
            exported: base.clone(),
            base,
            detected: Vec::new(),
            source_tree: Snapshot::take(&request.build_dir),
            tree: None,
            steps: Vec::new(),
            reports: Vec::new(),
            releases: Vec::new(),
        }
    }

    fn choose(&mut self) -> Result<Vec<Buildpack>, CompileError> {
        let root = &self.request.build_dir;
        let buildpacks = match buildpack::choose(&self.request.buildpacks, root)? {
            Choice::Asked(references) => self.fetch_all(&references)?,
            Choice::Detect if buildpack::app_has_inline_buildpack(root) => {
                self.fetch_all(&[Reference::Inline])?
            }
            Choice::Detect => {
                log::heading("Determining which buildpack to use for this app");
                return self.first_that_detects();
            }
        };
        match buildpacks.as_slice() {
            [only] => log::heading(format!("Using buildpack: {}", only.name)),
            several => {
                log::heading("Using buildpacks:");
                for (index, buildpack) in several.iter().enumerate() {
                    log::detail(format!("{}. {}", index + 1, buildpack.name));
                }
            }
        }
        Ok(buildpacks)
    }

    fn fetch_all(&self, references: &[Reference]) -> Result<Vec<Buildpack>, CompileError> {
        references.iter().map(|reference| self.fetch(reference)).collect()
    }

    fn fetch(&self, reference: &Reference) -> Result<Buildpack, CompileError> {
        let fetching = Fetching {
            buildpacks_dir: &self.request.buildpacks_dir,
            build_dir: &self.request.build_dir,
            environment: &self.base,
            limits: &self.request.limits,
            scripts: Scripts {
                app_dir: &self.request.app_dir,
                last_tree: self.request.last_tree.as_deref(),
                record: &self.record,
            },
        };
        Ok(buildpack::fetch(&fetching, reference)?)
    }

    fn first_that_detects(&self) -> Result<Vec<Buildpack>, CompileError> {
        let mut detecting = Vec::new();
        for builtin in Builtin::in_detection_order(&self.request.build_dir) {
            let buildpack = self.fetch(&Reference::Builtin(*builtin))?;
            if self.detect(&buildpack)?.is_ok() {
                detecting.push(buildpack);
            }
        }
        if detecting.is_empty() {
            return Err(CompileError::NotRecognised {
                app: self.request.app.clone(),
                found: root_listing(&self.request.build_dir),
                inside: source::app_inside(&self.request.build_dir),
            });
        }
        for other in detecting.drain(1..) {
            // Most apps have a Procfile.
            if other.builtin == Some(Builtin::Procfile) {
                continue;
            }
            log::detail(format!("{} recognises it too; name several in .buildpacks", other.name));
        }
        Ok(detecting)
    }

    fn detect(&self, buildpack: &Buildpack) -> Result<Result<String, String>, CompileError> {
        buildpack::detect(&self.context, buildpack, &self.exported)
            .map_err(script_error(buildpack, "bin/detect"))
    }

    /// detect → compile → report → export → release, as on Heroku.
    fn build_with(&mut self, buildpack: &Buildpack) -> Result<(), CompileError> {
        let name = self.detect(buildpack)?.map_err(|said| {
            log::not_compatible(&buildpack.name, &said);
            CompileError::NotCompatible {
                buildpack: buildpack.name.clone(),
                found: root_listing(&self.request.build_dir),
            }
        })?;
        log::heading(format!("{name} app detected"));
        self.compile_with(buildpack, &name)?;
        self.exported = buildpack::export(buildpack, &self.exported)
            .map_err(script_error(buildpack, "export"))?;
        self.detected.push(name);
        self.release_with(buildpack)
    }

    fn compile_with(&mut self, buildpack: &Buildpack, kind: &str) -> Result<(), CompileError> {
        let before = self.tree.as_ref().unwrap_or(&self.source_tree);
        let measuring = Measuring::start(&buildpack.name, &self.request.build_dir, before);
        let status = buildpack::compile(&self.context, buildpack, &self.exported)
            .map_err(script_error(buildpack, "bin/compile"))?;
        let (measure, tree) = measuring.stop();
        self.reports.extend(buildpack::report(&self.context, buildpack, &self.base));
        let failure = self.take_record();
        self.steps.push(measure.clone());
        self.leave_steps();
        if !status.success() {
            let buildpack = buildpack.name.clone();
            return Err(match failure {
                Some(failure) => CompileError::Builtin { buildpack, failure: Box::new(failure) },
                None => CompileError::Compile { buildpack, kind: kind.to_owned(), status },
            });
        }
        log::detail(measure::describe(&measure));
        self.tree = Some(tree);
        Ok(())
    }

    /// What was done so far, and what the buildpacks report of it, is known of a failed build too.
    fn leave_steps(&self) {
        let (steps, reports) = (self.steps.clone(), self.reports.clone());
        let detected = self.detected.join(", ");
        let result = CompileResult { steps, reports, detected, ..CompileResult::default() };
        // Why the build fails is worth more than that this cannot be written.
        let _ = write_result(&self.request.result, &result);
    }

    /// Keeps the measures of the hooks, and returns the failure that a built-in buildpack told of.
    fn take_record(&mut self) -> Option<Failure> {
        let mut failure = None;
        for entry in record::take(&self.record) {
            match entry {
                Entry::Step(measure) => self.steps.push(measure),
                Entry::Failure(told) => failure = Some(told),
            }
        }
        failure
    }

    fn release_with(&mut self, buildpack: &Buildpack) -> Result<(), CompileError> {
        let (status, yaml) = buildpack::release(&self.context, buildpack, &self.base)
            .map_err(script_error(buildpack, "bin/release"))?;
        if !status.success() {
            return Err(CompileError::Release { buildpack: buildpack.name.clone(), status });
        }
        let output = ReleaseOutput::parse(&buildpack.name, &yaml).map_err(|source| {
            CompileError::ReleaseYaml { buildpack: buildpack.name.clone(), source }
        })?;
        self.releases.push(output);
        Ok(())
    }

    /// Says what is wrong with the app's hooks before anything runs.
    fn lint(&self, hooks: &HooksOfSource, buildpacks: &[Buildpack]) -> Result<(), CompileError> {
        let run = buildpacks.iter().any(|buildpack| buildpack.builtin == Some(Builtin::Python));
        hooks
            .lint(&self.request.build_dir, run)
            .map_err(|error| told(Failure::new(exit_code::HOOK, hook::explain(&error))))
    }

    /// Looks at the finished tree, and sums up.
    fn finish(
        self,
        buildpacks: &[Buildpack],
        process_types: ProcessTypes,
    ) -> Result<CompileResult, CompileError> {
        let root = &self.request.build_dir;
        let built = match self.tree {
            // What lay in its `tmp` is gone by now.
            Some(tree) if !root.join("tmp").is_dir() => tree,
            _ => Snapshot::take(root),
        };
        let result = CompileResult {
            process_types,
            manifest: manifest(root)?,
            detected: self.detected.join(", "),
            buildpacks: buildpacks.iter().map(|buildpack| buildpack.name.clone()).collect(),
            steps: self.steps,
            reports: self.reports,
            ..CompileResult::default()
        };
        inspect::inspect(root, &self.request.env_dir, (&self.source_tree, &built), result)
            .map_err(told)
    }

    /// On Heroku, too, only the Python buildpack runs these; elsewhere they would be missed.
    fn warn_of_unrun_hooks(&self, buildpacks: &[Buildpack]) {
        if !buildpacks.iter().all(|buildpack| buildpack.builtin == Some(Builtin::Nodejs)) {
            return;
        }
        for hook in ["bin/pre_compile", "bin/post_compile"] {
            if self.request.build_dir.join(hook).is_file() {
                log::warning(format!(
                    "{hook} was not run: heroku/nodejs runs the scripts \
                    heroku-prebuild and heroku-postbuild of package.json instead"
                ));
            }
        }
    }
}

fn told(failure: Failure) -> CompileError {
    CompileError::Told(Box::new(failure))
}

fn make_directories(request: &CompileRequest) -> Result<(), CompileError> {
    let directories =
        [&request.build_dir, &request.cache_dir, &request.buildpacks_dir, &request.app_dir];
    for directory in directories {
        fs_err::create_dir_all(directory).map_err(workplace(directory))?;
    }
    Ok(())
}

/// The same request, with the app's own directory as `BUILD_DIR`.
fn in_its_root(request: &CompileRequest) -> Result<CompileRequest, CompileError> {
    let build_dir = source::app_root(&request.build_dir, &request.root)
        .map_err(|source| CompileError::Root { source, found: root_listing(&request.build_dir) })?;
    Ok(CompileRequest { build_dir, ..request.clone() })
}

/// Adds config vars for this build alone. The app's own come first.
fn add_config(env_dir: &Path, config: &BTreeMap<String, String>) -> io::Result<()> {
    if !config.is_empty() {
        fs_err::create_dir_all(env_dir)?;
    }
    for (name, value) in config {
        let path = env_dir.join(name);
        if path.symlink_metadata().is_err() {
            fs_err::write(path, value)?;
        }
    }
    Ok(())
}

/// What the app says of how it is run.
fn manifest(root: &Path) -> Result<Manifest, CompileError> {
    let path = root.join("app.json");
    if !path.is_file() {
        return Ok(Manifest::default());
    }
    let bytes = fs_err::read(&path).map_err(workplace(&path))?;
    let manifest = app_json::parse(&String::from_utf8_lossy(&bytes));
    let manifest = manifest.map_err(CompileError::AppJson)?;
    for entry in &manifest.cron {
        log::detail(format!("app.json runs {} at `{}`", entry.command, entry.schedule));
    }
    if let Some(check) = &manifest.health_check {
        log::detail(format!("app.json checks the health of web dynos by {}", check.path));
    }
    Ok(manifest)
}

fn write_result(path: &Path, result: &CompileResult) -> io::Result<()> {
    files::write_atomically(path, &serde_json::to_vec_pretty(result)?)
}

fn workplace(path: &Path) -> impl Fn(io::Error) -> CompileError {
    let path = path.to_owned();
    move |source| CompileError::Workplace { path: path.clone(), source }
}

fn script_error(buildpack: &Buildpack, script: &'static str) -> impl Fn(io::Error) -> CompileError {
    let buildpack = buildpack.name.clone();
    move |source| CompileError::Script { buildpack: buildpack.clone(), script, source }
}

/// What buildpacks read in `STACK`.
fn announced(request: &CompileRequest) -> &str {
    request.announced_stack.as_deref().unwrap_or(&request.stack)
}

/// `Building on the Host stack, announced as heroku-24`
fn stack_heading(request: &CompileRequest) -> String {
    let announced = request.announced_stack.as_ref().map(|name| format!(", announced as {name}"));
    format!(
        "Building on the {} stack{}",
        stack_title(&request.stack),
        announced.unwrap_or_default()
    )
}

/// `Host`, as Heroku writes `Heroku-24`.
fn stack_title(stack: &str) -> String {
    let mut chars = stack.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

/// What an author sees when they look at the root, directories marked.
fn root_listing(root: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(root) else { return Vec::new() };
    let name = |entry: fs_err::DirEntry| {
        let slash = if entry.path().is_dir() { "/" } else { "" };
        format!("{}{slash}", entry.file_name().to_string_lossy())
    };
    let mut names: Vec<_> = entries.flatten().map(name).collect();
    names.sort();
    names
}
