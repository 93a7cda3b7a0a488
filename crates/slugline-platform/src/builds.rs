//! Builds: source to slug to release, in a one-off dyno that runs `slugline compile`.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use slugline_model::build::{BuildStatus, CompileResult, exit_code};
use slugline_model::config_vars::ConfigVars;
use slugline_model::message::gutter_line;
use slugline_model::name::AppName;
use slugline_model::parts::{self, Growth};
use slugline_model::procfile::ProcessTypes;
use slugline_model::size;
use slugline_model::slug::{SizeVerdict, SlugSummary, judge_size};
use uuid::Uuid;

use crate::apt;
use crate::asking;
use crate::build_failure::{self, Failed};
use crate::cancel::Cancel;
use crate::clock;
use crate::db::app::App;
use crate::db::build::{Build, SourceBlob};
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::locales;
use crate::mirrors;
use crate::one_off::Ending;
use crate::outputs::Output;
use crate::platform::{Inner, Platform};
use crate::releases::NewRelease;
use crate::turns::Place;
use crate::workspace::Workspace;

/// Statuses from here on say that a signal ended a process.
const BY_SIGNAL: i32 = 128;

/// How often it is looked whether release phases are over.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What a build starts from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs {
    pub(crate) source: SourceBlob,
    /// Those asked for; empty to let the app decide.
    pub(crate) buildpacks: Vec<String>,
    /// None for those that the app has when the build begins.
    pub(crate) config_vars: Option<ConfigVars>,
    /// The build that has had all this before.
    pub(crate) replay_of: Option<Uuid>,
}

/// A build that waits or runs: what belongs to it until it has ended.
struct Going {
    place: Place,
    cancel: Cancel,
    output: Arc<Output>,
}

impl Platform {
    /// Starts a build of an uploaded source; it goes on by itself.
    pub(crate) fn start_build(
        &self,
        app: &App,
        inputs: Inputs,
        source: PathBuf,
    ) -> Result<Build, DbError> {
        let now = clock::now();
        let build = Build {
            id: Uuid::new_v4(),
            status: BuildStatus::Pending,
            exit_code: None,
            source: inputs.source,
            buildpacks: inputs.buildpacks,
            config_vars: inputs.config_vars,
            replay_of: inputs.replay_of,
            slug_id: None,
            release_id: None,
            result: None,
            grown: vec![],
            failure: None,
            user_id: asking::user_id(),
            cache_bytes: None,
            created_at: now,
            updated_at: now,
        };
        self.inner.db.transaction(|db| db::build::put(db, app.id, &build))?;
        self.tell_build(app, &build, "create");
        let place = self.inner.turns.enter(&app.name, Some(build.id));
        let cancel = self.inner.cancels.open(build.id);
        let (platform, app, mut pending) = (self.clone(), app.clone(), build.clone());
        let work = async move {
            match platform.inner.outputs.start(pending.id) {
                Ok(output) => {
                    let going = Going { place, cancel, output };
                    platform.run_build(&app, &mut pending, source, going).await;
                }
                Err(error) => {
                    tracing::error!(?error, "a build's output could not be kept");
                    let failed = Failed::internal("its output could not be kept");
                    platform.settle_build(&app, &mut pending, Some(&failed));
                }
            }
        };
        tokio::spawn(asking::on_behalf_of(asking::who(), work));
        Ok(build)
    }

    async fn run_build(&self, app: &App, build: &mut Build, source: PathBuf, going: Going) {
        let Going { place, cancel, output } = going;
        self.say_api(&app.name, "Build started");
        let workspace =
            Workspace::new(&self.inner.config.data_dir, &app.name, build.id, &build.source.root);
        let ended = match self.build_turn(app, &place, &cancel, &output).await {
            Ok(()) => self.build(app, build, source, (&output, &cancel), &workspace).await,
            Err(canceled) => Err(canceled),
        };
        let failed = ended.err();
        if let Some(failed) = &failed {
            if failed.exit_code == exit_code::CANCELED {
                output.line(&gutter_line("Build canceled"));
            }
            output.line(&gutter_line(""));
            output.line(&gutter_line(&self.state_of_the_world(app)));
        }
        self.settle_build(app, build, failed.as_ref());
        let succeeded = failed.is_none();
        place.is_over();
        // Nobody waits for this but the app's next build, which needs the cache.
        self.blocking(move |inner| workspace.clear(&*inner.engine, succeeded)).await;
        if place.is_first() {
            self.note_cache_size(&app.name, build.id).await;
        }
        self.blocking(Inner::forget_old_inputs).await;
        drop(place);
    }

