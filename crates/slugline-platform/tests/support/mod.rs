//! A platform in this process, on an engine and a store that do what a test says.
#![expect(clippy::unwrap_used, reason = "what cannot go on fails its test")]

mod addons;
mod exchange;
pub(crate) mod routes;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use http::{Request, StatusCode};
use serde_json::{Value, json};
use slugline_model::build::{CompileResult, TreeSize};
use slugline_model::care::{Checked, Damage, Finding, Hit, PartKind, Removed};
use slugline_model::dyno::{DynoId, DynoSpec, Event, ExecRequest, TimedEvent};
use slugline_model::kept::Keeping;
use slugline_model::ledger::{Receipt, Tally};
use slugline_model::limits::Limits;
use slugline_model::listing::{Item, Listing};
use slugline_model::logline::{LogLine, LogSink};
use slugline_model::name::AppName;
use slugline_model::parts::Part;
use slugline_model::port::{
    Adopted, CheckRequest, CheckoutError, Engine, EngineError, IngestError, Keep, ReadError,
    Session, SlugStore, SweepError,
};
use slugline_model::procfile::{self, ProcessTypes};
use slugline_model::retention::{Object, Policy};
use slugline_model::route::Serving;
use slugline_model::sandbox::Step;
use slugline_model::slug::{SlugId, SlugSummary, SlugView};
use slugline_model::usage::{CpuTime, Memory, Usage};
use slugline_platform::{Config, Platform, Ports, WebhookRequest, WebhookSender};
use tokio::sync::mpsc;
use tower::ServiceExt as _;

use addons::addon_providers;

pub(crate) const TOKEN: &str = "a-token";

/// The status of a release phase that takes too long.
pub(crate) const OUT_OF_TIME: i32 = 143;

/// How a one-off dyno of the fake engine ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Script {
    pub(crate) build_status: i32,
    pub(crate) release_phase_status: i32,
}

/// Starts nothing: one-off dynos end as the script says, others when the test says.
pub(crate) struct FakeEngine {
    events: mpsc::Sender<(DynoId, TimedEvent)>,
    pub(crate) running: Mutex<HashMap<DynoId, DynoSpec>>,
    pub(crate) script: Mutex<Script>,
    pub(crate) procfile: Mutex<String>,
    /// The app.json of the next builds.
    pub(crate) manifest: Mutex<String>,
    /// What the next builds say of their trees: names and bytes.
    pub(crate) parts: Mutex<Vec<(String, u64)>>,
    /// How many bytes the next builds leave in the cache.
    pub(crate) cached: Mutex<usize>,
    /// Whether builds go on until they are stopped.
    pub(crate) builds_hang: Mutex<bool>,
}

impl FakeEngine {
    pub(crate) fn emit(&self, id: DynoId, event: Event) {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let time = i64::try_from(now.as_micros()).unwrap();
        let _ = self.events.try_send((id, TimedEvent { time, position: 0, end: 0, event }));
    }

    fn end(&self, id: DynoId, status: i32) {
        self.running.lock().unwrap().remove(&id);
        self.emit(id, Event::Exited { status });
        self.emit(id, Event::Discarded { receipt: Receipt::default(), kept: false });
    }

    fn run_build(&self, spec: &DynoSpec) {
        self.emit(spec.id, Event::Line { text: "-----> Compiling".into(), partial: false });
        if *self.builds_hang.lock().unwrap() {
            return;
        }
        let status = self.script.lock().unwrap().build_status;
        let tmp = &spec.binds.iter().find(|bind| bind.to == Path::new("/tmp")).unwrap().from;
        let result = CompileResult {
            process_types: procfile::parse(&self.procfile.lock().unwrap()).unwrap(),
            manifest: slugline_model::app_json::parse(&self.manifest.lock().unwrap()).unwrap(),
            detected: "Python".into(),
            parts: self.parts.lock().unwrap().iter().map(part).collect(),
            ..CompileResult::default()
        };
        let cached = vec![0; *self.cached.lock().unwrap()];
        std::fs::write(tmp.join("codon/tmp/cache/file"), cached).unwrap();
        std::fs::write(tmp.join("result.json"), serde_json::to_vec(&result).unwrap()).unwrap();
        self.end(spec.id, status);
    }
}

