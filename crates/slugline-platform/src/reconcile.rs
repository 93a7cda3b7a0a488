//! The reconcile loop: observe, decide, act.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use slugline_model::code::Code;
use slugline_model::dyno::{
    DynoId, DynoSpec, DynoState, Event, Layer, Network, Streams, TimedEvent, Times,
};
use slugline_model::kept::Ephemeral;
use slugline_model::name::{AppName, DynoName};
use slugline_model::network::loopback_names;
use slugline_model::plan::{Action, Desired, Wanted, dynos, plan};
use slugline_model::port::{Adopted, EngineError};
use slugline_model::resources::{DynoSize, Resources};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use crate::clock;
use crate::crashes::{cooling, next_start};
use crate::db::dyno::DynoRow;
use crate::db::formation::Formation;
use crate::db::overview::Overview;
use crate::db::release::Release;
use crate::db::slug::Slug;
use crate::db::{self, DbError};
use crate::dynos::{Dyno, Role};
use crate::events::error_line;
use crate::platform::{Platform, StartError};
use crate::ports::free_port;

/// How long the loop sleeps when nothing changes.
const IDLE: Duration = Duration::from_mins(1);

/// What an app runs.
pub(crate) struct Running {
    pub(crate) release: Release,
    pub(crate) slug: Slug,
}

impl Platform {
    /// Takes over what an earlier server left: its dynos go on, its builds and release phases have
    /// failed.
    pub(crate) async fn recover(&self) -> Result<(), StartError> {
        let now = clock::now();
        self.fail_what_was_left(now)?;
        let all = self.blocking(|inner| inner.engine.adopt()).await?;
        self.dynos().crashes = self.inner.db.read(db::crash::all)?.into_iter().collect();
        for adopted in &all {
            self.adopt(adopted)?;
        }
        self.salvage(&all).await;
        self.blocking(crate::platform::Inner::remove_old_sources).await;
        Ok(())
    }

    /// Clears what builds of an earlier server left, once those that still run are gone. Until
    /// then no other build of their apps begins, which would not find the cache.
    async fn salvage(&self, adopted: &[Adopted]) {
        let left = crate::workspace::left(&self.inner.config.data_dir);
        let builds = adopted.iter().filter(|adopted| adopted.spec.release == 0);
        let (ids, apps): (Vec<DynoId>, BTreeSet<AppName>) =
            builds.map(|build| (build.spec.id, build.spec.app.clone())).unzip();
        let turns: Vec<_> = apps.iter().map(|app| self.inner.turns.enter(app, None)).collect();
        let platform = self.clone();
        let clear = async move {
            let mut count = platform.dynos().settled();
            let over = || {
                let dynos = platform.dynos();
                !ids.iter().any(|id| dynos.alive.contains_key(id))
            };
            // The sender lives as long as the platform.
            while !over() && count.changed().await.is_ok() {}
            platform
                .blocking(move |inner| {
                    let data_dir = &inner.config.data_dir;
                    crate::workspace::salvage(&left, data_dir, &*inner.engine);
                })
                .await;
            drop(turns);
        };
        if apps.is_empty() {
            clear.await;
        } else {
            tokio::spawn(clear);
        }
    }

    /// One that was stopping goes on stopping, and one that was booting is not asked to serve.
    fn adopt(&self, adopted: &Adopted) -> Result<(), DbError> {
        let Adopted { spec, state } = adopted;
        let known = self.inner.db.read(|db| db::dyno::find(db, spec.id))?;
        let role = match spec.release {
            0 => Role::Build,
            _ if spec.dyno.process_type.is_release() => Role::ReleasePhase,
            _ => known.as_ref().and_then(|row| Role::named(&row.role)).unwrap_or(Role::Formation),
        };
        let size = known.as_ref().and_then(|row| DynoSize::named(&row.size));
        let mut dyno = Dyno::new(spec, role, size.unwrap_or(DynoSize::BASIC));
        if let Some(row) = known {
            (dyno.started_at, dyno.booted) = (row.started_at, row.booted);
            // The app may have another name since.
            let id = row.app_id.unwrap_or_default();
            if let Some(app) = self.inner.db.read(|db| db::app::find(db, &id))? {
                dyno.app = app.name;
            }
        }
        // It may not have answered yet when the earlier server ended.
        let unproven = *state == DynoState::Up && dyno.is_web() && self.has_health_check(&dyno);
        let state = if unproven { DynoState::Starting } else { *state };
        self.dynos().add(dyno.clone());
        self.dynos().set_state(spec.id, state, clock::now());
        if let Some(tree) = spec.slug_id.clone() {
            self.dynos().stands_on(spec.id, tree);
        }
        if unproven {
            self.check_health(&dyno);
        }
        let (platform, id) = (self.clone(), spec.id);
        tokio::spawn(async move {
            platform.blocking(move |inner| inner.engine.catch_up(id)).await;
            if matches!(role, Role::Build | Role::ReleasePhase | Role::Proof) {
                platform.stop(id).await;
            }
        });
        Ok(())
    }