    /// Waits for the app's other builds.
    async fn build_turn(
        &self,
        app: &App,
        place: &Place,
        cancel: &Cancel,
        output: &Output,
    ) -> Result<(), Failed> {
        if let Some(other) = place.build_ahead() {
            output.line(&format!("-----> Waiting for the app's other build to finish: {other}"));
            output.line(&format!(
                "       To cancel that one: slugline builds:cancel {other} -a {}",
                app.name
            ));
        }
        tokio::select! {
            biased;
            () = cancel.wait() => Err(Failed::canceled()),
            () = place.turn() => Ok(()),
        }
    }

    /// Removes the cache of an app that was destroyed, once no build uses it: another app may get
    /// its name, and not what its builds left.
    pub(crate) fn forget_cache(&self, app: &AppName) {
        drop(self.purge_cache(app));
    }

    /// Waits until no build is left, nor anything of one.
    pub(crate) async fn builds_are_over(&self) {
        self.inner.turns.all_over().await;
    }

    /// Waits for a moment when no build and no release phase is under way.
    pub async fn quiet(&self) {
        loop {
            self.inner.pushes.turns.all_over().await;
            self.builds_are_over().await;
            match self.inner.db.read(db::release::pending) {
                Ok(pending) if !pending.is_empty() => tokio::time::sleep(LOOK_EVERY).await,
                // Whoever cannot read the state will not settle a release either.
                _ => return,
            }
        }
    }

    fn settle_build(&self, app: &App, build: &mut Build, failed: Option<&Failed>) {
        self.inner.cancels.close(build.id);
        build.exit_code = Some(failed.map_or(exit_code::OK, |failed| failed.exit_code));
        build.failure = failed.map(|failed| failed.reason.clone());
        build.status = if failed.is_some() { BuildStatus::Failed } else { BuildStatus::Succeeded };
        build.updated_at = clock::now();
        if let Err(error) = self.inner.db.transaction(|db| db::build::put(db, app.id, build)) {
            tracing::error!(?error, "a build's end could not be written down");
        }
        self.say_api(&app.name, format!("Build {}", build.status.as_str()));
        self.tell_build(app, build, "update");
        self.inner.outputs.finish(build.id);
    }

    /// What runs now that nothing was released.
    pub(crate) fn state_of_the_world(&self, app: &App) -> String {
        if self.is_test_app(app) {
            return "No test was run.".to_owned();
        }
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
        (output, cancel): (&Arc<Output>, &Cancel),
        workspace: &Workspace,
    ) -> Result<(), Failed> {
        self.go_on_if_wanted("the build was not begun", output, cancel)?;
        let vars = self.config_vars_of(app, build, output)?;
        self.keep_to_cache_quota(app, output).await;
        self.prepare(workspace, source, vars, output).await?;
        let compiled = self.compile(app, build, workspace, (output, cancel)).await;
        // A build that failed may have left the steps until then.
        build.result = workspace.result();
        let compiled = compiled?;
        self.go_on_if_wanted("its slug was not stored", output, cancel)?;
        output.line("-----> Compressing...");
        // Nothing but this keeps the slug until a release does.
        let mut pin = self.inner.pins.open();
        let summary = self.pack(app, workspace, &compiled, output).await?;
        pin.hold(summary.id.clone());
        output.line(&format!("       Done: {}", size::slug_size(summary.packed_bytes)));
        tell_slug(&summary, output);
        build.grown = self.tell_growth(app, &compiled, output)?;
        self.go_on_if_wanted("its slug was not released", output, cancel)?;
        output.line("-----> Launching...");
        if let SizeVerdict::Large(warning) =
            judge_size(summary.packed_bytes, &self.inner.config.limits)
        {
            output.line(&gutter_line(&warning));
        }
        self.release(app, build, (compiled, summary), (output, cancel)).await
    }

    /// Says what is larger than in the last build that succeeded.
    fn tell_growth(
        &self,
        app: &App,
        compiled: &CompileResult,
        output: &Output,
    ) -> Result<Vec<Growth>, Failed> {
        let before = self.inner.db.read(|db| db::build::last_succeeded(db, app.id))?;
        let Some(before) = before.and_then(|build| build.result) else { return Ok(vec![]) };
        if before.parts.is_empty() {
            return Ok(vec![]);
        }
        let grown = parts::growth(&before.parts, &compiled.parts);
        let lines = parts::describe_growth(&grown);
        if !lines.is_empty() {
            output.line("-----> Grew since the last build");
            for line in lines {
                output.line(&format!("       {line}"));
            }
        }
        Ok(grown)
    }

    fn go_on_if_wanted(&self, what: &str, output: &Output, cancel: &Cancel) -> Result<(), Failed> {
        if cancel.is_canceled() {
            return Err(Failed::canceled());
        }
        let stopping = {
            let dynos = self.dynos();
            dynos.is_shutting_down() || dynos.are_one_offs_refused()
        };
        if stopping {
            output.line(&gutter_line(&format!("The server is stopping: {what}.")));
            return Err(Failed::internal("the server was stopped"));
        }
        Ok(())
    }

