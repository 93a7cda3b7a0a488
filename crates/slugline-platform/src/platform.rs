//! The platform: its parts, its start and its end.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::BoxStream;
use slugline_model::addon::Provider;
use slugline_model::cycle::Cycle;
use slugline_model::dyno::{DynoId, TimedEvent};
use slugline_model::exchange::SlugExchange;
use slugline_model::kept::Keeping;
use slugline_model::limits::Limits;
use slugline_model::logline::{LogFilter, LogLine, LogSink, Source};
use slugline_model::mirror::Mirror;
use slugline_model::name::AppName;
use slugline_model::outbound::Outbound;
use slugline_model::port::{Engine, EngineError, SlugStore};
use slugline_model::retention::Policy;
use slugline_model::route::{Dial, InFlight, RouteTable};
use tokio::sync::{Notify, mpsc, watch};

use crate::access::{Access, admit_operator};
use crate::cancel::Cancels;
use crate::clock;
use crate::db::{Db, DbError};
use crate::drains::{DrainSender, Drains};
use crate::dynos::Dynos;
use crate::elsewhere::Indexes;
use crate::git::Pushes;
use crate::layers::Layers;
use crate::metrics::Metrics;
use crate::output_bucket::OutputBucket;
use crate::outputs::Outputs;
use crate::pins::Pins;
use crate::rendezvous::Rendezvous;
use crate::split::Splits;
use crate::store_care::Care;
use crate::tls::Certificates;
use crate::tls::acme::Acme;
use crate::tls::authority::Authority;
use crate::turns::Turns;
use crate::webhooks::WebhookSender;

/// What the operator decides.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// What the hosts of apps end with: `localhost`.
    pub domain: String,
    /// Where the router listens, for the URLs of apps.
    pub router_port: u16,
    /// Where the API listens, for the URLs that it gives out.
    pub api_port: u16,
    /// The slugline binary, which builds run inside their sandbox.
    pub program: PathBuf,
    /// What API clients must present.
    pub token: String,
    /// Proxies, certificates and indexes that builds need to reach the network.
    pub network_env: BTreeMap<String, String>,
    /// Which of Heroku's stacks builds are told that they run on, in `STACK`.
    pub announced_stack: String,
    /// Where builds fetch from instead.
    pub mirrors: Vec<Mirror>,
    /// Heroku's numbers, or the operator's.
    pub limits: Limits,
    /// Which slugs are kept.
    pub retention: Policy,
    /// For how long and how much of what dynos wrote is kept after their stop.
    pub keeping: Keeping,
    /// Whether every app's log has Heroku's runtime metrics.
    pub runtime_metrics: bool,
    /// When dynos are cycled; none for never.
    pub cycle: Option<Cycle>,
    /// What is connected to because a user says so.
    pub outbound: Outbound,
    /// Who issues certificates for apps that want them issued.
    pub acme: Acme,
}

/// What a reader of logs asks for.
#[derive(Debug, Clone)]
pub struct LogQuery {
    /// Whose.
    pub app: AppName,
    /// Which lines.
    pub filter: LogFilter,
    /// How many of the past.
    pub lines: usize,
    /// Whether to go on with lines as they come.
    pub tail: bool,
    /// Only lines after this one, of a session that was cut.
    pub after: Option<u64>,
}

/// Opens a session of log lines, each with its number.
pub type LogSessions = Arc<dyn Fn(LogQuery) -> BoxStream<'static, (u64, LogLine)> + Send + Sync>;

/// What the platform is wired to.
pub struct Ports {
    /// Where dynos run.
    pub engine: Arc<dyn Engine>,
    /// What dynos report; the engine's sink sends here.
    pub events: mpsc::Receiver<(DynoId, TimedEvent)>,
    /// Where slugs are.
    pub store: Arc<dyn SlugStore>,
    /// Where slugs come from and go to, in foreign formats.
    pub exchange: Arc<dyn SlugExchange>,
    /// Where log lines go.
    pub log: Arc<dyn LogSink>,
    /// Where they are read again.
    pub log_sessions: LogSessions,
    /// What sends them on.
    pub drain_sender: DrainSender,
    /// What sends requests to webhooks.
    pub webhook_sender: WebhookSender,
    /// Who provides add-ons, a service each.
    pub addon_providers: Vec<Arc<dyn Provider>>,
    /// Where finished outputs go.
    pub output_bucket: Option<Arc<dyn OutputBucket>>,
}

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// Why a platform could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A directory could not be made.
    #[error("make {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The authority could not be made or read.
    #[error("open the authority in {}", path.display())]
    Authority {
        /// Its directory.
        path: PathBuf,
        /// What the machine said.
        source: std::io::Error,
    },
    /// The state.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// The platform. Cheap to clone.
