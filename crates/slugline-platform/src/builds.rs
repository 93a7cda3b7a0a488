//! Builds: source to slug to release, in a one-off dyno that runs `slugline compile`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use slugline_model::build::{BuildStatus, CompileResult, exit_code};
use slugline_model::dyno::{Bind, DynoSpec, Times};
use slugline_model::message::{Message, gutter_line};
use slugline_model::name::{AppName, DynoName, ProcessType};
use slugline_model::port::IngestError;
use slugline_model::size;
use slugline_model::slug::{SizeVerdict, SlugSummary, judge_size};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::clock;
use crate::db::app::App;
use crate::db::build::Build;
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::one_off::Ending;
use crate::outputs::Output;
use crate::platform::Platform;
use crate::reconcile::{STACK_PATH, millis};
use crate::releases::NewRelease;
use crate::workspace::Workspace;

/// Where the binary appears in a build.
const PROGRAM: &str = "/.slugline/slugline";

/// Configuration of package clients for every user of a machine. Never a user's own, which may
/// hold tokens.
const NETWORK_FILES: [&str; 3] = ["/etc/pip.conf", "/etc/uv/uv.toml", "/etc/npmrc"];

/// Whether a path is in every dyno anyway, or is the dyno's own.
fn is_of_the_stack(path: &str) -> bool {
    const THERE: [&str; 9] = [
        "/usr/",
        "/etc/ssl/certs",
        "/etc/pki",
        "/tmp",
        "/app",
        "/proc",
        "/sys",
        "/dev",
        "/var/tmp",
    ];
    path == "/usr" || THERE.iter().any(|start| path.starts_with(start))
}

/// Statuses from here on say that a signal ended a process.
const BY_SIGNAL: i32 = 128;

/// Why a build ended without a release. The output already says it to the app's author.
struct Failed {
    exit_code: i32,
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        tracing::error!(?error, "a build could not be written down");
        Failed { exit_code: exit_code::INTERNAL }
    }
}

impl Platform {
    /// Starts a build of an uploaded source; it goes on by itself.
    pub(crate) fn start_build(
        &self,
        app: &App,
        source_url: &str,
        source: PathBuf,
        source_version: Option<String>,
    ) -> Result<Build, DbError> {
        let now = clock::now();
        let build = Build {
            id: Uuid::new_v4(),
            status: BuildStatus::Pending,
            exit_code: None,
            source_url: source_url.to_owned(),
            source_version,
            slug_id: None,
            release_id: None,
            steps: vec![],
            created_at: now,
            updated_at: now,
        };
        self.inner.db.transaction(|db| db::build::put(db, app.id, &build))?;
        let (platform, app, mut pending) = (self.clone(), app.clone(), build.clone());
        tokio::spawn(async move { platform.run_build(&app, &mut pending, source).await });
        Ok(build)
    }

    async fn run_build(&self, app: &App, build: &mut Build, source: PathBuf) {
        self.say_api(&app.name, "Build started");
        let output = match self.inner.outputs.start(build.id) {
            Ok(output) => output,
            Err(error) => {
                tracing::error!(?error, "a build's output could not be kept");
                let failed = Failed { exit_code: exit_code::INTERNAL };
                return self.settle_build(app, build, Some(&failed));
            }
        };
        let turn = self.build_turn(app, &output).await;
        let workspace = Workspace::new(&self.inner.config.data_dir, &app.name, build.id);
        let failed = self.build(app, build, source, &output, &workspace).await.err();
        if failed.is_some() {
            output.line(&gutter_line(""));
            output.line(&gutter_line(&self.state_of_the_world(app)));
        }
        self.settle_build(app, build, failed.as_ref());
        // Nobody waits for this but the app's next build, which needs the cache.
        self.blocking(move |inner| workspace.clear(&*inner.engine)).await;
        drop(turn);
    }

