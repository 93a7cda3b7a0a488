//! The router's table, from what is alive.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use slugline_model::code::Code;
use slugline_model::dyno::DynoState;
use slugline_model::name::AppName;
use slugline_model::route::{AppRoute, Backend, RouteTable, Serving};
use uuid::Uuid;

use crate::db;
use crate::db::overview::Overview;
use crate::dynos::{Dyno, Dynos, Role};
use crate::platform::Platform;

/// What there is of an app's web process type.
#[derive(Default)]
struct Web {
    backends: Vec<Backend>,
    /// Whether one of its dynos crashed again and again.
    crashes: bool,
}

impl Platform {
    /// Publishes the table if it changed.
    pub(crate) fn publish_routes(&self) {
        let rows = self
            .inner
            .db
            .read(|db| Ok((db::overview::all(db)?, db::domain::all(db)?, db::media::all(db)?)));
        let (apps, domains, media) = match rows {
            Ok(rows) => rows,
            Err(error) => {
                tracing::error!(?error, "the routes could not be read");
                return;
            }
        };
        let mut web = web(&self.dynos());
        let route = |overview: &Overview| {
            let name = &overview.app.name;
            let serving = serving(overview, web.remove(name).unwrap_or_default());
            (overview.app.id, AppRoute { app: name.clone(), serving })
        };
        let routes: HashMap<Uuid, _> = apps.iter().map(route).collect();
        let further = domains.into_iter().filter_map(|domain| {
            Some((domain.hostname.into(), routes.get(&domain.app_id)?.clone()))
        });
        let mut hosts: HashMap<String, AppRoute> = further.collect();
        hosts.extend(routes.into_values().map(|route| (self.own_host(&route.app), route)));
        let challenges = self.inner.challenges.lock();
        let challenges = challenges.unwrap_or_else(PoisonError::into_inner).clone();
        let media: HashMap<AppName, _> = media.into_iter().collect();
        self.inner.routes.send_if_modified(|table| {
            let new = RouteTable { hosts, challenges, media };
            let changed = **table != new;
            if changed {
                *table = Arc::new(new);
            }
            changed
        });
    }
}

fn serving(overview: &Overview, web: Web) -> Serving {
    if overview.app.maintenance {
        return Serving::Nobody(Code::H80);
    }
    if !web.backends.is_empty() {
        return Serving::Dynos(web.backends);
    }
    match overview.web_quantity() {
        None => Serving::Nobody(Code::H81),
        Some(0) => Serving::Nobody(Code::H14),
        Some(_) if web.crashes => Serving::Nobody(Code::H10),
        Some(_) => Serving::Booting,
    }
}

/// The web process types of all apps, with their backends in the order of their ids.
fn web(dynos: &Dynos) -> HashMap<AppName, Web> {
    let mut all: HashMap<AppName, Web> = HashMap::new();
    let serves =
        |dyno: &&Dyno| dyno.role == Role::Formation && dyno.is_web() && dyno.state == DynoState::Up;
    for dyno in dynos.alive.values().filter(serves) {
        let backend = |port| Backend { dyno: dyno.name.clone(), id: dyno.id, port };
        let web = all.entry(dyno.app.clone()).or_default();
        web.backends.extend(dyno.port.map(backend));
    }
    for web in all.values_mut() {
        web.backends.sort_by_key(|backend| backend.id);
    }
    let crashed = dynos
        .crashes
        .iter()
        .filter(|((_, name), crash)| name.process_type.is_web() && crash.in_a_row > 1);
    for ((app, _), _) in crashed {
        all.entry(app.clone()).or_default().crashes = true;
    }
    all
}