#[derive(Clone)]
pub struct Platform {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) db: Db,
    pub(crate) access: Access,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) store: Arc<dyn SlugStore>,
    pub(crate) exchange: Arc<dyn SlugExchange>,
    pub(crate) log: Arc<dyn LogSink>,
    pub(crate) log_sessions: LogSessions,
    pub(crate) drain_sender: DrainSender,
    pub(crate) webhook_sender: WebhookSender,
    /// Held while apps and dynos are compared by name, and while an app gets another one.
    pub(crate) names: tokio::sync::Mutex<()>,
    /// Wakes what tells webhooks.
    pub(crate) events_to_tell: Notify,
    pub(crate) addon_providers: Vec<Arc<dyn Provider>>,
    pub(crate) drains: Drains,
    pub(crate) certificates: Arc<Certificates>,
    /// What authorities are to be answered, by token.
    pub(crate) challenges: Mutex<HashMap<String, String>>,
    /// Wakes whoever asks for certificates.
    pub(crate) other_domains: Notify,
    pub(crate) log_queries: Mutex<HashMap<uuid::Uuid, LogQuery>>,
    pub(crate) outputs: Outputs,
    pub(crate) routes: watch::Sender<Arc<RouteTable>>,
    pub(crate) in_flight: InFlight,
    pub(crate) rendezvous: Rendezvous,
    /// Wakes the reconcile loop.
    pub(crate) changed: Notify,
    /// Wakes cron, which has other entries now.
    pub(crate) other_entries: Notify,
    /// Everything alive.
    dynos: Mutex<Dynos>,
    /// One build at a time per app.
    pub(crate) turns: Turns,
    pub(crate) pushes: Pushes,
    pub(crate) cancels: Cancels,
    /// Slugs that builds have stored and not released yet.
    pub(crate) pins: Pins,
    pub(crate) care: Care,
    pub(crate) metrics: Metrics,
    /// What stopped dynos wrote, for a while.
    pub(crate) layers: Layers,
    pub(crate) indexes: Indexes,
    pub(crate) splits: Splits,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Platform").field("config", &self.inner.config.data_dir).finish()
    }
}

impl Platform {
    /// Starts the platform: takes over what an earlier server left, then reconciles for ever.
    /// Must be called within a tokio runtime.
    pub async fn start(config: Config, ports: Ports) -> Result<Self, StartError> {
        for name in ["sources", "builds", "cache", "git", "outputs"] {
            make_directory(&config.data_dir.join(name))?;
        }
        let db = Db::open(&config.data_dir.join("state.sqlite3"))?;
        admit_operator(&db, &config.token)?;
        let outputs = Outputs::new(config.data_dir.join("outputs"), ports.output_bucket);
        let (routes, _) = watch::channel(Arc::default());
        let authority = Authority::open(&config.data_dir, &config.domain).map_err(|source| {
            StartError::Authority { path: config.data_dir.join("tls"), source }
        })?;
        let inner = Inner {
            config,
            db,
            access: Access::default(),
            engine: ports.engine,
            store: ports.store,
            exchange: ports.exchange,
            log: ports.log,
            log_sessions: ports.log_sessions,
            drain_sender: ports.drain_sender,
            webhook_sender: ports.webhook_sender,
            names: tokio::sync::Mutex::default(),
            events_to_tell: Notify::new(),
            addon_providers: ports.addon_providers,
            drains: Drains::default(),
            certificates: Arc::new(Certificates::new(authority)),
            challenges: Mutex::default(),
            other_domains: Notify::new(),
            log_queries: Mutex::default(),
            outputs,
            routes,
            in_flight: InFlight::default(),
            rendezvous: Rendezvous::default(),
            changed: Notify::new(),
            other_entries: Notify::new(),
            dynos: Mutex::default(),
            turns: Turns::default(),
            pushes: Pushes::default(),
            cancels: Cancels::default(),
            pins: Pins::default(),
            care: Care::default(),
            metrics: Metrics::default(),
            layers: Layers::default(),
            indexes: Indexes::default(),
            splits: Splits::default(),
        };
        let platform = Self { inner: Arc::new(inner) };
        platform.inner.clear_git();
        platform.recover().await?;
        // Whoever asks for the table finds the apps that there are.
        platform.publish_routes();
        tokio::spawn(platform.clone().take_events(ports.events));
        tokio::spawn(platform.clone().reconcile_for_ever());
        tokio::spawn(platform.clone().care_for_ever());
        tokio::spawn(platform.clone().keep_layers_for_ever());
        tokio::spawn(platform.clone().measure_for_ever());
        tokio::spawn(platform.clone().cron_for_ever());
        tokio::spawn(platform.clone().issue_for_ever());
        tokio::spawn(platform.clone().send_outputs_for_ever());
        platform.recover_addons();
        platform.recover_setups();
        platform.recover_test_runs();
        tokio::spawn(platform.clone().tell_for_ever());
        platform.keep_drains();
        platform.publish_certificates();
        tokio::spawn(platform.clone().note_drains_for_ever());
        Ok(platform)
    }

