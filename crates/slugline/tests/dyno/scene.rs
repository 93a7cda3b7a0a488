//! An engine, a slug, and dynos that run to their end.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use slugline_dyno::LocalEngine;
use slugline_model::dyno::{DynoId, DynoSpec, Event, Network, Streams, TimedEvent, Times};
use slugline_model::ledger::Receipt;
use slugline_model::limits::Limits;
use slugline_model::port::Engine as _;
use slugline_model::resources::Resources;
use slugline_model::slug::SlugView;
use slugline_store::{IngestRequest, Store};

pub(crate) struct Host {
    pub(crate) engine: LocalEngine,
    pub(crate) events: mpsc::Receiver<(DynoId, TimedEvent)>,
    pub(crate) slug: SlugView,
    pub(crate) directory: tempfile::TempDir,
}

impl Host {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (engine, events) = open(directory.path());
        let app = directory.path().join("slug/app");
        std::fs::create_dir_all(&app).unwrap();
        std::fs::write(app.join("baked.txt"), "baked").unwrap();
        let slug = SlugView::Tree(directory.path().join("slug"));
        Self { engine, events, slug, directory }
    }

    /// With a slug from a store, seen in one of the two ways.
    pub(crate) fn with_stored_slug(mounted: bool) -> Self {
        let mut host = Self::new();
        let tree = host.directory.path().join("slug/app");
        std::fs::create_dir_all(tree.join("static/css")).unwrap();
        for n in 0..300 {
            std::fs::write(tree.join(format!("static/{n}.js")), format!("// {n}")).unwrap();
        }
        std::fs::write(tree.join("static/css/out.css"), "a{}".repeat(50_000)).unwrap();
        std::fs::write(tree.join("empty"), "").unwrap();
        std::fs::write(tree.join("run.sh"), "#!/bin/sh\necho ran\n").unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(tree.join("run.sh"), mode).unwrap();
        std::os::unix::fs::symlink("../baked.txt", tree.join("static/link")).unwrap();
        let store = Store::open(host.directory.path().join("store")).unwrap();
        let id = store.ingest(&tree, &IngestRequest::default(), &mut |_| {}).unwrap().id;
        host.slug = if mounted {
            SlugView::Image { image: store.image(&id).unwrap(), objects: store.objects() }
        } else {
            let app = store.checkout(&id).unwrap();
            SlugView::Tree(app.parent().unwrap().to_path_buf())
        };
        host
    }

    pub(crate) fn spec(&self, command: &str) -> DynoSpec {
        let env = [("HOME", "/app"), ("PATH", "/usr/local/bin:/usr/bin:/bin"), ("A", "b c")];
        DynoSpec {
            id: uuid::Uuid::new_v4(),
            app: "library".parse().unwrap(),
            dyno: "worker.1".parse().unwrap(),
            release: 1,
            command: command.to_owned(),
            env: env
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
            slug: Some(self.slug.clone()),
            slug_id: None,
            binds: vec![],
            port: None,
            host_uid: None,
            times: Times { boot: 2_000, stop: 1_000, run: None },
            resources: Resources::default(),
            network: Network::Own,
            hosts: vec![],
            streams: Streams::Lines,
            layer: slugline_model::dyno::Layer::default(),
        }
    }

    /// A dyno with a build's resources.
    pub(crate) fn build_spec(&self, command: &str) -> DynoSpec {
        let resources = Resources::of_build(&Limits::default());
        DynoSpec { resources, ..self.spec(command) }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, command: &str) -> Outcome {
        let spec = self.spec(command);
        self.engine.start(&spec).unwrap();
        self.outcome(spec.id)
    }

    pub(crate) fn next(&self) -> Event {
        self.events.recv_timeout(Duration::from_secs(20)).expect("an event").1.event
    }

    /// Passes events by until this one.
    pub(crate) fn wait_for(&self, wanted: &Event) {
        while self.next() != *wanted {}
    }

    pub(crate) fn outcome(&self, id: DynoId) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            match self.next() {
                Event::Line { text, .. } => outcome.lines.push(text),
                Event::Exited { status } => outcome.status = Some(status),
                Event::Discarded { receipt, .. } => {
                    outcome.receipt = receipt;
                    break;
                }
                other => outcome.others.push(other),
            }
        }
        self.engine.forget(id).unwrap();
        outcome
    }

    pub(crate) fn dynos(&self) -> PathBuf {
        self.directory.path().join("dynos")
    }
}

/// No dyno outlives its test, though it outlives its server.
impl Drop for Host {
    fn drop(&mut self) {
        for directory in std::fs::read_dir(self.dynos()).into_iter().flatten().flatten() {
            let pid = std::fs::read_to_string(directory.path().join("lock")).unwrap_or_default();
            if let Some(pid) = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
            if let Some(id) = directory.file_name().to_str().and_then(|name| name.parse().ok()) {
                let _ = self.engine.forget(id);
            }
        }
    }
}

pub(crate) fn open(directory: &Path) -> (LocalEngine, mpsc::Receiver<(DynoId, TimedEvent)>) {
    let (send, events) = mpsc::channel();
    let sink = Box::new(move |id, event| {
        let _ = send.send((id, event));
    });
    let program = Path::new(env!("CARGO_BIN_EXE_slugline"));
    (LocalEngine::open(&directory.join("dynos"), program, sink).unwrap(), events)
}

#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) lines: Vec<String>,
    pub(crate) status: Option<i32>,
    pub(crate) receipt: Receipt,
    pub(crate) others: Vec<Event>,
}
