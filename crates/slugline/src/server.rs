//! `slugline serve`: the platform, wired to its engine, store, router and logs.

use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use rustix::fs::{FlockOperation, flock};
use sd_notify::NotifyState;
use slugline_dyno::LocalEngine;
use slugline_logs::{Drain, Hub, Post};
use slugline_model::addon::Provider;
use slugline_model::domain::{LOCAL, api_host};
use slugline_model::logline::Origin;
use slugline_model::network::NetworkOptions;
use slugline_platform::{
    Config, Declared, DrainOrder, DrainSender, LogQuery, LogSessions, Platform, Ports,
    WebhookRequest, WebhookSender,
};
use slugline_router::{Entrance, Router};
use slugline_store::Store;
use slugline_store::bucket::{Bucket, BucketSettings};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::ServerArgs;
use crate::bucket::try_out;
use crate::configuration::Configuration;
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::listeners::{Listeners, port};
use crate::network::network_env;
use crate::objects::{Buckets, Objects, Outside, media};
use crate::outputs_away::OutputsAway;
use crate::slugs::LocalSlugs;
use crate::upgrade::{self, EarlyWishes, Wishes};

/// A running server.
pub(crate) struct Server {
    pub(crate) platform: Platform,
    pub(crate) token: String,
    pub(crate) api_port: u16,
    program: PathBuf,
    listeners: Listeners,
    /// Ends the router, and waits until it has answered what it was asked.
    router: (oneshot::Sender<()>, JoinHandle<()>),
    /// How long builds may hold up an upgrade: as long as one may take.
    patience: Duration,
    /// Held for as long as the server lives.
    _lock: fs_err::File,
}

/// How `slugline serve` ends.
pub(crate) enum Ended {
    /// It was told to stop.
    Stopped,
    /// Another server takes its place, once nothing of this one runs.
    GivesWay(PathBuf, Listeners),
}

/// Serves until told to stop, or until another server takes its place. Dynos run on: the next
/// server takes them over.
pub(crate) async fn serve(
    args: ServerArgs,
    early: Result<EarlyWishes, CommandError>,
) -> Result<Ended, CommandError> {
    let data_dir = data_directory(&args)?;
    let (mut end, mut wishes) = (End::new()?, Wishes::new(&early?)?);
    upgrade::reap_inherited();
    let server = Server::start(&args).await?;
    let scheme = if args.domain == LOCAL { "http" } else { "https" };
    say(&format!("Platform API: {scheme}://{}:{}", api_host(&args.domain), server.api_port));
    say(&format!("Apps:         http://<app>.{}:{}", args.domain, args.port));
    say(&format!("Token:        {}", data_dir.join("token").display()));
    say(&format!("heroku run:   NODE_EXTRA_CA_CERTS={}", server.platform.ca_path().display()));
    tell_manager(&[NotifyState::Ready]);
    loop {
        tokio::select! {
            () = end.wait() => break,
            () = wishes.wait() => {}
        }
        let quiet = async { server.is_ready_to_go().await };
        tokio::select! {
            () = end.wait() => break,
            ready = quiet => match ready {
                Ok(()) => return Ok(server.give_way().await),
                Err(error) => complain(&error.explain().plain()),
            }
        }
        tell_manager(&[NotifyState::Ready]);
    }
    tell_manager(&[NotifyState::Stopping]);
    say("The server has stopped. Its dynos run on, and the next server takes them over.");
    Ok(Ended::Stopped)
}

/// Tells systemd, where that started the server. Nobody else listens.
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// The wishes to end: Ctrl-C, SIGTERM, and a terminal that was closed. From its making on none is
/// lost, whether or not somebody waits.
pub(crate) struct End([Signal; 3]);

impl End {
    pub(crate) fn new() -> Result<Self, CommandError> {
        let take = |kind| signal(kind).map_err(|source| CommandError::Signals { source });
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds;
        Ok(Self([take(interrupt)?, take(terminate)?, take(hangup)?]))
    }

