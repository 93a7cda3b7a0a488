//! Dynos that run once: builds and release phases.

use slugline_model::dyno::{DynoId, DynoSpec, Event, TimedEvent};
use slugline_model::resources::{DynoSize, Excess};
use slugline_model::slug::SlugId;
use tokio::sync::mpsc;

use crate::cancel::Cancel;
use crate::dynos::{Dyno, Role};
use crate::excess;
use crate::platform::Platform;
use crate::reconcile::LaunchError;

/// As a shell counts what SIGTERM ended.
const TERMINATED: i32 = 143;

/// How a one-off dyno ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, or after SIGTERM or SIGKILL: its status as a shell counts.
    Exited(i32),
    /// It ran too long.
    OutOfTime,
    /// It went beyond a limit.
    OverLimit(Excess),
    /// It never ran: the step, what the kernel said, and what to do.
    NotLaunched { step: String, error: String, remedy: String },
}

impl Platform {
    /// Runs a dyno to its end and hands over each line that it writes. With a slug, the dyno runs
    /// from its tree.
    pub(crate) async fn run_once(
        &self,
        spec: DynoSpec,
        slug: Option<SlugId>,
        role: Role,
        mut on_line: impl FnMut(&str) + Send,
    ) -> Ending {
        let id = spec.id;
        let (send, mut events) = mpsc::unbounded_channel::<TimedEvent>();
        {
            let mut dynos = self.dynos();
            if dynos.are_one_offs_refused() {
                return Ending::Exited(TERMINATED);
            }
            dynos.add(Dyno::new(&spec, role, DynoSize::BASIC));
            dynos.watchers.insert(id, send);
        }
        match slug {
            Some(slug) => self.launch(spec, slug).await,
            None => self.launch_without_slug(spec).await,
        }
        let mut ending = Ending::Exited(1);
        let mut at_a_limit = None;
        while let Some(TimedEvent { event, .. }) = events.recv().await {
            match event {
                Event::Line { text, .. } => on_line(&text),
                Event::RunTimeout => at_a_limit = Some(Ending::OutOfTime),
                Event::LimitExceeded { excess, .. } => at_a_limit = Some(Ending::OverLimit(excess)),
                Event::LeftRunning { commands } => {
                    for line in excess::left_running(&commands) {
                        on_line(&line);
                    }
                }
                Event::Dropped { lines } => on_line(&excess::dropped(lines)),
                Event::Exited { status } => ending = Ending::Exited(status),
                Event::LaunchFailed { step, error, remedy } => {
                    ending = Ending::NotLaunched { step, error, remedy };
                }
                Event::Discarded { .. } => break,
                _ => {}
            }
        }
        at_a_limit.unwrap_or(ending)
    }

    /// The same, for what may be canceled: its dyno is stopped then.
    pub(crate) async fn run_once_unless(
        &self,
        cancel: &Cancel,
        spec: DynoSpec,
        slug: Option<SlugId>,
        role: Role,
        on_line: impl FnMut(&str) + Send,
    ) -> Ending {
        let id = spec.id;
        let mut run = std::pin::pin!(self.run_once(spec, slug, role, on_line));
        tokio::select! {
            // In this order: a dyno can be stopped once it is known.
            biased;
            ending = &mut run => return ending,
            () = cancel.wait() => {}
        }
        self.stop(id).await;
        run.await
    }

    async fn launch_without_slug(&self, spec: DynoSpec) {
        let id = spec.id;
        if let Err(error) = self.blocking(move |inner| inner.engine.start(&spec)).await {
            self.report_failed_start(id, &LaunchError::Engine(error));
        } else if self.is_stopping(id) {
            self.stop(id).await;
        }
    }

    /// Stops every build and release phase, and starts no other one.
    pub async fn stop_builds(&self) {
        let ids: Vec<DynoId> = {
            let mut dynos = self.dynos();
            dynos.refuse_one_offs();
            let is_build = |dyno: &&Dyno| !matches!(dyno.role, Role::Formation | Role::OneOff);
            let one_offs = dynos.alive.values().filter(is_build);
            one_offs.map(|dyno| dyno.id).collect()
        };
        for id in ids {
            self.stop(id).await;
        }
    }
}
