//! An app gets another name. Its dynos run on, and get the name in their next spec; what goes by
//! the name, on the disk and in memory, goes by the new one from now on.

use slugline_model::name::{AppName, DynoName};

use crate::clock;
use crate::db::app::App;
use crate::db::{self, DbError};
use crate::platform::{Inner, Platform};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renamed {
    Done,
    /// Another app has the name.
    Taken,
    /// A build is under way, in a directory of the old name.
    Building,
}

impl Platform {
    pub(crate) async fn rename_app(&self, app: &App, name: &AppName) -> Result<Renamed, DbError> {
        if app.name == *name {
            return Ok(Renamed::Done);
        }
        // The loop compares dynos with apps by name: it must not look at half of it.
        let _names = self.inner.names.lock().await;
        if self.inner.turns.is_building(&app.name) {
            return Ok(Renamed::Building);
        }
        // No build of either name begins until the cache is where it belongs.
        let places = [&app.name, name].map(|name| self.inner.turns.enter(name, None));
        self.note_drains();
        let now = clock::now();
        let free = self.inner.db.transaction(|db| {
            if db::app::find(db, name.as_str())?.is_some() {
                return Ok(false);
            }
            db::app::rename(db, app.id, name, now)?;
            db::crash::rename(db, &app.name, name)?;
            Ok(true)
        })?;
        if !free {
            return Ok(Renamed::Taken);
        }
        self.rename_in_memory(&app.name, name);
        self.inner.log.rename(app.name.as_str(), name.as_str());
        self.keep_drains();
        self.say_api(name, format!("Rename {} to {name}", app.name));
        let (from, to) = (app.name.clone(), name.clone());
        self.blocking(move |inner| inner.move_cache(&from, &to)).await;
        drop(places);
        self.hosts_changed();
        self.changed();
        Ok(Renamed::Done)
    }

    fn rename_in_memory(&self, from: &AppName, to: &AppName) {
        let mut dynos = self.dynos();
        for dyno in dynos.alive.values_mut().filter(|dyno| dyno.app == *from) {
            dyno.app.clone_from(to);
        }
        let of_app = |(app, _): &&(AppName, DynoName)| app == from;
        let crashed: Vec<_> = dynos.crashes.keys().filter(of_app).cloned().collect();
        for key in crashed {
            if let Some(crash) = dynos.crashes.remove(&key) {
                dynos.crashes.insert((to.clone(), key.1), crash);
            }
        }
        drop(dynos);
        let mut queries =
            self.inner.log_queries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for query in queries.values_mut().filter(|query| query.app == *from) {
            query.app.clone_from(to);
        }
    }
}

impl Inner {
    /// A cache that cannot be moved is one that the next build lacks.
    fn move_cache(&self, from: &AppName, to: &AppName) {
        for (from, to) in self.cached_of(from).into_iter().zip(self.cached_of(to)) {
            // What an app that was destroyed may have left.
            let moved = self.engine.remove_tree(&to).map_err(|error| error.to_string());
            let moved = moved.and_then(|()| match std::fs::rename(&from, &to) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error.to_string())
                }
                _ => Ok(()),
            });
            if let Err(error) = moved {
                tracing::error!(error, from = %from.display(), "a cache could not be moved");
            }
        }
    }
}