    /// Waits for the next one.
    pub(crate) async fn wait(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

impl Server {
    /// Starts everything, or nothing.
    pub(crate) async fn start(args: &ServerArgs) -> Result<Self, CommandError> {
        let configuration = Configuration::load(args.config.as_deref(), &data_directory(args)?)?;
        Self::start_configured(args, configuration).await
    }

    /// The same, with what the operator decides at hand.
    pub(crate) async fn start_configured(
        args: &ServerArgs,
        configuration: Configuration,
    ) -> Result<Self, CommandError> {
        let data_dir = data_directory(args)?;
        let (listeners, sockets) = Listeners::open(args)?;
        prepare(&data_dir)?;
        let lock = lock(&data_dir)?;
        let token = token(&data_dir)?;
        let limits = args.limits.limits();
        let logs = data_dir.join("logs");
        // What is saved of a dyno's events need not be told to the next server.
        let engine = Arc::new(OnceLock::<Arc<LocalEngine>>::new());
        let keeper = Arc::clone(&engine);
        let on_saved = move |origin: Origin| {
            if let Some(engine) = keeper.get() {
                engine.keep(origin.dyno, origin.position);
            }
        };
        let hub = Hub::open(&logs, &limits, on_saved).map_err(|error| CommandError::Logs {
            path: logs,
            source: std::io::Error::other(error),
        })?;
        let hub = Arc::new(hub);
        let config = Config {
            data_dir: data_dir.clone(),
            domain: args.domain.clone(),
            router_port: port(&sockets.router[0]),
            api_port: port(&sockets.api[0]),
            program: program()?,
            token: token.clone(),
            network_env: network_env(),
            announced_stack: configuration.stack,
            mirrors: configuration.mirrors,
            limits: limits.clone(),
            retention: configuration.retention,
            runtime_metrics: args.runtime_metrics,
            keeping: configuration.keeping,
            cycle: configuration.cycle,
            outbound: configuration.outbound,
            acme: configuration.acme,
        };
        let (program, api_port) = (config.program.clone(), config.api_port);
        let store = store(&config.data_dir, configuration.bucket)?;
        let objects = Objects::open(&config.data_dir, (port(&sockets.s3), config.router_port))?;
        let mut network = configuration.network;
        network.reach.push(objects.reach());
        let mut ports = ports(&config, &hub, store, network, &engine)?;
        ports.addon_providers.extend(addon_providers(
            configuration.addons,
            &objects,
            configuration.objects,
        ));
        ports.output_bucket = configuration.logs.map(|logs| Arc::new(OutputsAway(logs)) as _);
        let aside = Some(objects.aside());
        objects.serve(sockets.s3);
        let platform = Platform::start(config, ports).await?;
        let table = platform.routes();
        let tls = platform.tls().map_err(|error| CommandError::DataDirectory {
            path: platform.ca_path(),
            source: std::io::Error::other(error),
        })?;
        let media = Some(media::source(platform.clone()));
        let entrance = Entrance { listeners: sockets.router, tls: Some(tls), aside, media };
        let reach = (platform.dial(), platform.in_flight(), platform.elsewhere());
        let (end, ended) = oneshot::channel();
        // A server that is dropped takes its router with it.
        let ended = async move {
            if ended.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let patience = limits.build;
        let router = Router::serve(entrance, table, hub, reach, limits, ended);
        let router = (end, tokio::spawn(router));
        for listener in sockets.api {
            platform.serve(listener).map_err(|error| CommandError::DataDirectory {
                path: platform.ca_path(),
                source: std::io::Error::other(error),
            })?;
        }
        Ok(Self { platform, token, api_port, program, listeners, router, patience, _lock: lock })
    }

    /// Waits until another server may take this one's place without a build or a release phase
    /// that ends for it, and makes sure that there is one.
    async fn is_ready_to_go(&self) -> Result<(), CommandError> {
        // systemd takes no earlier word for the end of this.
        let now = NotifyState::monotonic_usec_now();
        tell_manager(
            &[Some(NotifyState::Reloading), now.ok()].into_iter().flatten().collect::<Vec<_>>(),
        );
        upgrade::try_out(&self.program)?;
        let quiet = tokio::time::timeout(self.patience, self.platform.quiet()).await;
        quiet.map_err(|_| CommandError::Upgrade {
            program: self.program.clone(),
            found: "Builds or release phases have been under way all the time.".to_owned(),
        })
    }

    /// Answers what was asked.
    async fn give_way(self) -> Ended {
        let (end, ended) = self.router;
        let _ = end.send(());
        let _ = ended.await;
        say("Another server takes this one's place.");
        Ended::GivesWay(self.program, self.listeners)
    }
}

/// The slug store. Its bucket is tried out beside what follows: dynos run without it.
fn store(data_dir: &Path, bucket: Option<BucketSettings>) -> Result<Store, CommandError> {
    let store = Store::open(data_dir.join("store"))?;
    let Some(settings) = bucket else { return Ok(store) };
    let bucket = Arc::new(Bucket::open(settings)?);
    let tried = Arc::clone(&bucket);
    std::thread::spawn(move || try_out(&tried));
    Ok(store.with_bucket(bucket)?)
}

/// Events that may wait between the engine and the platform. Further ones wait in their spools.
const EVENTS: usize = 4_096;

fn ports(
    config: &Config,
    hub: &Arc<Hub>,
    store: Store,
    network: NetworkOptions,
    keeper: &OnceLock<Arc<LocalEngine>>,
) -> Result<Ports, CommandError> {
    let store = Arc::new(LocalSlugs::new(store, &config.data_dir));
    let (send, events) = mpsc::channel(EVENTS);
    let sink = Box::new(move |id, event| {
        // The platform takes events for as long as it lives.
        let _ = send.blocking_send((id, event));
    });
    let engine = LocalEngine::open(&config.data_dir.join("dynos"), &config.program, sink)?;
    let engine = Arc::new(engine.with_network(network));
    let _ = keeper.set(Arc::clone(&engine));
    Ok(Ports {
        engine,
        events,
        store: Arc::clone(&store) as _,
        exchange: store,
        log: Arc::clone(hub) as _,
        log_sessions: log_sessions(Arc::clone(hub)),
        drain_sender: drain_sender(Arc::clone(hub)),
        webhook_sender: webhook_sender(),
        addon_providers: vec![],
        output_bucket: None,
    })
}

fn webhook_sender() -> WebhookSender {
    Arc::new(|request: WebhookRequest| {
        let WebhookRequest { url, body, headers, outbound } = request;
        let url = url.as_str().to_owned();
        Box::pin(Post { url, body, headers, outbound }.send())
    })
}

/// Who provides add-ons: the operator, and where that has declared no `s3`, the embedded server.
fn addon_providers(
    declared: Vec<Declared>,
    objects: &Objects,
    external: Option<Outside>,
) -> Vec<Arc<dyn Provider>> {
    let own: Arc<dyn Provider> = Arc::new(Buckets::new(objects.clone(), external));
    let is_declared = declared.iter().any(|one| one.service.name == own.service().name);
    let declared = declared.into_iter().map(|service| Arc::new(service) as Arc<dyn Provider>);
    declared.chain((!is_declared).then_some(own)).collect()
}

fn drain_sender(hub: Arc<Hub>) -> DrainSender {
    Arc::new(move |order: DrainOrder| {
        let DrainOrder { app, url, token, after, outbound, arrived } = order;
        let drain = Drain { app: app.to_string(), url, token, after, outbound, arrived };
        Box::pin(Arc::clone(&hub).drain(drain))
    })
}

fn log_sessions(hub: Arc<Hub>) -> LogSessions {
    Arc::new(move |query: LogQuery| {
        let LogQuery { app, filter, lines, tail, after } = query;
        let session = match after {
            Some(after) => hub.resume(app.as_str(), filter, after, tail),
            None => hub.session(app.as_str(), filter, lines, tail),
        };
        let next = |mut session: slugline_logs::Session| async move {
            session.next().await.map(|line| (line, session))
        };
        futures_util::stream::unfold(session, next).boxed()
    })
}

/// The data directory that was asked for, or the user's.
pub(crate) fn data_directory(args: &ServerArgs) -> Result<PathBuf, CommandError> {
    data_directory_or_default(args.data_dir.as_deref())
}

/// The same, for those who talk to a server.
pub(crate) fn data_directory_or_default(asked: Option<&Path>) -> Result<PathBuf, CommandError> {
    if let Some(directory) = asked {
        return Ok(std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf()));
    }
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").map(|home| home.join(".local/share"));
    let base = set("XDG_DATA_HOME").or_else(home).ok_or(CommandError::NoDataDirectory)?;
    Ok(base.join("slugline"))
}

/// Only the server's user may look inside: config vars are in there.
fn prepare(data_dir: &Path) -> Result<(), CommandError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    let closed = made.and_then(|()| close_to_others(data_dir));
    let writable = closed.and_then(|()| tempfile::tempfile_in(data_dir).map(|_| ()));
    writable.map_err(|source| CommandError::DataDirectory { path: data_dir.to_path_buf(), source })
}

/// Whoever could look inside could read config vars, and run as the server what a build made
/// set-uid. A directory of somebody else's things is not touched.
fn close_to_others(data_dir: &Path) -> std::io::Result<()> {
    let mode = std::fs::metadata(data_dir)?.permissions().mode();
    let others = 0o077;
    if mode & others == 0 {
        return Ok(());
    }
    let ours = data_dir.join("token").exists() || std::fs::read_dir(data_dir)?.next().is_none();
    if !ours {
        let open = "other users may look inside, and it is not empty: `chmod 700` it, or name a \
                    new one";
        return Err(std::io::Error::other(open));
    }
    std::fs::set_permissions(data_dir, std::fs::Permissions::from_mode(0o700))
}

/// One server at a time.
pub(crate) fn lock(data_dir: &Path) -> Result<fs_err::File, CommandError> {
    let path = data_dir.join("lock");
    let error = |source| CommandError::DataDirectory { path: data_dir.to_path_buf(), source };
    let mut options = fs_err::OpenOptions::new();
    let mut file = options.create(true).truncate(false).write(true).open(&path).map_err(error)?;
    if flock(file.file(), FlockOperation::NonBlockingLockExclusive).is_err() {
        let owner = std::fs::read_to_string(&path).unwrap_or_default().trim().to_owned();
        return Err(CommandError::DataDirectoryInUse { path: data_dir.to_path_buf(), owner });
    }
    file.set_len(0).map_err(error)?;
    writeln!(file, "{}", std::process::id()).map_err(error)?;
    Ok(file)
}

/// The API's token, made at the first start.
fn token(data_dir: &Path) -> Result<String, CommandError> {
    let path = data_dir.join("token");
    let error = |source| CommandError::DataDirectory { path: data_dir.to_path_buf(), source };
    if let Ok(token) = std::fs::read_to_string(&path)
        && !token.trim().is_empty()
    {
        return Ok(token.trim().to_owned());
    }
    let token = format!("SLUGLINE-{}-{}", uuid::Uuid::new_v4(), uuid::Uuid::new_v4().simple());
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{token}")).map_err(error)?;
    Ok(token)
}

/// This very binary, for supervisors, builds, and the server that takes this one's place.
fn program() -> Result<PathBuf, CommandError> {
    let error = |source| CommandError::Source { path: PathBuf::from("/proc/self/exe"), source };
    Ok(installed(std::env::current_exe().map_err(error)?))
}

/// Where a program lies that may have been replaced since it was started: the kernel then says so
/// behind its name.
fn installed(running: PathBuf) -> PathBuf {
    let before = running.to_str().and_then(|text| text.strip_suffix(" (deleted)"));
    match before {
        Some(path) if !running.exists() => PathBuf::from(path),
        _ => running,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_replaced_lies_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("slugline");
        std::fs::write(&program, "new").unwrap();
        assert_eq!(installed(program.clone()), program);
        let told = directory.path().join("slugline (deleted)");
        assert_eq!(installed(told.clone()), program);
        std::fs::write(&told, "a strange name").unwrap();
        assert_eq!(installed(told.clone()), told);
    }

    #[test]
    fn a_data_directory_is_closed_to_others_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        let mode = || data.metadata().unwrap().permissions().mode() & 0o777;
        let open =
            || std::fs::set_permissions(data, std::fs::Permissions::from_mode(0o755)).unwrap();
        open();
        prepare(data).unwrap();
        assert_eq!(mode(), 0o700, "an empty one is closed");
        open();
        std::fs::write(data.join("thesis.tex"), "").unwrap();
        assert!(matches!(prepare(data), Err(CommandError::DataDirectory { .. })));
        assert_eq!(mode(), 0o755, "somebody else's is left alone");
        std::fs::write(data.join("token"), "").unwrap();
        prepare(data).unwrap();
        assert_eq!(mode(), 0o700, "one that was used before is closed");
    }
}
