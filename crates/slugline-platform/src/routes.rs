//! The router's table, from what is alive.

use std::collections::HashMap;
use std::sync::Arc;

use slugline_model::code::Code;
use slugline_model::dyno::DynoState;
use slugline_model::route::{AppRoute, Backend, RouteTable, Serving};

use crate::db;
use crate::db::app::App;
use crate::dynos::Role;
use crate::platform::Platform;
use uuid::Uuid;

impl Platform {
    /// Publishes the table if it changed.
    pub(crate) fn publish_routes(&self) {
        let rows = self.inner.db.read(|db| Ok((db::app::all(db)?, db::domain::all(db)?)));
        let (apps, domains) = match rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(?error, "the routes could not be read");
                return;
            }
        };
        let routes: HashMap<Uuid, _> = apps.iter().map(|app| (app.id, self.route(app))).collect();
        let further = domains.into_iter().filter_map(|domain| {
            Some((domain.hostname.into(), routes.get(&domain.app_id)?.clone()))
        });
        let mut hosts: HashMap<String, AppRoute> = further.collect();
        for app in &apps {
            hosts
                .extend(routes.get(&app.id).map(|route| (self.own_host(&app.name), route.clone())));
        }
        self.inner.routes.send_if_modified(|table| {
            let new = RouteTable { hosts };
            let changed = **table != new;
            if changed {
                *table = Arc::new(new);
            }
            changed
        });
    }

    fn route(&self, app: &App) -> AppRoute {
        let serving = if app.maintenance { Serving::Nobody(Code::H80) } else { self.serving(app) };
        AppRoute { app: app.name.clone(), serving }
    }

    fn serving(&self, app: &App) -> Serving {
        let dynos = self.dynos();
        let mut web: Vec<_> = dynos
            .alive
            .values()
            .filter(|d| d.app == app.name && d.role == Role::Formation)
            .filter(|d| d.name.process_type.is_web())
            .collect();
        web.sort_by_key(|dyno| dyno.id);
        let backends: Vec<Backend> = web
            .iter()
            .filter(|dyno| dyno.state == DynoState::Up)
            .filter_map(|dyno| {
                Some(Backend { dyno: dyno.name.clone(), id: dyno.id, port: dyno.port? })
            })
            .collect();
        if !backends.is_empty() {
            return Serving::Dynos(backends);
        }
        let crashed = dynos.crashes.iter().any(|((owner, name), crash)| {
            *owner == app.name && name.process_type.is_web() && crash.in_a_row > 1
        });
        drop(dynos);
        match self.web_quantity(app) {
            None => Serving::Nobody(Code::H81),
            Some(0) => Serving::Nobody(Code::H14),
            Some(_) if crashed => Serving::Nobody(Code::H10),
            Some(_) => Serving::Booting,
        }
    }

    /// How many web dynos the app should have; none for one that was never released.
    fn web_quantity(&self, app: &App) -> Option<u32> {
        let running = self.running(app.id).ok().flatten()?;
        if !running.slug.process_types.keys().any(slugline_model::name::ProcessType::is_web) {
            return Some(0);
        }
        let formation = self.inner.db.read(|db| db::formation::of_app(db, app.id)).ok()?;
        let web = formation.iter().find(|row| row.process_type.is_web());
        Some(web.map_or(0, |row| row.quantity))
    }
}