fn part((name, bytes): &(String, u64)) -> Part {
    Part { name: name.clone(), size: TreeSize { files: 1, bytes: *bytes } }
}

impl Engine for FakeEngine {
    fn start(&self, spec: &DynoSpec) -> Result<(), EngineError> {
        self.running.lock().unwrap().insert(spec.id, spec.clone());
        self.emit(spec.id, Event::Started { pid: 1 });
        if spec.release == 0 {
            self.run_build(spec);
        } else if spec.dyno.process_type.is_release() {
            self.emit(spec.id, Event::Line { text: "Migrating".into(), partial: false });
            let status = self.script.lock().unwrap().release_phase_status;
            if status == OUT_OF_TIME {
                self.emit(spec.id, Event::RunTimeout);
            }
            self.end(spec.id, status);
        }
        Ok(())
    }

    fn stop(&self, id: DynoId) -> Result<(), EngineError> {
        if self.running.lock().unwrap().contains_key(&id) {
            self.emit(id, Event::Stopping);
            self.end(id, 143);
        }
        Ok(())
    }

    fn forget(&self, _: DynoId) -> Result<(), EngineError> {
        Ok(())
    }

    fn adopt(&self) -> Result<Vec<Adopted>, EngineError> {
        Ok(vec![])
    }

    fn remove_tree(&self, tree: &Path) -> Result<(), EngineError> {
        match std::fs::remove_dir_all(tree) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => Ok(()),
        }
    }

    fn catch_up(&self, _: DynoId) {}

    fn dial(&self, _: DynoId) -> Result<OwnedFd, EngineError> {
        Err(nobody_there())
    }

    fn plan(&self, _: DynoId) -> Result<Vec<Step>, EngineError> {
        Err(nobody_there())
    }

    fn attach(&self, _: DynoId) -> Result<Session, EngineError> {
        Err(nobody_there())
    }

    fn exec(&self, _: DynoId, _: &ExecRequest) -> Result<Session, EngineError> {
        Err(nobody_there())
    }

    fn usage(&self, id: DynoId) -> Option<Usage> {
        let is_running = self.running.lock().unwrap().contains_key(&id);
        is_running.then(busy_usage)
    }

    fn ledger(&self, _: DynoId) -> Result<Receipt, EngineError> {
        Ok(Receipt::default())
    }

    fn export(
        &self,
        _: DynoId,
        _: &[String],
        out: &mut dyn std::io::Write,
    ) -> Result<Tally, EngineError> {
        // The end of a tar.
        let ended = out.write_all(&[0; 1_024]).map_err(|_| nobody_there());
        ended.map(|()| Tally::default())
    }

    fn kept_layers(&self) -> Result<Vec<DynoId>, EngineError> {
        Ok(vec![])
    }

    fn discard_layer(&self, _: DynoId) -> Result<(), EngineError> {
        Ok(())
    }
}

/// A dyno that keeps one processor busy.
fn busy_usage() -> Usage {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    Usage {
        at: i64::try_from(now).unwrap(),
        cpu: CpuTime { used: u64::try_from(now).unwrap(), ..CpuTime::default() },
        memory: Memory { rss: 100 << 20, cache: 1 << 20, quota: 512 << 20, ..Memory::default() },
        runnable: 1,
        ..Usage::default()
    }
}

/// Dynos of this engine have no processes.
fn nobody_there() -> EngineError {
    EngineError { operation: "reach a dyno".to_owned(), source: "it has no processes".into() }
}

/// Holds one slug, whatever is stored; notes how many slugs each sweep kept.
#[derive(Default)]
pub(crate) struct FakeStore(pub(crate) Mutex<Vec<usize>>);

/// What each file of a slug holds.
pub(crate) const CONTENT: &[u8] = b"#!/bin/sh\n";

impl SlugStore for FakeStore {
    fn ingest(
        &self,
        _: &AppName,
        tree: &Path,
        process_types: &ProcessTypes,
        _: &Limits,
    ) -> Result<SlugSummary, IngestError> {
        assert!(tree.is_dir());
        Ok(SlugSummary {
            id: "a".repeat(64).parse::<SlugId>().unwrap(),
            process_types: process_types.clone(),
            files: 1,
            bytes: 2,
            packed_bytes: 3,
            new_files: 1,
        })
    }