    /// Waits for the app's other builds.
    async fn build_turn(&self, app: &App, output: &Output) -> OwnedMutexGuard<()> {
        let turn = self.turn_of(&app.name);
        if let Ok(turn) = Arc::clone(&turn).try_lock_owned() {
            return turn;
        }
        output.line("-----> Waiting for the app's other build to finish");
        turn.lock_owned().await
    }

    /// Held by whoever builds an app, or clears up after a build.
    pub(crate) fn turn_of(&self, app: &AppName) -> Arc<tokio::sync::Mutex<()>> {
        let turns = self.inner.build_turns.lock();
        let mut turns = turns.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(app.clone()).or_default())
    }

    /// Waits until no build is left, nor anything of one.
    pub(crate) async fn builds_are_over(&self) {
        let turns: Vec<_> = {
            let turns = self.inner.build_turns.lock();
            turns.unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
        };
        for turn in turns {
            drop(turn.lock().await);
        }
    }

    fn settle_build(&self, app: &App, build: &mut Build, failed: Option<&Failed>) {
        build.exit_code = Some(failed.map_or(exit_code::OK, |failed| failed.exit_code));
        build.status = if failed.is_some() { BuildStatus::Failed } else { BuildStatus::Succeeded };
        build.updated_at = clock::now();
        if let Err(error) = self.inner.db.transaction(|db| db::build::put(db, app.id, build)) {
            tracing::error!(?error, "a build's end could not be written down");
        }
        self.say_api(&app.name, format!("Build {}", build.status.as_str()));
        self.inner.outputs.finish(build.id);
    }

    /// What runs now that nothing was released.
    fn state_of_the_world(&self, app: &App) -> String {
        let current = self.inner.db.read(|db| db::release::current(db, app.id)).ok().flatten();
        match current {
            Some(release) => {
                format!("Nothing was released. {} still runs v{}.", app.name, release.version)
            }
            None => format!("Nothing was released. {} has no release yet.", app.name),
        }
    }

    /// The build, as its output tells it.
    async fn build(
        &self,
        app: &App,
        build: &mut Build,
        source: PathBuf,
        output: &Arc<Output>,
        workspace: &Workspace,
    ) -> Result<(), Failed> {
        self.go_on_unless_stopping("the build was not begun", output)?;
        let vars = self.inner.db.read(|db| db::config_var::of_app(db, app.id))?;
        self.prepare(workspace, source, vars, output).await?;
        let compiled = self.compile(app, build, workspace, output).await?;
        build.steps.clone_from(&compiled.steps);
        output.line("-----> Compressing...");
        let summary = self.pack(workspace, &compiled, output).await?;
        output.line(&format!("       Done: {}", size::slug_size(summary.packed_bytes)));
        tell_slug(&summary, output);
        self.go_on_unless_stopping("its slug was not released", output)?;
        output.line("-----> Launching...");
        if let SizeVerdict::Large(warning) =
            judge_size(summary.packed_bytes, &self.inner.config.limits)
        {
            output.line(&gutter_line(&warning));
        }
        self.release(app, build, compiled, summary, output).await
    }

    fn go_on_unless_stopping(&self, what: &str, output: &Output) -> Result<(), Failed> {
        let stopping = {
            let dynos = self.dynos();
            dynos.is_shutting_down() || dynos.are_one_offs_refused()
        };
        if stopping {
            output.line(&gutter_line(&format!("The server is stopping: {what}.")));
            return Err(Failed { exit_code: exit_code::INTERNAL });
        }
        Ok(())
    }

    async fn prepare(
        &self,
        workspace: &Workspace,
        source: PathBuf,
        vars: slugline_model::config_vars::ConfigVars,
        output: &Arc<Output>,
    ) -> Result<(), Failed> {
        let here = workspace.clone();
        let prepared = self.blocking(move |_| here.prepare(&source, &vars)).await;
        prepared.map_err(|error| {
            let message = Message {
                what: "The build could not be prepared".to_owned(),
                found: error.to_string(),
                allowed: "This is not a problem of the app: the server's data directory must be \
                          writable and have room."
                    .to_owned(),
                ..Message::default()
            };
            output.write(&message.gutter());
            Failed { exit_code: exit_code::INTERNAL }
        })
    }

    async fn compile(
        &self,
        app: &App,
        build: &Build,
        workspace: &Workspace,
        output: &Arc<Output>,
    ) -> Result<CompileResult, Failed> {
        let spec = self.compile_spec(app, build, workspace);
        let lines = Arc::clone(output);
        let ending = self.run_once(spec, None, Role::Build, move |line| lines.line(line)).await;
        match ending {
            Ending::Exited(0) => {}
            // It has said why.
            Ending::Exited(exit_code) if exit_code < BY_SIGNAL => return Err(Failed { exit_code }),
            ending => {
                output.write(&self.explain_ending(&ending).gutter());
                return Err(Failed { exit_code: exit_code::INTERNAL });
            }
        }
        workspace.result().ok_or_else(|| {
            output.line(&gutter_line("The build ended well but left no result."));
            Failed { exit_code: exit_code::INTERNAL }
        })
    }

    fn explain_ending(&self, ending: &Ending) -> Message {
        let minutes = self.inner.config.limits.build.as_secs() / 60;
        match ending {
            Ending::NotLaunched { step, error, remedy } => Message {
                what: "The build could not be started in its sandbox".to_owned(),
                found: format!("{step}: {error}"),
                allowed: remedy.clone(),
                next: "slugline doctor".to_owned(),
                state: String::new(),
            },
            Ending::Exited(status) => Message {
                what: "The build was stopped before it ended".to_owned(),
                found: format!("It exited with status {status}."),
                allowed: "The server was stopped, or something outside killed the build."
                    .to_owned(),
                ..Message::default()
            },
            Ending::OutOfTime => Message {
                what: format!("The build took longer than {minutes} minutes and was stopped"),
                found: "Its last lines are above.".to_owned(),
                allowed: "A build's time is limited, so that one that hangs does not hang for \
                          ever."
                    .to_owned(),
                ..Message::default()
            },
        }
    }

    fn compile_spec(&self, app: &App, build: &Build, workspace: &Workspace) -> DynoSpec {
        let limits = &self.inner.config.limits;
        let (tree, env) = (&workspace.tree_name, &workspace.env_name);
        let bind = |from: PathBuf, to: &str, writable| Bind { from, to: to.into(), writable };
        DynoSpec {
            id: Uuid::new_v4(),
            app: app.name.clone(),
            dyno: DynoName::new(ProcessType::build(), 1),
            release: 0,
            command: format!(
                "exec {PROGRAM} compile --source /tmp/source.tgz --build-dir /tmp/{tree} \
                 --cache-dir /tmp/codon/tmp/cache --buildpacks-dir /tmp/codon/tmp/buildpacks \
                 --env-dir /tmp/{env} --app-dir /app --result /tmp/result.json \
                 --app {} --stack host",
                app.name
            ),
            env: self.compile_env(build),
            slug_tree: None,
            binds: [
                bind(workspace.tmp(), "/tmp", true),
                bind(self.inner.config.program.clone(), PROGRAM, false),
            ]
            .into_iter()
            .chain(self.network_binds())
            .collect(),
            port: None,
            host_uid: None,
            times: Times { boot: 0, stop: millis(limits.stop), run: Some(millis(limits.build)) },
        }
    }

    /// Files of this machine that builds need to reach the network, where they are not part of the
    /// stack: the clients' configuration for everyone, and what the operator's variables name.
    fn network_binds(&self) -> impl Iterator<Item = Bind> {
        let named = self.inner.config.network_env.values().map(String::as_str);
        let paths: BTreeSet<PathBuf> = NETWORK_FILES
            .into_iter()
            .chain(named)
            .filter(|path| path.starts_with('/') && !is_of_the_stack(path))
            .map(PathBuf::from)
            .filter(|path| path.exists())
            .collect();
        paths.into_iter().map(|path| Bind { from: path.clone(), to: path, writable: false })
    }

    /// Heroku's environment of a build, and what the network of this machine asks for. Config vars
    /// are not in it: buildpacks read them as files.
    fn compile_env(&self, build: &Build) -> BTreeMap<String, String> {
        let mut env = self.inner.config.network_env.clone();
        let version = build.source_version.clone().unwrap_or_default();
        for (name, value) in [
            ("BUILDPACK_LOG_FILE", "/dev/fd/3"),
            ("DYNO", "run.1"),
            ("HOME", "/app"),
            ("LANG", "C.UTF-8"),
            ("PATH", STACK_PATH),
            ("REQUEST_ID", &build.id.to_string()),
            ("SOURCE_VERSION", &version),
            ("STACK", "host"),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        env
    }

    async fn pack(
        &self,
        workspace: &Workspace,
        compiled: &CompileResult,
        output: &Arc<Output>,
    ) -> Result<SlugSummary, Failed> {
        let Some(tree) = workspace.tree() else {
            output.line(&gutter_line("The build left no directory where its tree should be."));
            return Err(Failed { exit_code: exit_code::PACK });
        };
        let types = compiled.process_types.clone();
        let packed = self
            .blocking(move |inner| inner.store.ingest(&tree, &types, &inner.config.limits))
            .await;
        packed.map_err(|error| {
            let (message, exit_code) = self.explain_ingest(&error);
            output.write(&message);
            Failed { exit_code }
        })
    }

    fn explain_ingest(&self, error: &IngestError) -> (String, i32) {
        match error {
            IngestError::TooLarge { packed_bytes } => {
                let lines = match judge_size(*packed_bytes, &self.inner.config.limits) {
                    SizeVerdict::TooLarge(lines) => lines,
                    SizeVerdict::Fits | SizeVerdict::Large(_) => vec![],
                };
                let lines: Vec<String> = lines.iter().map(|line| gutter_line(line)).collect();
                (lines.join("\n") + "\n", exit_code::PACK)
            }
            error => {
                let message = Message {
                    what: "The slug was built but could not be stored".to_owned(),
                    found: error.to_string(),
                    allowed: "This is not a problem of the app: the server's data directory must \
                              have room for every slug."
                        .to_owned(),
                    next: format!("df -h {}", self.inner.config.data_dir.display()),
                    state: String::new(),
                };
                let full = matches!(error, IngestError::DiskFull);
                (message.gutter(), if full { exit_code::PACK } else { exit_code::STORE })
            }
        }
    }

    async fn release(
        &self,
        app: &App,
        build: &mut Build,
        compiled: CompileResult,
        summary: SlugSummary,
        output: &Arc<Output>,
    ) -> Result<(), Failed> {
        let slug = Slug {
            id: Uuid::new_v4(),
            tree: summary.id,
            process_types: summary.process_types,
            buildpack: compiled.detected,
            size: summary.packed_bytes,
            source_version: build.source_version.clone(),
            created_at: clock::now(),
        };
        build.slug_id = Some(slug.id);
        let config_vars = self.inner.db.transaction(|db| {
            db::slug::insert(db, app.id, &slug)?;
            db::config_var::of_app(db, app.id)
        })?;
        let description = match &build.source_version {
            Some(version) => format!("Deploy {}", version.chars().take(8).collect::<String>()),
            None => "Deploy".to_owned(),
        };
        let new = NewRelease { slug: Some(slug), config_vars, description };
        let release = self.add_release(app, &new)?;
        build.release_id = Some(release.id);
        if !self.finish_release(app, &new, &release, output).await? {
            return Err(Failed { exit_code: exit_code::RELEASE });
        }
        output.line(&format!("       Released v{}", release.version));
        output.line(&format!("       {} deployed to Slugline", self.web_url(&app.name)));
        Ok(())
    }
}

/// What the slug holds, and what of it is new to the store.
fn tell_slug(summary: &SlugSummary, output: &Output) {
    output.line(&format!(
        "       Slug: {} and {} unpacked; {} new to the store",
        size::files(summary.files),
        size::human(summary.bytes),
        size::files(summary.new_files)
    ));
}
