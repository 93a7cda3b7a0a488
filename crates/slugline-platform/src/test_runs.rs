//! Test runs: a source is built as for tests, in an app that nobody lists, and one dyno sets up and
//! tests. The app goes as soon as there is a verdict; what it wrote stays.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use slugline_model::app_setup::{Setup, parse};
use slugline_model::build::BuildStatus;
use slugline_model::config_vars::ConfigVars;
use slugline_model::dyno::DynoId;
use slugline_model::message::gutter_line;
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::pipeline::Stage;
use slugline_model::resources::{DynoSize, Resources};
use slugline_model::test_run::{Reader, Status, Told, command};
use uuid::Uuid;

use crate::asking;
use crate::builds::Inputs;
use crate::cancel::Cancel;
use crate::clock;
use crate::db::app::App;
use crate::db::build::SourceBlob;
use crate::db::test_run::TestRun;
use crate::db::{self, DbError};
use crate::dynos::Role;
use crate::one_off::Ending;
use crate::outputs::Output;
use crate::platform::Platform;
use crate::reconcile::millis;
use crate::setups::{Failure, app_json};

/// Setup and tests take no longer. Heroku: an hour.
const LONGEST: Duration = Duration::from_hours(1);

/// How often it is looked whether a build's output has begun.
const LOOK: Duration = Duration::from_millis(20);

/// How long the rest of a build's output may take once the build is over.
const REST: Duration = Duration::from_secs(5);

/// The exit code of what came to no verdict.
const NO_VERDICT: i32 = 1;

/// What one run works with.
struct Going {
    app: App,
    source: PathBuf,
    setup: Arc<Output>,
    output: Arc<Output>,
    cancel: Cancel,
}

impl Platform {
    /// Starts a run that is written down, with its app; it goes on by itself.
    pub(crate) fn start_test_run(
        &self,
        run: TestRun,
        app: App,
        source: PathBuf,
    ) -> std::io::Result<()> {
        let setup = self.inner.outputs.start(run.setup_id)?;
        let output = self.inner.outputs.start(run.output_id)?;
        let cancel = self.inner.cancels.open(run.id);
        let going = Going { app, source, setup, output, cancel };
        let (platform, mut run) = (self.clone(), run);
        let work = async move {
            let ended = platform.go_on_testing(&mut run, &going).await;
            if let Err(Failure(why)) = ended {
                platform.no_verdict(&mut run, &going, why);
            }
            for id in [run.setup_id, run.output_id] {
                platform.inner.outputs.finish(id);
            }
            platform.inner.cancels.close(run.id);
            platform.end_test_app(going.app.id).await;
        };
        tokio::spawn(asking::on_behalf_of(asking::who(), work));
        Ok(())
    }

    fn no_verdict(&self, run: &mut TestRun, going: &Going, why: String) {
        let place = if run.status == Status::Running { &going.output } else { &going.setup };
        place.line(&gutter_line(&why));
        run.error_status = Some(run.status);
        run.message = Some(why);
        run.exit_code = run.exit_code.filter(|code| *code != 0).or(Some(NO_VERDICT));
        let status = if going.cancel.is_canceled() { Status::Cancelled } else { Status::Errored };
        self.note_test_run(run, status);
    }

    fn note_test_run(&self, run: &mut TestRun, status: Status) {
        (run.status, run.updated_at) = (status, clock::now());
        if let Err(error) = self.inner.db.transaction(|db| db::test_run::advance(db, run)) {
            tracing::error!(?error, "where a test run stands could not be written down");
        }
    }

    async fn go_on_testing(&self, run: &mut TestRun, going: &Going) -> Result<(), Failure> {
        self.note_test_run(run, Status::Building);
        let wanted = self.wanted_of(run, going).await?;
        run.size = size_of(&wanted)?;
        self.build_for_tests(run, &wanted, going).await?;
        self.note_test_run(run, Status::Running);
        self.test(run, &wanted, going).await
    }

    /// What the source's app.json asks for in `environments.test`.
    async fn wanted_of(&self, run: &TestRun, going: &Going) -> Result<Setup, Failure> {
        let stage = Stage::Test;
        let given = self.inner.db.read(|db| db::pipeline::vars(db, run.pipeline_id, stage))?;
        let source = going.source.clone();
        let text = self.blocking(move |_| app_json(&source)).await;
        let text = text.unwrap_or_else(|| "{}".to_owned());
        parse(&text, Some("test"), &given).map_err(|errors| {
            for error in errors {
                going.setup.line(&gutter_line(&error));
            }
            Failure("app.json cannot be used as it is.".to_owned())
        })
    }