    fn checkout(&self, _: &SlugId) -> Result<SlugView, CheckoutError> {
        Ok(SlugView::Tree("/slug".into()))
    }

    // The care of the store, and reading what is in it.

    fn sweep(&self, keep: &mut Keep<'_>) -> Result<Option<Removed>, SweepError> {
        let Some(kept) = keep() else { return Ok(None) };
        self.0.lock().unwrap().push(kept.len());
        let slugs = 1 - kept.len() as u64;
        Ok(Some(Removed { slugs, ..Removed::default() }))
    }

    fn sweep_preview(&self, keep: &[SlugId]) -> Result<Removed, SweepError> {
        Ok(Removed { slugs: 1 - keep.len() as u64, ..Removed::default() })
    }

    fn fsck(
        &self,
        request: &CheckRequest,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Checked, ReadError> {
        progress(1, 1);
        let hit = |slug: &SlugId| Hit { slug: slug.clone(), files: vec![], known_as: vec![] };
        let findings = request.expected.iter().map(|slug| Finding {
            part: PartKind::Head,
            name: slug.to_string(),
            damage: Damage::Missing,
            slugs: vec![hit(slug)],
            slug_count: 1,
            repaired: request.repair.then(|| "a copy".to_owned()),
        });
        Ok(Checked { slugs: 1, findings: findings.collect(), ..Checked::default() })
    }

    /// Each slug is of one file of 100 bytes, of its own.
    fn objects(&self, slugs: &[SlugId]) -> Result<HashMap<Object, u64>, ReadError> {
        let hash = |slug: &SlugId| [slug.as_str().as_bytes()[0]; 32];
        Ok(slugs.iter().map(|slug| ((hash(slug), false), 100)).collect())
    }

    fn listing(&self, _: &SlugId) -> Result<Listing, ReadError> {
        let file = |size, executable| Item::File { content: [1; 32], executable, size };
        let items = [
            (b"bin".to_vec(), Item::Directory),
            (b"bin/run".to_vec(), file(CONTENT.len() as u64, true)),
            (b"link".to_vec(), Item::Symlink { target: b"bin/run".to_vec() }),
            (b"caf\xe9".to_vec(), file(7, false)),
        ];
        Ok(Listing { items: items.into(), ..Listing::default() })
    }

    fn open(&self, _: Object) -> Result<Box<dyn Read + Send>, ReadError> {
        Ok(Box::new(CONTENT))
    }

    fn archive(&self, _: &SlugId, path: &[u8], out: &mut dyn Write) -> Result<(), ReadError> {
        out.write_all(path).map_err(|error| ReadError(error.to_string()))
    }

    fn verify(&self, _: &SlugId) -> Result<(), ReadError> {
        Err(ReadError("object 12 is damaged".into()))
    }
}

/// Keeps every line.
#[derive(Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl LogSink for Lines {
    fn write(&self, _: &str, line: LogLine) {
        let text = format!("{}[{}]: {}", line.source.as_str(), line.process, line.text);
        self.0.lock().unwrap().push(text);
    }
}

/// Requests to webhooks, and how the next ones are answered; 200 where nothing is said.
#[derive(Default)]
pub(crate) struct Posted {
    pub(crate) requests: Vec<WebhookRequest>,
    pub(crate) answers: Vec<Result<u16, String>>,
}

fn webhook_sender(posted: Arc<Mutex<Posted>>) -> WebhookSender {
    Arc::new(move |request| {
        let mut posted = posted.lock().unwrap();
        posted.requests.push(request);
        let answer = if posted.answers.is_empty() { Ok(200) } else { posted.answers.remove(0) };
        Box::pin(std::future::ready(answer))
    })
}