    async fn prepare(
        &self,
        workspace: &Workspace,
        source: PathBuf,
        vars: ConfigVars,
        output: &Arc<Output>,
    ) -> Result<(), Failed> {
        let here = workspace.clone();
        let prepared = self
            .blocking(move |inner| {
                here.prepare(&source, &vars)?;
                mirrors::write(&inner.config.mirrors, &here.mirrors())?;
                apt::write(&here.apt())?;
                locales::write(&here.locales())
            })
            .await;
        prepared.map_err(|error| {
            let data_dir = &self.inner.config.data_dir;
            output.write(&build_failure::not_prepared(&error, data_dir).gutter());
            Failed::internal("it could not be prepared")
        })
    }

    async fn compile(
        &self,
        app: &App,
        build: &Build,
        workspace: &Workspace,
        (output, cancel): (&Arc<Output>, &Cancel),
    ) -> Result<CompileResult, Failed> {
        let spec = self.compile_spec(app, build, workspace);
        let lines = Arc::clone(output);
        let on_line = move |line: &str| lines.line(line);
        let ending = self.run_once_unless(cancel, spec, None, Role::Build, on_line).await;
        if cancel.is_canceled() {
            return Err(Failed::canceled());
        }
        match ending {
            Ending::Exited(0) => {}
            // It has said why.
            Ending::Exited(exit_code) if exit_code < BY_SIGNAL => {
                return Err(Failed::of_phase(exit_code));
            }
            ending => {
                let limits = &self.inner.config.limits;
                let data_dir = &self.inner.config.data_dir;
                let message = build_failure::not_compiled(&ending, limits, data_dir);
                if matches!(ending, Ending::OverLimit(_)) {
                    // On a disk that it filled there is no room for its message before.
                    let full = workspace.clone();
                    self.blocking(move |inner| full.clear(&*inner.engine, false)).await;
                }
                output.write(&message.gutter());
                return Err(match ending {
                    Ending::OutOfTime | Ending::OverLimit(_) => {
                        Failed { exit_code: exit_code::LIMIT, ..Failed::internal(&message.what) }
                    }
                    Ending::Exited(_) | Ending::NotLaunched { .. } => {
                        Failed::internal(&message.what)
                    }
                });
            }
        }
        workspace.result().ok_or_else(|| {
            let message = build_failure::nothing_left("result.json");
            output.write(&message.gutter());
            Failed::internal(&message.what)
        })
    }

    async fn pack(
        &self,
        app: &App,
        workspace: &Workspace,
        compiled: &CompileResult,
        output: &Arc<Output>,
    ) -> Result<SlugSummary, Failed> {
        let Some(tree) = workspace.tree() else {
            output.write(&build_failure::nothing_left("its tree").gutter());
            return Err(Failed::of_phase(exit_code::PACK));
        };
        let (app, types) = (app.name.clone(), compiled.process_types.clone());
        let packed = self
            .blocking(move |inner| inner.store.ingest(&app, &tree, &types, &inner.config.limits))
            .await;
        packed.map_err(|error| {
            let config = &self.inner.config;
            let (text, exit_code) =
                build_failure::not_packed(&error, &config.limits, &config.data_dir);
            output.write(&text);
            Failed::of_phase(exit_code)
        })
    }

    async fn release(
        &self,
        app: &App,
        build: &mut Build,
        (compiled, summary): (CompileResult, SlugSummary),
        (output, cancel): (&Arc<Output>, &Cancel),
    ) -> Result<(), Failed> {
        let for_tests = self.is_test_app(app);
        let slug = Slug {
            id: Uuid::new_v4(),
            tree: summary.id,
            // Of what is tested nothing is started, and no release phase changes a database.
            process_types: if for_tests { ProcessTypes::default() } else { summary.process_types },
            manifest: compiled.manifest,
            buildpack: compiled.detected,
            size: summary.packed_bytes,
            source_version: build.source.version.clone(),
            commit_description: None,
            checksum: None,
            created_at: clock::now(),
        };
        build.slug_id = Some(slug.id);
        let description = match &build.source.version {
            Some(version) => format!("Deploy {}", version.chars().take(8).collect::<String>()),
            None => "Deploy".to_owned(),
        };
        let new = NewRelease { slug: Some(slug.clone()), description };
        let added = self.add_release_with(app, &new, |db| {
            db::slug::insert(db, app.id, &slug)?;
            // A server that is killed from here on has built it, and the next one knows.
            Ok(Ok::<_, Infallible>(db::build::put(db, app.id, build)?))
        })?;
        let Ok(((), release)) = added;
        build.release_id = Some(release.id);
        if !self.finish_release(app, &new, &release, (Some(output), cancel)).await? {
            let canceled = cancel.is_canceled();
            return Err(if canceled {
                Failed::canceled()
            } else {
                Failed::of_phase(exit_code::RELEASE)
            });
        }
        if for_tests {
            return Ok(());
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
