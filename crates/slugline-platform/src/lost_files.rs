//! What a dyno that stopped has lost: written down, said, and how it can be had back.

use std::collections::BTreeMap;

use slugline_model::advice::{Advice, Framework, advise};
use slugline_model::kept::{Ephemeral, RunName, until};
use slugline_model::ledger::Receipt;
use slugline_model::listing::Listing;
use slugline_model::slug::SlugId;

use crate::clock::api_time;
use crate::db::app::App;
use crate::db::receipt::NewReceipt;
use crate::db::{self, DbError};
use crate::dynos::Dyno;
use crate::platform::{Inner, Platform};

/// A receipt that was written down.
struct Noted {
    run: u64,
    mode: Ephemeral,
}

/// What to do about the files of each class, by what is largest of it.
pub(crate) fn advice(ledger: &Receipt, framework: Framework) -> BTreeMap<&'static str, Advice> {
    let mut advice = BTreeMap::new();
    for change in &ledger.largest {
        let class = change.class;
        advice.entry(class.as_str()).or_insert_with(|| advise(class, framework, &change.path));
    }
    advice
}

/// What an app is written with, by what its slug holds.
pub(crate) fn framework_of(listing: &Listing) -> Framework {
    Framework::of_slug(listing.items.keys().filter_map(|path| str::from_utf8(path).ok()))
}

impl Inner {
    /// The same of a stored slug; one that cannot be read is somebody else's trouble.
    pub(crate) fn framework(&self, slug: &SlugId) -> Framework {
        self.store.listing(slug).as_ref().map(framework_of).unwrap_or_default()
    }
}

impl Platform {
    /// What an app is written with, as far as its slug tells.
    pub(crate) async fn framework(&self, app: &App) -> Framework {
        let Ok(Some(running)) = self.running(app.id) else { return Framework::default() };
        self.blocking(move |inner| inner.framework(&running.slug.tree)).await
    }

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
