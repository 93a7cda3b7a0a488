//! What a dyno that stopped has lost: written down, said, and how it can be had back.

use slugline_model::kept::{Ephemeral, RunName, until};
use slugline_model::ledger::Receipt;

use crate::clock::api_time;
use crate::db::receipt::NewReceipt;
use crate::db::{self, DbError};
use crate::dynos::Dyno;
use crate::platform::Platform;

/// A receipt that was written down.
struct Noted {
    run: u64,
    mode: Ephemeral,
}

impl Platform {
    /// A dyno's last event.
    pub(crate) fn take_receipt(&self, dyno: &Dyno, (receipt, kept): (Receipt, bool), time: i64) {
        let headline = receipt.headline();
        let noted = self.note_receipt(dyno, receipt, time, kept);
        let noted = noted.inspect_err(|error| {
            tracing::error!(?error, dyno = %dyno.name, "a receipt could not be kept");
        });
        let noted = noted.ok().flatten();
        if noted.as_ref().is_none_or(|noted| noted.mode != Ephemeral::Quiet) {
            self.tell(dyno, time, &headline);
            if let Some(noted) = noted.filter(|_| kept) {
                let run = RunName { dyno: dyno.name.clone(), run: noted.run };
                let end = api_time(until(time, &self.inner.config.keeping));
                let app = &dyno.app;
                self.tell(
                    dyno,
                    time,
                    &format!(
                        "Kept until {end}, and brought back by: slugline restore {run} -a {app}"
                    ),
                );
            }
        }
        self.bury(dyno);
    }

    /// Nothing is noted where the app was destroyed.
    fn note_receipt(
        &self,
        dyno: &Dyno,
        receipt: Receipt,
        time: i64,
        kept: bool,
    ) -> Result<Option<Noted>, DbError> {
        let new = NewReceipt {
            dyno_id: dyno.id,
            dyno: dyno.name.clone(),
            release: dyno.release,
            receipt,
            created_at: time,
            kept,
        };
        self.inner.db.transaction(|db| {
            let Some(app) = db::app::find(db, dyno.app.as_str())? else { return Ok(None) };
            let run = db::receipt::insert(db, app.id, &new)?;
            Ok(Some(Noted { run, mode: app.ephemeral }))
        })
    }
}
