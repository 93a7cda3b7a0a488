//! What dynos report becomes log lines, states, receipts, and work for the reconcile loop.

use slugline_model::code::Code;
use slugline_model::dyno::{DynoId, DynoState, Event, TimedEvent};
use slugline_model::logline::{LogLine, Origin, Source};
use slugline_model::resources::Resource;
use tokio::sync::mpsc;

use crate::crashes::Crash;
use crate::db;
use crate::dynos::{Dyno, Role, Telling};
use crate::over;
use crate::platform::Platform;

/// How long to wait for the log.
const FOR_ROOM: std::time::Duration = std::time::Duration::from_millis(2);

impl Platform {
    /// Takes events until the engine is gone.
    pub(crate) async fn take_events(self, mut events: mpsc::Receiver<(DynoId, TimedEvent)>) {
        while let Some((id, event)) = events.recv().await {
            // What cannot be taken now waits in the spool, whose bounds are known.
            while !self.inner.log.has_room() {
                tokio::time::sleep(FOR_ROOM).await;
            }
            self.take_event(id, event);
        }
    }

    pub(crate) fn take_event(&self, id: DynoId, event: TimedEvent) {
        let Some(mut dyno) = self.dynos().alive.get(&id).cloned() else {
            return;
        };
        dyno.telling = Telling::of(event.position);
        if let Some(watcher) = self.dynos().watchers.get(&id) {
            let _ = watcher.send(event.clone());
        }
        match dyno.role {
            Role::Build | Role::Proof => self.take_build_event(&dyno, &event),
            Role::Formation | Role::OneOff | Role::ReleasePhase => {
                // The receipt is told to the next server too, until the dyno is forgotten.
                let is_last = matches!(event.event, Event::Discarded { .. });
                let next = Origin { dyno: id, position: event.end, part: 0 };
                self.take_dyno_event(&dyno, event);
                if !is_last {
                    self.inner.log.all_written(next);
                }
            }
        }
    }

    /// The lines of a build and of a proof's dyno go to whoever watches it; only its end matters
    /// here.
    fn take_build_event(&self, dyno: &Dyno, event: &TimedEvent) {
        match &event.event {
            Event::Discarded { .. } => self.bury(dyno),
            Event::Line { text, .. } => dyno.lines.push(text),
            Event::Stopping => self.enter(dyno, DynoState::Stopping, event.time),
            _ => {}
        }
    }

    fn take_dyno_event(&self, dyno: &Dyno, event: TimedEvent) {
        let time = event.time;
        match event.event {
            // Only builds are told what they left.
            Event::Started { .. } | Event::LeftRunning { .. } => {}
            Event::Line { text, .. } => {
                dyno.lines.push(&text);
                self.tell_as(dyno, (Source::App, &dyno.name.to_string()), time, &text);
            }
            Event::Up => self.take_up(dyno, time),
            Event::Inbound { why } => {
                self.tell(dyno, time, &format!("Nobody outside is reached from here: {why}"));
            }
            Event::BootTimeout => self.tell_boot_timeout(dyno, time),
            Event::Stopping => {
                self.enter(dyno, DynoState::Stopping, time);
                self.tell(dyno, time, "Stopping all processes with SIGTERM");
                self.changed();
            }
            Event::ExitTimeout => self.tell_exit_timeout(dyno, time),
            Event::RunTimeout => self.tell(dyno, time, "Time is up: stopping"),
            Event::MemoryQuota { used, allowed } => {
                self.tell_all(dyno, time, &over::above_quota(used, allowed));
            }
            Event::LimitExceeded { excess, biggest } => {
                let code = (excess.resource == Resource::Memory).then_some(Code::R15.as_str());
                self.note_code(dyno.id, code);
                self.tell_all(dyno, time, &over::ended(&excess, &biggest));
            }
            Event::Dropped { lines } => {
                let text = format!("{}: {lines} messages dropped", error_line(Code::L10));
                self.tell_as(dyno, (Source::Heroku, "logplex"), time, &text);
            }
            Event::LaunchFailed { step, error, remedy } => {
                self.tell(dyno, time, &format!("Could not be started: {step}: {error}"));
                if !remedy.is_empty() {
                    self.tell(dyno, time, &remedy);
                }
                self.take_exit(dyno, None, time);
            }
            Event::Exited { status } => {
                self.tell(dyno, time, &format!("Process exited with status {status}"));
                self.take_exit(dyno, Some(status), time);
            }
            Event::Discarded { receipt, kept } => self.take_receipt(dyno, (receipt, kept), time),
        }
    }

    /// It listens. One that has to answer first is asked now.
    fn take_up(&self, dyno: &Dyno, time: i64) {
        let asked = dyno.is_web() && dyno.state == DynoState::Starting && self.check_health(dyno);
        if !asked && self.is_up(dyno, time) {
            self.tell(dyno, time, UP);
        }
    }

    /// It serves, unless it was asked to stop meanwhile.
    pub(crate) fn is_up(&self, dyno: &Dyno, time: i64) -> bool {
        if self.is_stopping(dyno.id) {
            return false;
        }
        self.enter(dyno, DynoState::Up, time);
        if dyno.is_web() {
            self.note_health(dyno, true);
        }
        self.changed();
        true
    }

    pub(crate) fn tell(&self, dyno: &Dyno, time: i64, text: &str) {
        self.tell_as(dyno, (Source::Heroku, &dyno.name.to_string()), time, text);
    }