    /// Reconciles at every change and at the end of every cool-off.
    pub(crate) async fn reconcile_for_ever(self) {
        loop {
            if let Err(error) = self.reconcile().await {
                tracing::error!(?error, "the reconcile loop could not read the state");
            }
            self.publish_routes();
            let now = clock::now();
            let next = next_start(&self.dynos().crashes, now);
            let next = next.map(|at| u64::try_from(at - now).unwrap_or(0));
            let wait = next.map_or(IDLE, Duration::from_micros).min(IDLE);
            let _ = tokio::time::timeout(wait, self.inner.changed.notified()).await;
        }
    }

    async fn reconcile(&self) -> Result<(), DbError> {
        let _names = self.inner.names.lock().await;
        let now = clock::now();
        let apps = self.inner.db.read(db::overview::all)?;
        let mut wanted = HashMap::new();
        // Whose time is up is to be replaced at once.
        let running: Vec<AppName> = self.dynos().seen().into_keys().collect();
        for app in &running {
            self.cycle(app, now);
        }
        let mut all_seen = self.dynos().seen();
        for overview in &apps {
            let name = &overview.app.name;
            let desired = self.desired(overview);
            let seen = all_seen.remove(name).unwrap_or_default();
            if desired.dynos.is_empty() && seen.is_empty() {
                continue;
            }
            let cooling = cooling(&self.dynos().crashes, name, now);
            for action in plan(&desired, &seen, &cooling, now) {
                match action {
                    Action::Stop(id) => self.retire(id),
                    Action::Start(dyno) => {
                        if let Some(running) = self.running(overview.app.id)? {
                            self.start_dyno(&overview.app, dyno, &running)?;
                        }
                    }
                }
            }
            wanted.insert(name.clone(), names(&desired));
        }
        if !self.dynos().is_shutting_down() {
            self.pardon_all_but(&wanted);
        }
        self.stop_dynos_without_app(&db::overview::names(&apps)).await;
        Ok(())
    }

    /// Dynos whose app was destroyed.
    async fn stop_dynos_without_app(&self, apps: &HashSet<&AppName>) {
        let orphans: Vec<DynoId> = {
            let dynos = self.dynos();
            let orphaned =
                |dyno: &&Dyno| dyno.state != DynoState::Stopping && !apps.contains(&dyno.app);
            dynos.alive.values().filter(orphaned).map(|dyno| dyno.id).collect()
        };
        for id in orphans {
            self.stop(id).await;
        }
    }

    /// The current release of an app and its slug, if it has one.
    pub(crate) fn running(&self, app: Uuid) -> Result<Option<Running>, DbError> {
        self.inner.db.read(|db| {
            let Some(release) = db::release::current(db, app)? else { return Ok(None) };
            let Some(slug_id) = release.slug_id else { return Ok(None) };
            Ok(db::slug::find(db, slug_id)?.map(|slug| Running { release, slug }))
        })
    }

    fn desired(&self, overview: &Overview) -> Desired {
        let Some(current) = &overview.current else { return Desired::default() };
        let (release, preboot) = (current.version, overview.app.preboot);
        if self.dynos().is_shutting_down() {
            return Desired { release, dynos: vec![], preboot };
        }
        let quantity = |row: &Formation| (row.process_type.clone(), row.quantity, row.size);
        let quantities: Vec<_> = overview.formation.iter().map(quantity).collect();
        Desired { release, dynos: dynos(&quantities, &current.process_types), preboot }
    }

    fn start_dyno(
        &self,
        app: &db::app::App,
        wanted: Wanted,
        running: &Running,
    ) -> Result<(), DbError> {
        let Wanted { dyno: name, size } = wanted;
        let Some(command) = running.slug.process_types.get(&name.process_type) else {
            return Ok(());
        };
        let given = self.dynos().alive.values().filter_map(|dyno| dyno.port).collect();
        let port = name.process_type.is_web().then(|| free_port(&given)).flatten();
        let spec = self.dyno_spec(app, name, command, (&running.release, &running.slug), port);
        let spec =
            DynoSpec { resources: Resources::of_dyno(size, &self.inner.config.limits), ..spec };
        self.register(&Dyno::new(&spec, Role::Formation, size))?;
        self.say(
            &app.name,
            &spec.dyno.to_string(),
            format!("Starting process with command `{command}`"),
        );
        let (platform, tree) = (self.clone(), running.slug.tree.clone());
        tokio::spawn(async move { platform.launch(spec, tree).await });
        Ok(())
    }

