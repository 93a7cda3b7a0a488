//! An engine with its dynos.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use slugline_dyno::LocalEngine;
use slugline_model::dyno::{DynoId, DynoSpec, Event, Network, Streams, TimedEvent, Times};
use slugline_model::port::Engine as _;
use slugline_model::resources::Resources;
use slugline_model::slug::SlugView;

use crate::Failed;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_mins(3);

/// Where a dyno's programs are looked for.
pub(crate) const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

pub(crate) struct Host {
    pub(crate) engine: LocalEngine,
    events: mpsc::Receiver<(DynoId, TimedEvent)>,
}

impl Host {
    pub(crate) fn open(directory: &Path) -> Result<Self, Failed> {
        let (send, events) = mpsc::channel();
        let sink = Box::new(move |id, event| {
            let _ = send.send((id, event));
        });
        let program = Path::new(env!("CARGO_BIN_EXE_slugline"));
        Ok(Self { engine: LocalEngine::open(directory, program, sink)?, events })
    }

    /// The next event of this dyno that is wanted; others of it are passed by.
    pub(crate) fn wait<T>(
        &self,
        id: DynoId,
        mut wanted: impl FnMut(&Event) -> Option<T>,
    ) -> Result<T, Failed> {
        loop {
            let (of, TimedEvent { event, .. }) = self.events.recv_timeout(PATIENCE)?;
            if let Event::LaunchFailed { step, error, .. } = &event {
                return Err(format!("{step}: {error}").into());
            }
            if of == id
                && let Some(found) = wanted(&event)
            {
                return Ok(found);
            }
        }
    }

    pub(crate) fn wait_for_end(&self, id: DynoId) -> Result<(), Failed> {
        self.wait(id, |event| matches!(event, Event::Discarded { .. }).then_some(()))?;
        Ok(self.engine.forget(id)?)
    }
}

pub(crate) fn spec(slug: &SlugView, command: &str) -> Result<DynoSpec, Failed> {
    let env = [("HOME", "/app"), ("PATH", PATH), ("PORT", "8765")];
    Ok(DynoSpec {
        id: uuid::Uuid::new_v4(),
        app: "bench".parse()?,
        dyno: "worker.1".parse()?,
        release: 1,
        command: command.to_owned(),
        env: env
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        slug: Some(slug.clone()),
        slug_id: None,
        binds: vec![],
        port: None,
        host_uid: None,
        times: Times { boot: 20_000, stop: 5_000, run: None },
        resources: Resources::default(),
        network: Network::Own,
        hosts: vec![],
        streams: Streams::Lines,
        layer: slugline_model::dyno::Layer::default(),
    })
}
