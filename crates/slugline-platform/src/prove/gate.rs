//! The proof between a release phase and the moment when its release takes effect.

use slugline_model::message::Message;
use slugline_model::prove::{Gate, Verdict};

use super::{NotProven, Subject};
use crate::cancel::Cancel;
use crate::db::app::App;
use crate::db::{self, DbError};
use crate::platform::Platform;
use crate::releases::NewRelease;

impl Platform {
    /// Whether a release has to be proven: its app asks for it, it has pages, and no release that
    /// succeeded had its slug. So a rollback, and a change of config vars, take effect at once.
    pub(crate) fn gate(&self, app: &App, new: &NewRelease) -> Result<Gate, DbError> {
        let Some(slug) = &new.slug else { return Ok(Gate::Off) };
        if !slug.process_types.keys().any(slugline_model::name::ProcessType::is_web) {
            return Ok(Gate::Off);
        }
        self.inner.db.read(|db| {
            let gate = db::prove::settings(db, app.id)?.gate;
            let known = gate != Gate::Off && db::prove::was_released(db, slug.id)?;
            Ok(if known { Gate::Off } else { gate })
        })
    }

    /// Proves a pending release. True if it may take effect.
    pub(crate) async fn pass_gate(
        &self,
        subject: &Subject,
        gate: Gate,
        cancel: &Cancel,
        write: &mut (dyn FnMut(&str) + Send),
    ) -> bool {
        if gate == Gate::Off {
            return true;
        }
        write("-----> Proving that the slug has all that its pages need\n");
        let mut say = |line: &str| write(&format!("       {line}\n"));
        let proven = self.prove(subject, cancel, &mut say).await;
        // What nobody knows of may not take effect, whatever the gate.
        if cancel.is_canceled() || self.proves_no_more() {
            return false;
        }
        let message = match told(&proven) {
            Ok(lines) => {
                for line in &lines {
                    say(line);
                }
                return true;
            }
            Err(message) => message,
        };
        let passes = gate == Gate::Warn;
        let state = if passes {
            "It is released all the same: the gate is `warn` (slugline prove:gate block)."
                .to_owned()
        } else {
            self.state_of_the_world(&subject.app)
        };
        write(&Message { state, ..message }.gutter());
        passes
    }
}

/// The lines of a verdict that is good, or the message of one that is not.
fn told(proven: &Result<Verdict, NotProven>) -> Result<Vec<String>, Message> {
    match proven {
        Ok(verdict) if verdict.is_good() => Ok(verdict.lines()),
        Ok(verdict) => Err(verdict.message()),
        Err(not) => Err(not.message()),
    }
}
