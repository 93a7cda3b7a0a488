//! What webhooks are told: resources, as the API shows them.

use serde_json::Value;

use super::account;
use crate::db;
use crate::db::app::App;
use crate::db::build::Build;
use crate::db::release::Release;
use crate::dynos::{Dyno, Role};
use crate::platform::Platform;

/// Who did it.
pub(crate) fn actor() -> Value {
    account::reference()
}

impl Platform {
    /// A release was made, or came to its end.
    pub(crate) fn tell_release(&self, app: &App, id: uuid::Uuid, action: &str) {
        self.broadcast(app.id, "api:release", action, |platform| {
            let found = platform.inner.db.read(|db| {
                let release: Option<Release> = db::release::find(db, app.id, &id.to_string())?;
                Ok((release, db::release::current(db, app.id)?))
            });
            let (release, current) = found.ok()?;
            super::release::render(platform, app, &release?, current.as_ref()).ok()
        });
    }

    /// A build began, or came to its end.
    pub(crate) fn tell_build(&self, app: &App, build: &Build, action: &str) {
        let data = |platform: &Platform| Some(super::build::render(platform, app, build));
        self.broadcast(app.id, "api:build", action, data);
    }

    /// An app has changed.
    pub(crate) fn tell_app(&self, app: &App) {
        let data = |platform: &Platform| super::app::render(platform, app).ok();
        self.broadcast(app.id, "api:app", "update", data);
    }

    /// A dyno came, changed or went.
    pub(crate) fn tell_dyno(&self, dyno: &Dyno, action: &str) {
        if matches!(dyno.role, Role::Build | Role::Proof) {
            return;
        }
        let Ok(Some(app)) = self.inner.db.read(|db| db::app::find(db, dyno.app.as_str())) else {
            return;
        };
        self.broadcast(app.id, "api:dyno", action, |platform| {
            let version = dyno.release.to_string();
            let release = platform.inner.db.read(|db| db::release::find(db, app.id, &version));
            let id = release.ok()?.map(|release| release.id);
            let release = serde_json::json!({ "id": id, "version": dyno.release });
            Some(super::dyno::render(&app, dyno, &release))
        });
    }
}
