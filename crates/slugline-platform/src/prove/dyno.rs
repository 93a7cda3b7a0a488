//! Dynos of the process type `web` that serve nobody but a proof, and are thrown away.

use std::time::Duration;

use slugline_model::dyno::{Event, TimedEvent};
use slugline_model::name::{DynoName, ProcessType};
use slugline_model::prove::{Kind, Written};
use slugline_model::resources::{DynoSize, Resources};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use uuid::Uuid;

use super::ask::Asker;
use super::{NotProven, Subject};
use crate::cancel::Cancel;
use crate::db;
use crate::dynos::{Dyno, LastLines, Role};
use crate::platform::Platform;
use crate::ports::free_port;
use crate::reconcile::millis;

/// Such a dyno lives no longer, whatever becomes of the proof.
const LONGEST: Duration = Duration::from_mins(15);

/// One that listens.
pub(super) struct ThrowAway {
    pub(super) asker: Asker,
    platform: Platform,
    id: Uuid,
    events: UnboundedReceiver<TimedEvent>,
}

impl Platform {
    /// Boots a dyno of a release's slug, as fresh as every dyno is.
    pub(super) async fn boot_to_throw_away(
        &self,
        subject: &Subject,
        cancel: &Cancel,
    ) -> Result<ThrowAway, NotProven> {
        let Subject { app, release, slug } = subject;
        let web = slug.process_types.iter().find(|(name, _)| name.is_web());
        let Some((_, command)) = web else { return Err(NotProven::NoPages) };
        let failed = |why: &str| NotProven::NotBooted { why: why.to_owned(), lines: vec![] };
        let port = self.port_of_none().ok_or_else(|| failed("no port is free"))?;
        let name = prove_name().ok_or_else(|| failed("it has no name"))?;
        let mut spec = self.dyno_spec(app, name, command, (release, slug), Some(port));
        // What it writes is nobody's.
        spec.layer.keep = false;
        let size = self.size_of_web(subject);
        spec.times.run = Some(millis(LONGEST));
        spec.resources = Resources::of_dyno(size, &self.inner.config.limits);
        let dyno = Dyno::new(&spec, Role::Proof, size);
        let (send, events) = mpsc::unbounded_channel();
        if self.proves_no_more() {
            return Err(NotProven::Canceled);
        }
        self.register(&dyno).map_err(|error| failed(&error.to_string()))?;
        self.dynos().watchers.insert(dyno.id, send);
        self.launch(spec, slug.tree.clone()).await;
        let asker = self.asker(&app.name, dyno.id, port);
        let throw_away = ThrowAway { asker, platform: self.clone(), id: dyno.id, events };
        throw_away.up(subject, &dyno.lines, cancel).await
    }

    fn port_of_none(&self) -> Option<u16> {
        let given = self.dynos().alive.values().filter_map(|dyno| dyno.port).collect();
        free_port(&given)
    }

    fn size_of_web(&self, subject: &Subject) -> DynoSize {
        let formation = self.inner.db.read(|db| db::formation::of_app(db, subject.app.id));
        let formation = formation.unwrap_or_default();
        let web = formation.iter().find(|row| row.process_type.is_web());
        web.map_or(DynoSize::BASIC, |row| row.size)
    }
}

/// `prove.4711`.
fn prove_name() -> Option<DynoName> {
    let number = u32::try_from(Uuid::new_v4().as_u128() % 9_000).ok()? + 1_000;
    Some(DynoName::new("prove".parse::<ProcessType>().ok()?, number))
}

impl ThrowAway {
    /// Waits until it listens, and is healthy where its app says what that is.
    async fn up(
        mut self,
        subject: &Subject,
        lines: &LastLines,
        cancel: &Cancel,
    ) -> Result<Self, NotProven> {
        let mut why = "it has ended".to_owned();
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                () = cancel.wait() => {
                    self.throw_away().await;
                    return Err(NotProven::Canceled);
                }
            };
            match event.map(|timed| timed.event) {
                Some(Event::Up) => break,
                Some(Event::Exited { status }) => why = format!("it exited with status {status}"),
                Some(Event::BootTimeout) => "it does not listen at $PORT".clone_into(&mut why),
                Some(Event::LaunchFailed { step, error, .. }) => why = format!("{step}: {error}"),
                Some(Event::Discarded { .. }) | None => {
                    return Err(NotProven::NotBooted { why, lines: lines.all() });
                }
                Some(_) => {}
            }
        }
        if self.is_healthy(subject).await {
            return Ok(self);
        }
        self.throw_away().await;
        let why = "its health check fails".to_owned();
        Err(NotProven::NotBooted { why, lines: lines.all() })
    }

    async fn is_healthy(&self, subject: &Subject) -> bool {
        let Some(check) = &subject.slug.manifest.health_check else { return true };
        for attempt in 1..=check.tries() {
            if attempt > 1 {
                tokio::time::sleep(check.pause()).await;
            }
            let got = self.asker.get(&check.path, Kind::Other).await;
            if (200..300).contains(&got.answer.status) {
                return true;
            }
        }
        false
    }

    /// Stops it; gives the files that it made.
    pub(super) async fn throw_away(mut self) -> Vec<Written> {
        self.platform.stop(self.id).await;
        while let Some(TimedEvent { event, .. }) = self.events.recv().await {
            if let Event::Discarded { receipt, .. } = event {
                return Written::of(receipt);
            }
        }
        vec![]
    }
}