/// A source of an app.json alone, as a `.tgz`.
fn packed(app_json: Option<&str>) -> Vec<u8> {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(encoder);
    if let Some(text) = app_json {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_cksum();
        archive.append_data(&mut header, "owl/app.json", text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// A platform and what it stands on.
pub(crate) struct TestPlatform {
    pub(crate) platform: Platform,
    pub(crate) engine: Arc<FakeEngine>,
    pub(crate) store: Arc<FakeStore>,
    pub(crate) log: Arc<Lines>,
    pub(crate) data: Arc<tempfile::TempDir>,
    /// What webhooks were told, and how they answer.
    pub(crate) posted: Arc<Mutex<Posted>>,
}

impl TestPlatform {
    pub(crate) async fn new() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::with(limits, Policy::default()).await
    }

    pub(crate) async fn with(limits: Limits, retention: Policy) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), limits, retention).await
    }

    /// Another server on the same data: the first one is gone for good, and its dynos with it.
    pub(crate) async fn another_server(&self) -> Self {
        Self::on(Arc::clone(&self.data), Limits::default(), Policy::default()).await
    }

    async fn on(data: Arc<tempfile::TempDir>, limits: Limits, retention: Policy) -> Self {
        let (send, events) = mpsc::channel(100_000);
        let engine = Arc::new(FakeEngine {
            events: send,
            running: Mutex::default(),
            script: Mutex::new(Script { build_status: 0, release_phase_status: 0 }),
            procfile: Mutex::new("web: serve\nworker: work".into()),
            manifest: Mutex::new("{}".into()),
            parts: Mutex::default(),
            cached: Mutex::new(1),
            builds_hang: Mutex::new(false),
        });
        let log = Arc::<Lines>::default();
        let config = Config {
            data_dir: data.path().to_path_buf(),
            domain: "localhost".into(),
            router_port: 5080,
            api_port: 5055,
            program: "/bin/true".into(),
            token: TOKEN.into(),
            network_env: std::collections::BTreeMap::new(),
            announced_stack: "heroku-24".to_owned(),
            mirrors: vec![],
            limits,
            retention,
            keeping: Keeping::default(),
            runtime_metrics: false,
            cycle: None,
            outbound: slugline_model::outbound::Outbound::default(),
            acme: slugline_platform::Acme::default(),
        };
        let store = Arc::<FakeStore>::default();
        let posted = Arc::<Mutex<Posted>>::default();
        let ports = Ports {
            engine: Arc::clone(&engine) as _,
            events,
            store: Arc::clone(&store) as _,
            exchange: Arc::clone(&store) as _,
            log: Arc::clone(&log) as _,
            log_sessions: Arc::new(|_| futures_util::stream::empty().boxed()),
            drain_sender: Arc::new(|_| Box::pin(std::future::pending())),
            webhook_sender: webhook_sender(Arc::clone(&posted)),
            addon_providers: addon_providers(data.path()),
            output_bucket: None,
        };
        let platform = Platform::start(config, ports).await.unwrap();
        Self { platform, engine, store, log, data, posted }
    }

    /// With an app that was built and released, and whose web dyno is up.
    pub(crate) async fn with_app() -> Self {
        let test = Self::new().await;
        test.ok("POST", "/apps", json!({ "name": "library" })).await;
        assert_eq!(test.build().await["status"], "succeeded");
        let web = test.started("web.1", 1).await;
        test.engine.emit(web, Event::Up);
        test.until(async || test.dyno("web.1").await["state"] == "up").await;
        test
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call_as(TOKEN, method, path, body).await
    }

    pub(crate) async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Authorization", format!("Bearer {token}"))
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.platform.api().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, body) = self.call(method, path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {body}");
        body
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ok("GET", path, json!({})).await
    }

    /// Uploads a source, builds it, and gives the finished build.
    pub(crate) async fn build(&self) -> Value {
        let build = self.begin_build(json!({})).await;
        self.ended(&build).await
    }

    /// Waits until a build has ended.
    pub(crate) async fn ended(&self, build: &Value) -> Value {
        let path = format!("/apps/library/builds/{}", build["id"].as_str().unwrap());
        self.until(async || self.get(&path).await["status"] != "pending").await;
        self.get(&path).await
    }

    /// Uploads a source with this app.json; gives its URL.
    pub(crate) async fn uploaded(&self, app_json: Option<&str>) -> String {
        let source = self.ok("POST", "/sources", json!({})).await;
        let url = source["source_blob"]["put_url"].as_str().unwrap().to_owned();
        let name = url.rsplit('/').next().unwrap();
        std::fs::write(self.data.path().join("sources").join(name), packed(app_json)).unwrap();
        url
    }

    /// Uploads a source, and asks for a build of it with more in the request's body.
    pub(crate) async fn begin_build(&self, more: Value) -> Value {
        let source = self.ok("POST", "/sources", json!({})).await;
        let url = source["source_blob"]["put_url"].as_str().unwrap().to_owned();
        let path = &url[url.find("/sources").unwrap()..];
        self.ok("PUT", path, json!("tgz")).await;
        let mut body = json!({ "source_blob": { "url": url, "version": "0123456789" } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("POST", "/apps/library/builds", body).await
    }

    /// An output from its URL, with more headers: the status, the answer's headers, the text.
    pub(crate) async fn stream(
        &self,
        url: &Value,
        headers: &[(&str, &str)],
    ) -> (u16, http::HeaderMap, String) {
        let url = url.as_str().unwrap();
        let mut request = Request::builder().uri(&url[url.find("/streams").unwrap()..]);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.platform.api().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, headers, String::from_utf8(body.to_vec()).unwrap())
    }

    /// The output of a build that has ended.
    pub(crate) async fn output(&self, build: &Value) -> String {
        self.stream(&build["output_stream_url"], &[]).await.2
    }

    /// What the engine was asked to run for the app's build.
    pub(crate) fn compile_command(&self) -> Option<String> {
        let running = self.engine.running.lock().unwrap();
        running.values().find(|spec| spec.release == 0).map(|spec| spec.command.clone())
    }

    /// Waits until its buildpacks run.
    pub(crate) async fn is_compiling(&self) {
        self.until(async || self.compile_command().is_some()).await;
    }

    /// The dyno of this name and release, once the engine was asked to start it.
    pub(crate) async fn started(&self, name: &str, release: u64) -> DynoId {
        let find = || {
            let running = self.engine.running.lock().unwrap();
            let mut specs = running.values();
            specs.find(|s| s.dyno.to_string() == name && s.release == release).map(|s| s.id)
        };
        self.until(async || find().is_some()).await;
        find().unwrap()
    }

    /// The dyno of this name that was started beside another one.
    pub(crate) async fn started_beside(&self, name: &str, other: DynoId) -> DynoId {
        let find = || {
            let running = self.engine.running.lock().unwrap();
            running.values().find(|s| s.dyno.to_string() == name && s.id != other).map(|s| s.id)
        };
        self.until(async || find().is_some()).await;
        find().unwrap()
    }

    /// Sets back until when cron entries were taken care of, once they are known.
    pub(crate) fn forget_days(&self, app: &str, days: i64) -> bool {
        let db = rusqlite::Connection::open(self.data.path().join("state.sqlite3")).unwrap();
        let sql = "UPDATE cron SET done_to = done_to - ? * 86400000000
                   WHERE app_id = (SELECT id FROM app WHERE name = ?)";
        db.execute(sql, rusqlite::params![days, app]).unwrap() > 0
    }

    /// Ends a dyno by itself, as a crash does.
    pub(crate) fn crash(&self, id: DynoId, status: i32) {
        self.engine.end(id, status);
    }

    /// Who answers the app's requests.
    pub(crate) fn serving(&self) -> Option<Serving> {
        let routes = self.platform.routes();
        let table = routes.borrow().clone();
        table.find("library.localhost:5080").map(|route| route.serving.clone())
    }

    /// A dyno as the API shows it; null where there is none.
    pub(crate) async fn dyno(&self, name: &str) -> Value {
        let dynos = self.get("/apps/library/dynos").await;
        let mut dynos = dynos.as_array().unwrap().iter();
        dynos.find(|dyno| dyno["name"] == name).cloned().unwrap_or_default()
    }

    /// Waits until something is so.
    pub(crate) async fn until(&self, condition: impl AsyncFn() -> bool) {
        for _ in 0..1_000 {
            if condition().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("it never came true; the log: {:#?}", self.log.0.lock().unwrap());
    }

    pub(crate) fn logged(&self, line: &str) -> bool {
        self.log.0.lock().unwrap().iter().any(|logged| logged.contains(line))
    }
}