    async fn build_for_tests(
        &self,
        run: &TestRun,
        wanted: &Setup,
        going: &Going,
    ) -> Result<(), Failure> {
        let (app, cancel) = (&going.app, &going.cancel);
        let buildpacks = self.prepare_app(app, wanted, vec![]).await?;
        // Names that nobody else may set.
        self.inner.db.transaction(|db| {
            let mut vars = db::config_var::of_app(db, app.id)?;
            vars.extend(vars_of(run));
            db::config_var::replace(db, app.id, &vars)
        })?;
        if cancel.is_canceled() {
            return Err(canceled());
        }
        let source = SourceBlob {
            url: run.source_blob_url.clone(),
            version: Some(run.commit.sha.clone()),
            ..SourceBlob::default()
        };
        let inputs = Inputs { source, buildpacks, ..Inputs::default() };
        let build = self.start_build(app, inputs, going.source.clone())?;
        let (platform, setup) = (self.clone(), Arc::clone(&going.setup));
        let mut copied = tokio::spawn(async move { platform.copy_output(build.id, &setup).await });
        let mut wait = std::pin::pin!(self.wait_for_build(app, build.id));
        let status = tokio::select! {
            status = &mut wait => status,
            () = cancel.wait() => {
                self.inner.cancels.cancel(build.id);
                wait.await
            }
        };
        if tokio::time::timeout(REST, &mut copied).await.is_err() {
            copied.abort();
        }
        match status? {
            _ if cancel.is_canceled() => Err(canceled()),
            BuildStatus::Succeeded => Ok(()),
            _ => Err(Failure("The build failed; its output says why.".to_owned())),
        }
    }

    /// Adds a build's output to another one, by whole lines, until it ends.
    async fn copy_output(&self, build: Uuid, to: &Output) {
        let stream = loop {
            match self.inner.outputs.read(build, 0) {
                Some(stream) => break stream,
                None => tokio::time::sleep(LOOK).await,
            }
        };
        let (mut stream, mut pending) = (std::pin::pin!(stream), Vec::new());
        while let Some(Ok(chunk)) = stream.next().await {
            pending.extend(chunk);
            let end = pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = pending.drain(..end).collect();
            to.write(&String::from_utf8_lossy(&lines));
        }
        to.write(&String::from_utf8_lossy(&pending));
    }

    async fn test(&self, run: &mut TestRun, wanted: &Setup, going: &Going) -> Result<(), Failure> {
        let app = &going.app;
        let none = || Failure("There is no slug to test: its app was destroyed.".to_owned());
        let running = self.running(app.id)?.ok_or_else(none)?;
        let marker = format!("set-up-{}", Uuid::new_v4().simple());
        let script = command(wanted.test_setup.as_deref(), wanted.test.as_deref(), &marker);
        let name = DynoName::new(ProcessType::run(), 1);
        let (release, slug) = (&running.release, &running.slug);
        let mut spec = self.dyno_spec(app, name, &script, (release, slug), None);
        spec.times.run = Some(millis(LONGEST));
        spec.resources = Resources::of_dyno(run.size, &self.inner.config.limits);
        for (what, script) in [("test-setup", &wanted.test_setup), ("test", &wanted.test)] {
            if let Some(script) = script {
                going.setup.line(&format!("-----> {what}: {script}"));
            }
        }
        let mut reader = Reader::new(&marker);
        let (setup, output) = (Arc::clone(&going.setup), Arc::clone(&going.output));
        let on_line = |line: &str| match reader.read(line) {
            Told::Setup(line) => setup.line(line),
            Told::Tests(line) => output.line(line),
            Told::SetUp(rest) => {
                if !rest.is_empty() {
                    setup.line(rest);
                }
                self.inner.outputs.finish(run.setup_id);
            }
            Told::Nothing => {}
        };
        let tree = Some(slug.tree.clone());
        let role = Role::ReleasePhase;
        let ending = self.run_once_unless(&going.cancel, spec, tree, role, on_line).await;
        let (status, message) = reader.verdict(exit_code(self, going, ending, run)?);
        if let Some(message) = message {
            return Err(Failure(message));
        }
        self.note_test_run(run, status);
        Ok(())
    }

    /// Whether an app is there for a test run alone.
    pub(crate) fn is_test_app(&self, app: &App) -> bool {
        self.inner.db.read(|db| db::test_run::has_app(db, app.id)).unwrap_or(false)
    }

