//! Builds: source to slug to release, in a one-off dyno that runs `slugline compile`.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use slugline_model::build::{BuildStatus, CompileResult, exit_code};
use slugline_model::message::gutter_line;
use slugline_model::name::AppName;
use slugline_model::size;
use slugline_model::slug::{SizeVerdict, SlugSummary, judge_size};
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::apt;
use crate::build_failure::{self, Failed};
use crate::clock;
use crate::db::app::App;
use crate::db::build::Build;
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::locales;
use crate::mirrors;
use crate::one_off::Ending;
use crate::outputs::Output;
use crate::platform::Platform;
use crate::releases::NewRelease;
use crate::workspace::Workspace;

/// Statuses from here on say that a signal ended a process.
const BY_SIGNAL: i32 = 128;

impl Platform {
    /// Starts a build of an uploaded source; it goes on by itself.
    pub(crate) fn start_build(
        &self,
        app: &App,
        source_url: &str,
        source: PathBuf,
        source_version: Option<String>,
        buildpacks: Vec<String>,
    ) -> Result<Build, DbError> {
        let now = clock::now();
        let build = Build {
            id: Uuid::new_v4(),
            status: BuildStatus::Pending,
            exit_code: None,
            source_url: source_url.to_owned(),
            source_version,
            buildpacks,
            slug_id: None,
            release_id: None,
            steps: vec![],
            reports: vec![],
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

    /// Removes the cache of an app that was destroyed, once no build uses it: another app may get
    /// its name, and not what its builds left.
    pub(crate) fn forget_cache(&self, app: &AppName) {
        let (platform, turn) = (self.clone(), self.turn_of(app));
        let cache = self.inner.config.data_dir.join("cache").join(app.as_str());
        tokio::spawn(async move {
            let _turn = turn.lock().await;
            let removed = platform.blocking(move |inner| inner.engine.remove_tree(&cache)).await;
            if let Err(error) = removed {
                tracing::error!(?error, "the cache of a destroyed app could not be removed");
            }
        });
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
        let compiled = self.compile(app, build, workspace, output).await;
        build.reports = workspace.reports();
        let compiled = compiled?;
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
                let limits = &self.inner.config.limits;
                output.write(&build_failure::not_compiled(&ending, limits).gutter());
                return Err(Failed { exit_code: exit_code::INTERNAL });
            }
        }
        workspace.result().ok_or_else(|| {
            output.write(&build_failure::nothing_left("result.json").gutter());
            Failed { exit_code: exit_code::INTERNAL }
        })
    }

    async fn pack(
        &self,
        workspace: &Workspace,
        compiled: &CompileResult,
        output: &Arc<Output>,
    ) -> Result<SlugSummary, Failed> {
        let Some(tree) = workspace.tree() else {
            output.write(&build_failure::nothing_left("its tree").gutter());
            return Err(Failed { exit_code: exit_code::PACK });
        };
        let types = compiled.process_types.clone();
        let packed = self
            .blocking(move |inner| inner.store.ingest(&tree, &types, &inner.config.limits))
            .await;
        packed.map_err(|error| {
            let config = &self.inner.config;
            let (text, exit_code) =
                build_failure::not_packed(&error, &config.limits, &config.data_dir);
            output.write(&text);
            Failed { exit_code }
        })
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