    /// Knows a dyno from now on, and lets the next server know it.
    pub(crate) fn register(&self, dyno: &Dyno) -> Result<(), DbError> {
        let row = DynoRow {
            role: dyno.role.as_str().to_owned(),
            size: dyno.size.name.to_owned(),
            started_at: dyno.started_at,
            booted: dyno.booted,
            app_id: None,
        };
        self.inner.db.transaction(|db| {
            let app = db::app::find(db, dyno.app.as_str())?;
            let row = DynoRow { app_id: app.map(|app| app.id.to_string()), ..row };
            db::dyno::insert(db, dyno.id, &row)
        })?;
        self.dynos().add(dyno.clone());
        self.tell_dyno(dyno, "create");
        Ok(())
    }

    /// What every dyno of a release is started with; the tree is filled in at the launch.
    pub(crate) fn dyno_spec(
        &self,
        app: &db::app::App,
        name: DynoName,
        command: &str,
        (release, slug): (&Release, &Slug),
        port: Option<u16>,
    ) -> DynoSpec {
        let limits = &self.inner.config.limits;
        let mut env = release.config_vars.clone();
        env.insert("HOME".to_owned(), "/app".to_owned());
        env.entry("PATH".to_owned()).or_insert_with(|| STACK_PATH.to_owned());
        env.insert("DYNO".to_owned(), name.to_string());
        if let Some(port) = port {
            env.insert("PORT".to_owned(), port.to_string());
        }
        let hosts = loopback_names(&env);
        DynoSpec {
            id: Uuid::new_v4(),
            app: app.name.clone(),
            dyno: name,
            release: release.version,
            command: command.to_owned(),
            env,
            hosts,
            slug: None,
            slug_id: None,
            binds: vec![],
            port,
            host_uid: None,
            times: Times { boot: millis(limits.boot), stop: millis(limits.stop), run: None },
            resources: Resources::of_dyno(DynoSize::BASIC, limits),
            network: Network::Own,
            streams: Streams::Lines,
            layer: Layer {
                // A release phase's, too: what it was to bake is lost with it.
                keep: self.inner.config.keeping.keeps(),
                scratch: slug.manifest.scratch.iter().map(|path| format!("/app/{path}")).collect(),
                strict: app.ephemeral == Ephemeral::Strict,
            },
        }
    }

    /// Checks the slug out and starts the dyno; a failure is reported as the dyno's own.
    pub(crate) async fn launch(&self, mut spec: DynoSpec, tree: SlugId) {
        let id = spec.id;
        let (app, dyno) = (spec.app.clone(), spec.dyno.to_string());
        self.dynos().stands_on(id, tree.clone());
        let started = self
            .blocking(move |inner| {
                let view =
                    inner.store.checkout(&tree).map_err(|error| LaunchError::Checkout(error.0))?;
                spec.slug = Some(view);
                spec.slug_id = Some(tree);
                inner.engine.start(&spec).map_err(LaunchError::Engine)
            })
            .await;
        if let Err(error) = started {
            if let LaunchError::Checkout(found) = &error {
                self.note_code(id, Some(Code::R17.as_str()));
                self.say(&app, &dyno, format!("{} -> {found}", error_line(Code::R17)));
            }
            self.report_failed_start(id, &error);
        } else if self.is_stopping(id) {
            // It was asked to stop before there was anything to stop.
            self.stop(id).await;
        }
    }

    pub(crate) fn is_stopping(&self, id: DynoId) -> bool {
        self.dynos().alive.get(&id).is_some_and(|dyno| dyno.state == DynoState::Stopping)
    }

    /// A dyno that the engine never saw ends like one whose launch failed.
    pub(crate) fn report_failed_start(&self, id: DynoId, error: &LaunchError) {
        let (step, found) = match error {
            LaunchError::Checkout(found) => ("checkout", found.clone()),
            LaunchError::Engine(error) => {
                ("engine", format!("{}: {}", error.operation, error.source))
            }
        };
        let failed =
            Event::LaunchFailed { step: step.to_owned(), error: found, remedy: String::new() };
        let discarded =
            Event::Discarded { receipt: slugline_model::ledger::Receipt::default(), kept: false };
        for event in [failed, discarded] {
            self.take_event(id, TimedEvent { time: clock::now(), position: 0, end: 0, event });
        }
    }
}

fn names(desired: &Desired) -> Vec<DynoName> {
    desired.dynos.iter().map(|wanted| wanted.dyno.clone()).collect()
}

/// Why a dyno could not even be handed to its supervisor.
pub(crate) enum LaunchError {
    Checkout(String),
    Engine(EngineError),
}

/// The PATH of a dyno before any profile script.
pub(crate) use slugline_model::sandbox::STACK_PATH;

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