    /// A line of the event at hand, which is told once whatever becomes of servers.
    fn tell_as(&self, dyno: &Dyno, (source, process): (Source, &str), time: i64, text: &str) {
        for text in text.split('\n') {
            let (process, text) = (process.to_owned(), text.to_owned());
            let line = LogLine { time, source, process, text };
            self.inner.log.write_once(dyno.app.as_str(), line, dyno.telling.next(dyno.id));
        }
    }

    fn tell_all(&self, dyno: &Dyno, time: i64, lines: &[String]) {
        for line in lines {
            self.tell(dyno, time, line);
        }
    }

    fn tell_boot_timeout(&self, dyno: &Dyno, time: i64) {
        let seconds = self.inner.config.limits.boot.as_secs();
        let error = error_line(Code::R10);
        let text = format!(
            "{error} -> Web process failed to bind to $PORT within {seconds} seconds of launch"
        );
        self.note_code(dyno.id, Some(Code::R10.as_str()));
        self.tell(dyno, time, &text);
        self.tell(dyno, time, "Stopping process with SIGKILL");
    }

    fn tell_exit_timeout(&self, dyno: &Dyno, time: i64) {
        let seconds = self.inner.config.limits.stop.as_secs();
        let error = error_line(Code::R12);
        let text = format!("{error} -> Process failed to exit within {seconds} seconds of SIGTERM");
        self.tell(dyno, time, &text);
        self.tell(dyno, time, "Stopping remaining processes with SIGKILL");
    }

    /// A dyno of the formation that was not asked to stop has crashed, whatever its status.
    fn take_exit(&self, dyno: &Dyno, status: Option<i32>, time: i64) {
        // Its last events said why.
        let Some(known) = self.dynos().alive.get(&dyno.id).cloned() else { return };
        let dyno = Dyno { telling: std::sync::Arc::clone(&dyno.telling), ..known };
        let asked = dyno.state == DynoState::Stopping && !dyno.failed;
        if dyno.role == Role::Formation && !asked {
            self.enter(&dyno, DynoState::Crashed, time);
            let before = if dyno.failed { DynoState::Starting } else { dyno.state };
            self.tell(&dyno, time, &format!("State changed from {} to crashed", before.as_str()));
            if let Some(crash) = self.note_crash(&dyno, status, time) {
                self.tell_crash(&dyno, &crash, time);
            }
        } else {
            self.enter(&dyno, DynoState::Down, time);
            if dyno.role == Role::OneOff {
                self.tell(&dyno, time, "State changed from up to complete");
                self.settle_cron(&dyno, status);
            }
        }
        self.changed();
    }

    /// Says when it is tried again, how to try now, and who serves meanwhile.
    fn tell_crash(&self, dyno: &Dyno, crash: &Crash, time: i64) {
        let Dyno { name, app, release, .. } = dyno;
        let wait = crash.until - crash.at;
        if wait > 0 {
            let minutes = wait / 60_000_000;
            let text = format!(
                "Crashed again ({}): the next start is in {minutes} min; now by: \
                 heroku ps:restart {name} -a {app}",
                crash.why()
            );
            self.tell(dyno, time, &text);
        }
        let older = self.dynos().older_that_serves(app, *release);
        if let Some(older) = older.filter(|_| dyno.is_web()) {
            self.note_health(dyno, false);
            let text = format!(
                "v{release} does not get up, so v{older} serves on. Back to it for good by: \
                 heroku rollback v{older} -a {app}"
            );
            self.tell(dyno, time, &text);
        }
    }

    /// Notes on a release whether its web dynos get up.
    fn note_health(&self, dyno: &Dyno, is_healthy: bool) {
        let noted = self.inner.db.transaction(|db| match db::app::find(db, dyno.app.as_str())? {
            Some(app) => db::release::set_health(db, app.id, dyno.release, is_healthy),
            None => Ok(()),
        });
        if let Err(error) = noted {
            tracing::error!(?error, "a release's health could not be noted");
        }
    }

    /// Notes why a dyno will have ended.
    pub(crate) fn note_code(&self, id: DynoId, code: Option<&'static str>) {
        if let Some(dyno) = self.dynos().alive.get_mut(&id) {
            dyno.code = code.or(dyno.code);
        }
    }

    /// Nothing of the dyno is left but its directory, which goes now.
    pub(crate) fn bury(&self, dyno: &Dyno) {
        self.forget(dyno.id);
    }

    /// A dyno that has ended, or never began, is known no more.
    pub(crate) fn forget(&self, id: DynoId) {
        let platform = self.clone();
        tokio::spawn(async move {
            if let Err(error) = platform.blocking(move |inner| inner.engine.forget(id)).await {
                tracing::error!(?error, %id, "a stopped dyno's directory could not be removed");
            }
            platform.dynos().remove(id);
            if let Err(error) = platform.inner.db.transaction(|db| db::dyno::delete(db, id)) {
                tracing::error!(?error, %id, "a stopped dyno could not be forgotten");
            }
            platform.inner.layers.look();
            platform.changed();
        });
    }

    fn enter(&self, dyno: &Dyno, state: DynoState, time: i64) {
        self.dynos().set_state(dyno.id, state, time);
        let action = if state == DynoState::Down { "destroy" } else { "update" };
        self.tell_dyno(&Dyno { state, since: time, ..dyno.clone() }, action);
    }

    pub(crate) fn changed(&self) {
        self.inner.changed.notify_one();
    }
}

/// What is said of a dyno that serves.
pub(crate) const UP: &str = "State changed from starting to up";

/// `Error R10 (Boot timeout)`.
pub(crate) fn error_line(code: Code) -> String {
    format!("Error {} ({})", code.as_str(), code.description())
}
