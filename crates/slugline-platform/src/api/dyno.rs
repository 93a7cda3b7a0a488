//! Resource `dyno`.

use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::name::DynoName;

use super::error::ApiError;
use super::{Answer, app as apps, list as lists, ok};
use crate::clock::api_time;
use crate::db::app::App;
use crate::dynos::{Crash, Dyno, Role};
use crate::platform::Platform;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(lists::list(&headers, render_all(&platform, &app)))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    render_all(&platform, &app)
        .into_iter()
        .find(|item| item["name"] == dyno.as_str() || item["id"] == dyno.as_str())
        .map(ok)
        .ok_or_else(no_such_dyno)
}

pub(crate) async fn restart_all(
    State(platform): State<Platform>,
    Path(app): Path<String>,
) -> Answer {
    restart_matching(&platform, &app, |_| true).await
}

pub(crate) async fn restart_type(
    State(platform): State<Platform>,
    Path((app, process_type)): Path<(String, String)>,
) -> Answer {
    restart_matching(&platform, &app, |dyno| dyno.process_type.as_str() == process_type).await
}

pub(crate) async fn restart(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let found = platform.app(&app)?;
    let known = render_all(&platform, &found);
    let Some(item) = known.iter().find(|i| i["name"] == dyno.as_str() || i["id"] == dyno.as_str())
    else {
        return Err(no_such_dyno());
    };
    let name = item["name"].as_str().unwrap_or_default().to_owned();
    restart_matching(&platform, &app, |dyno| dyno.to_string() == name).await
}

/// Stops the dynos that match; the reconcile loop starts them anew at once, crashed ones too.
async fn restart_matching(
    platform: &Platform,
    app: &str,
    matches: impl Fn(&DynoName) -> bool,
) -> Answer {
    let app = platform.app(app)?;
    let ids: Vec<DynoId> = {
        let mut dynos = platform.dynos();
        dynos.pardon(&app.name, &matches);
        let seen = dynos.seen(&app.name);
        let to_restart = seen.into_iter().filter(|dyno| matches(&dyno.dyno));
        to_restart.filter(|dyno| dyno.state != DynoState::Stopping).map(|dyno| dyno.id).collect()
    };
    for id in ids {
        platform.stop(id).await;
    }
    platform.say_api(&app.name, "Restarting");
    platform.changed();
    Ok(apps::accepted())
}

fn no_such_dyno() -> ApiError {
    ApiError::not_found("dyno", "Couldn't find that dyno.")
}

/// Every dyno that has processes, and every crashed one that waits for its next start.
fn render_all(platform: &Platform, app: &App) -> Vec<Value> {
    let dynos = platform.dynos();
    let alive: Vec<&Dyno> = dynos
        .alive
        .values()
        .filter(|d| d.app == app.name && d.role != Role::Build && d.state.is_alive())
        .collect();
    let crashed = dynos.crashes.iter().filter(|((owner, name), _)| {
        *owner == app.name && !alive.iter().any(|dyno| dyno.name == *name)
    });
    let crashed = crashed.map(|((_, name), crash)| render_crash(app, name, crash));
    let mut items: Vec<Value> = alive.iter().map(|dyno| render(app, dyno)).chain(crashed).collect();
    items.sort_by_key(|item| item["name"].to_string());
    items
}

fn render(app: &App, dyno: &Dyno) -> Value {
    json!({
        "app": apps::reference(app),
        "attach_url": null,
        "command": dyno.command,
        "created_at": api_time(dyno.started_at),
        "id": dyno.id,
        "name": dyno.name,
        "release": { "id": null, "version": dyno.release },
        "size": "Basic",
        "state": dyno.state,
        "type": dyno.name.process_type,
        "updated_at": api_time(dyno.since),
    })
}

fn render_crash(app: &App, name: &DynoName, crash: &Crash) -> Value {
    json!({
        "app": apps::reference(app),
        "attach_url": null,
        "command": crash.command,
        "created_at": api_time(crash.at),
        "id": null,
        "name": name,
        // Ours: when it is started again.
        "next_start_at": api_time(crash.until),
        "release": { "id": null, "version": crash.release },
        "size": "Basic",
        "state": DynoState::Crashed,
        "type": name.process_type,
        "updated_at": api_time(crash.at),
    })
}