    /// Destroys the app of a test run, with all that runs in it.
    async fn end_test_app(&self, id: Uuid) {
        let app = match self.inner.db.read(|db| db::app::find(db, &id.to_string())) {
            Ok(Some(app)) => app,
            Ok(None) => return,
            Err(error) => return tracing::error!(?error, "a test run's app could not be found"),
        };
        let ids: Vec<DynoId> = {
            let dynos = self.dynos();
            let own = dynos.alive.values().filter(|dyno| dyno.app == app.name);
            own.map(|dyno| dyno.id).collect()
        };
        for id in ids {
            self.stop(id).await;
        }
        if let Err(error) = crate::api::destroy(self, &app).await {
            tracing::error!(?error, app = %app.name, "a test run's app could not be destroyed");
        }
    }

    /// Ends the runs of a pipeline that is about to be destroyed, and forgets what they wrote.
    pub(crate) async fn forget_test_runs(&self, pipeline: Uuid) -> Result<(), DbError> {
        for run in self.inner.db.read(|db| db::test_run::of_pipeline(db, pipeline))? {
            self.inner.cancels.cancel(run.id);
            if let Some(app) = run.app_id {
                self.end_test_app(app).await;
            }
            for id in [run.setup_id, run.output_id] {
                // Whoever reads it still has it open.
                let _ = fs_err::remove_file(self.inner.outputs.path(id));
            }
        }
        Ok(())
    }

    /// Says of what an earlier server did not finish that it came to no verdict, and has its apps go.
    pub(crate) fn recover_test_runs(&self) {
        let why = "The server was stopped meanwhile.";
        let left = self.inner.db.transaction(|db| {
            let mut left = db::test_run::left(db)?;
            for run in &mut left {
                run.error_status = Some(run.status);
                (run.status, run.updated_at) = (Status::Errored, clock::now());
                (run.message, run.exit_code) = (Some(why.to_owned()), Some(NO_VERDICT));
                if !db::test_run::advance(db, run)? {
                    run.error_status = None;
                }
            }
            Ok(left)
        });
        let left = match left {
            Ok(left) => left,
            Err(error) => return tracing::error!(?error, "test runs could not be told"),
        };
        for run in left {
            match run.error_status {
                Some(Status::Running) => {
                    self.inner.outputs.append(run.output_id, &format!("{}\n", gutter_line(why)));
                }
                Some(_) => {
                    self.inner.outputs.append(run.setup_id, &format!("{}\n", gutter_line(why)));
                    self.inner.outputs.append(run.output_id, "");
                }
                None => {}
            }
            if let Some(app) = run.app_id {
                let platform = self.clone();
                tokio::spawn(async move { platform.end_test_app(app).await });
            }
        }
    }
}

/// The dyno's exit code, which is noted; why there is none where it was ended from outside.
fn exit_code(
    platform: &Platform,
    going: &Going,
    ending: Ending,
    run: &mut TestRun,
) -> Result<i32, Failure> {
    if going.cancel.is_canceled() {
        return Err(canceled());
    }
    if platform.dynos().are_one_offs_refused() {
        return Err(Failure("The server was stopped meanwhile.".to_owned()));
    }
    match ending {
        Ending::Exited(code) => {
            run.exit_code = Some(code);
            Ok(code)
        }
        Ending::OutOfTime => Err(Failure("Setup and tests took longer than an hour.".to_owned())),
        Ending::OverLimit(excess) => Err(Failure(format!(
            "The dyno took more than {} and was ended.",
            excess.allowed_text()
        ))),
        Ending::NotLaunched { step, error, remedy } => {
            Err(Failure(format!("The dyno did not start: {step}: {error}. {remedy}")))
        }
    }
}

fn canceled() -> Failure {
    Failure("Canceled.".to_owned())
}

/// What Heroku CI has in the environment of tests.
fn vars_of(run: &TestRun) -> ConfigVars {
    let vars = [
        ("CI", "true".to_owned()),
        ("CI_NODE_INDEX", "0".to_owned()),
        ("CI_NODE_TOTAL", "1".to_owned()),
        ("HEROKU_TEST_RUN_BRANCH", run.commit.branch.clone()),
        ("HEROKU_TEST_RUN_COMMIT_VERSION", run.commit.sha.clone()),
        ("HEROKU_TEST_RUN_ID", run.id.to_string()),
        ("HEROKU_TEST_RUN_NUMBER", run.number.to_string()),
    ];
    vars.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The size that `formation.test` asks for.
fn size_of(wanted: &Setup) -> Result<DynoSize, Failure> {
    let of_tests = wanted.formation.iter().find(|(name, _, _)| name.as_str() == "test");
    let Some(size) = of_tests.and_then(|(_, _, size)| size.as_deref()) else {
        return Ok(DynoSize::BASIC);
    };
    DynoSize::named(size).ok_or_else(|| Failure(format!("`{size}` is no dyno size.")))
}
