//! `heroku certs:auto`: certificates that an authority issues for an app's domains.

use axum::extract::{Path, State};
use http::StatusCode;
use slugline_model::acm::cannot_be_issued;

use super::{Answer, app as apps};
use crate::db;
use crate::db::domain::Domain;
use crate::platform::Platform;
use crate::tls::acm::known;

pub(crate) async fn enable(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    set(&platform, &app, true)
}

/// What was issued is shown no more.
pub(crate) async fn disable(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    set(&platform, &app, false)
}

/// Has those that failed tried again at once.
pub(crate) async fn refresh(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    platform.inner.db.transaction(|db| db::acm::forget(db, app.id))?;
    platform.inner.other_domains.notify_one();
    Ok(super::json(StatusCode::ACCEPTED, apps::render(&platform, &app)?))
}

fn set(platform: &Platform, app: &str, enabled: bool) -> Answer {
    let app = platform.app(app)?;
    platform.inner.db.transaction(|db| {
        db::acm::set_enabled(db, app.id, enabled)?;
        db::acm::forget(db, app.id)?;
        if !enabled {
            for endpoint in db::sni_endpoint::of_app(db, app.id)?.iter().filter(|e| e.acm) {
                db::sni_endpoint::delete(db, endpoint.id)?;
            }
        }
        Ok(())
    })?;
    let verb = if enabled { "Enable" } else { "Disable" };
    platform.say_api(&app.name, format!("{verb} automated certificate management"));
    platform.hosts_changed();
    platform.inner.other_domains.notify_one();
    Ok(super::ok(apps::render(platform, &app)?))
}

/// Heroku's word for where a domain's certificate stands, and why; none where nobody issues one.
pub(super) fn status(
    db: &rusqlite::Connection,
    domain: &Domain,
) -> rusqlite::Result<Option<(&'static str, Option<String>)>> {
    if !db::acm::is_enabled(db, domain.app_id)? {
        return Ok(None);
    }
    if let Some(why) = cannot_be_issued(&domain.hostname) {
        return Ok(Some(("failed", Some(why.to_owned()))));
    }
    let (known, reason) = known(db, domain)?;
    Ok(Some((known.status(), reason)))
}
