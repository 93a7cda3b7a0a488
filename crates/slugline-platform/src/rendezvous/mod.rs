//! Rendezvous: where a client meets the one-off dyno that it asked for.
//!
//! `POST /apps/APP/dynos` gives out a URL with a token. Whoever connects there and says it gets
//! `rendezvous`, and then is the dyno's terminal, or its input and output. Heroku's clients insist
//! on TLS; others may come without.

mod marker;
mod meeting;
mod session;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use slugline_model::code::Code;
use slugline_model::dyno::{DynoId, DynoSpec, DynoState, ExecRequest};
use slugline_model::slug::SlugId;
use uuid::Uuid;

use crate::clock;
use crate::platform::Platform;
use crate::tls::authority::ca_path;

/// How long a client may take to come: beyond it is R13.
const TO_COME: Duration = Duration::from_mins(1);

/// How often a dyno that nobody came for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What somebody who comes is to get.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A dyno of its own, which starts then. Without a terminal a last 0x04 is the end of input.
    Dyno(Box<DynoSpec>, SlugId),
    /// A command in a dyno that runs.
    Exec(DynoId, Box<ExecRequest>),
}

/// Who is waited for, by token. Once only.
#[derive(Debug, Default)]
pub(crate) struct Rendezvous(Mutex<HashMap<String, Waiting>>);

impl Rendezvous {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Two identities that nobody guesses, of letters and digits.
const TOKEN: usize = 64;

impl Platform {
    /// The certificate that clients have to trust.
    pub fn ca_path(&self) -> std::path::PathBuf {
        ca_path(&self.inner.config.data_dir)
    }

    /// Waits for whoever knows the URL that this gives. A dyno that nobody comes for ends.
    pub(crate) fn expect(&self, waiting: Waiting) -> String {
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let url = format!("rendezvous://{}/{token}", self.api_host());
        let dyno = if let Waiting::Dyno(spec, _) = &waiting { Some(spec.id) } else { None };
        if let Some(id) = dyno
            && let Some(dyno) = self.dynos().alive.get_mut(&id)
        {
            dyno.attach_url = Some(url.clone());
        }
        self.inner.rendezvous.lock().insert(token.clone(), waiting);
        let platform = self.clone();
        tokio::spawn(async move { platform.give_up_waiting(&token, dyno).await });
        url
    }

    async fn give_up_waiting(&self, token: &str, dyno: Option<DynoId>) {
        let start = tokio::time::Instant::now();
        let stopped = || dyno.is_some_and(|id| self.is_stopping(id));
        while start.elapsed() < TO_COME && !stopped() {
            tokio::time::sleep(LOOK_EVERY).await;
            if !self.inner.rendezvous.lock().contains_key(token) {
                return;
            }
        }
        let came = self.inner.rendezvous.lock().remove(token).is_none();
        if let Some(id) = dyno.filter(|_| !came) {
            self.drop_unmet(id);
        }
    }

    /// A dyno that never began, since nobody came for it or it was stopped before.
    fn drop_unmet(&self, id: DynoId) {
        let Some(dyno) = self.dynos().alive.get(&id).cloned() else { return };
        let name = dyno.name.to_string();
        if dyno.state != DynoState::Stopping {
            let error = crate::events::error_line(Code::R13);
            self.say(&dyno.app, &name, format!("{error} -> Failed to attach to process"));
        }
        self.say(&dyno.app, &name, "State changed from starting to complete");
        self.dynos().set_state(id, DynoState::Down, clock::now());
        self.forget(id);
    }

    fn take(&self, token: &str) -> Option<Waiting> {
        self.inner.rendezvous.lock().remove(token)
    }
}