    /// The router's table, kept true.
    pub fn routes(&self) -> watch::Receiver<Arc<RouteTable>> {
        self.inner.routes.subscribe()
    }

    /// Where the router counts the requests that dynos answer.
    pub fn in_flight(&self) -> InFlight {
        self.inner.in_flight.clone()
    }

    /// How the router gets into the networks of dynos.
    pub fn dial(&self) -> Dial {
        let engine = Arc::clone(&self.inner.engine);
        Arc::new(move |id| engine.dial(id).map_err(std::io::Error::other))
    }

    /// Stops every dyno as if it were scaled down, and waits until the last receipt is written.
    pub async fn stop_all(&self) {
        self.dynos().shut_down();
        self.inner.changed.notify_one();
        self.stop_builds().await;
        let mut settled = self.dynos().settled();
        // The sender lives as long as the platform, so this only ends when nothing is alive.
        let _ = settled.wait_for(|alive| *alive == 0).await;
        self.builds_are_over().await;
    }

    pub(crate) fn dynos(&self) -> MutexGuard<'_, Dynos> {
        self.inner.known_dynos()
    }

    /// One line of the platform about a dyno.
    pub(crate) fn say(&self, app: &AppName, process: &str, text: impl Into<String>) {
        self.write_log(app, Source::Heroku, process, clock::now(), &text.into());
    }

    /// One line of the API about an app: who changed what.
    pub(crate) fn say_api(&self, app: &AppName, text: impl Into<String>) {
        self.write_log(app, Source::App, "api", clock::now(), &text.into());
    }

    pub(crate) fn write_log(
        &self,
        app: &AppName,
        source: Source,
        process: &str,
        time: i64,
        text: &str,
    ) {
        // A command or an error of several lines must not pass for lines of somebody else.
        for text in text.split('\n') {
            let process = process.to_owned();
            let line = LogLine { time, source, process, text: text.to_owned() };
            self.inner.log.write(app.as_str(), line);
        }
    }

    /// The URL that a browser opens.
    pub(crate) fn web_url(&self, app: &AppName) -> String {
        let Config { domain, router_port, .. } = &self.inner.config;
        match router_port {
            80 => format!("http://{app}.{domain}/"),
            port => format!("http://{app}.{domain}:{port}/"),
        }
    }

    /// The name that an app has without asking for one.
    pub(crate) fn own_host(&self, app: &AppName) -> String {
        format!("{app}.{}", self.inner.config.domain)
    }

    /// Apps have other names or certificates now.
    pub(crate) fn hosts_changed(&self) {
        self.publish_certificates();
        self.publish_routes();
    }

    /// Runs a call that blocks on the disk or the kernel.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> T {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(value) => value,
            // The runtime ends, and with it whoever waits.
            Err(error) if error.is_cancelled() => std::future::pending().await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Inner {
    /// Everything alive.
    pub(crate) fn known_dynos(&self) -> MutexGuard<'_, Dynos> {
        self.dynos.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_directory(path: &Path) -> Result<(), StartError> {
    fs_err::create_dir_all(path)
        .map_err(|source| StartError::Directory { path: path.to_path_buf(), source })
}
