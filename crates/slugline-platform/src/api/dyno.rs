//! Resource `dyno`.

use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};
use slugline_model::dyno::{DynoId, DynoState};
use slugline_model::name::DynoName;

use super::error::ApiError;
use super::{Answer, app as apps, list as lists, ok};
use crate::clock::{self, api_time};
use crate::crashes::Crash;
use crate::db;
use crate::db::app::App;
use crate::dynos::{Dyno, Role};
use crate::platform::Platform;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(lists::list(&headers, render_all(&platform, &app)?))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(find(&platform, &app, &dyno)?))
}

/// Ours: how a live dyno was launched, step by step, and as people read it.
pub(crate) async fn plan(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let is_it = |known: &&Dyno| {
        known.app == app.name && (known.name.to_string() == dyno || known.id.to_string() == dyno)
    };
    let found = platform.dynos().alive.values().find(is_it).map(|known| known.id);
    let id = found.ok_or_else(no_such_dyno)?;
    let steps = platform.blocking(move |inner| inner.engine.plan(id)).await;
    // It may have ended this moment.
    let steps = steps.map_err(|_| no_such_dyno())?;
    let lines = slugline_model::launch_plan::lines(&steps);
    Ok(ok(json!({ "dyno": { "id": id, "name": dyno }, "lines": lines, "steps": steps })))
}

pub(crate) async fn restart_all(
    State(platform): State<Platform>,
    Path(app): Path<String>,
) -> Answer {
    restart_matching(&platform, &app, |_| true)
}

pub(crate) async fn restart_type(
    State(platform): State<Platform>,
    Path((app, process_type)): Path<(String, String)>,
) -> Answer {
    restart_matching(&platform, &app, |dyno| dyno.process_type.as_str() == process_type)
}

pub(crate) async fn restart(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let item = find(&platform, &platform.app(&app)?, &dyno)?;
    let name = item["name"].as_str().unwrap_or_default().to_owned();
    restart_matching(&platform, &app, |dyno| dyno.to_string() == name)
}

/// Has the dynos that match replaced, which the reconcile loop does: crashed ones at once, web
/// dynos one by one, so that requests are answered meanwhile.
fn restart_matching(platform: &Platform, app: &str, matches: impl Fn(&DynoName) -> bool) -> Answer {
    let app = platform.app(app)?;
    platform.pardon(&app.name, &matches);
    platform.dynos().wear(&app.name, |dyno| matches(&dyno.name));
    platform.say_api(&app.name, "Restarting");
    platform.changed();
    Ok(apps::accepted())
}

/// Stops a dyno at once. One of the formation starts again, as on Heroku; a one-off stays down.
pub(crate) async fn stop(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let named = |known: &Dyno| known.name.to_string() == dyno || known.id.to_string() == dyno;
    if stop_matching(&platform, &app, named) == 0 {
        // One that has crashed is down already.
        find(&platform, &app, &dyno)?;
    }
    Ok(apps::accepted())
}

/// The same for all of a process type; `run` is that of one-offs.
pub(crate) async fn stop_type(
    State(platform): State<Platform>,
    Path((app, process_type)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    stop_matching(&platform, &app, |dyno| dyno.name.process_type.as_str() == process_type);
    Ok(apps::accepted())
}

fn stop_matching(platform: &Platform, app: &App, matches: impl Fn(&Dyno) -> bool) -> usize {
    let ids: Vec<DynoId> = {
        let dynos = platform.dynos();
        let runs = |dyno: &&Dyno| {
            dyno.app == app.name
                && matches!(dyno.role, Role::Formation | Role::OneOff)
                && matches!(dyno.state, DynoState::Starting | DynoState::Up)
        };
        dynos.alive.values().filter(runs).filter(|dyno| matches(dyno)).map(|d| d.id).collect()
    };
    if !ids.is_empty() {
        platform.say_api(&app.name, "Stopping");
    }
    for id in &ids {
        platform.retire(*id);
    }
    platform.changed();
    ids.len()
}

pub(crate) fn no_such_dyno() -> ApiError {
    ApiError::not_found("dyno", "Couldn't find that dyno.")
}

/// A dyno by its name or its id.
fn find(platform: &Platform, app: &App, dyno: &str) -> Result<Value, ApiError> {
    render_all(platform, app)?
        .into_iter()
        .find(|item| item["name"] == dyno || item["id"] == dyno)
        .ok_or_else(no_such_dyno)
}

/// Every dyno that has processes, and every crashed one that waits for its next start. Where a new
/// run does not get up there are two of a name: the old one that serves, and the crash.
fn render_all(platform: &Platform, app: &App) -> Result<Vec<Value>, ApiError> {
    let releases = platform.inner.db.read(|db| db::release::of_app(db, app.id))?;
    let release = |version: u64| {
        let id = releases.iter().find(|release| release.version == version).map(|r| r.id);
        json!({ "id": id, "version": version })
    };
    let dynos = platform.dynos();
    let alive: Vec<&Dyno> = dynos
        .alive
        .values()
        .filter(|d| d.app == app.name && d.role != Role::Build && d.state.is_alive())
        .collect();
    let crashed = dynos.crashes.iter().filter(|((owner, name), crash)| {
        let runs = |dyno: &&Dyno| dyno.name == *name && dyno.release == crash.release;
        *owner == app.name && !alive.iter().copied().any(|dyno| runs(&dyno) && !dyno.worn)
    });
    let crashed = crashed.map(|((_, name), c)| render_crash(app, name, c, &release(c.release)));
    let alive = alive.iter().map(|dyno| render(app, dyno, &release(dyno.release)));
    let mut items: Vec<Value> = alive.chain(crashed).collect();
    drop(dynos);
    for item in &mut items {
        let name = item["name"].as_str().unwrap_or_default();
        let lost = platform.inner.db.read(|db| db::receipt::lost_by_dyno(db, app.id, name))?;
        // Ours: what earlier runs of this name wrote and lost.
        item["lost"] = json!(lost);
    }
    // The newest run of a name comes first.
    let newest = |item: &Value| {
        std::cmp::Reverse((item["release"]["version"].as_u64(), item["created_at"].to_string()))
    };
    items.sort_by_key(|item| (item["name"].to_string(), newest(item)));
    Ok(items)
}

pub(crate) fn render(app: &App, dyno: &Dyno, release: &Value) -> Value {
    json!({
        "app": apps::reference(app),
        "attach_url": dyno.attach_url,
        "command": dyno.command,
        "created_at": api_time(dyno.started_at),
        "id": dyno.id,
        "name": dyno.name,
        "release": release,
        "size": dyno.size.name,
        "state": dyno.state,
        "type": dyno.name.process_type,
        "updated_at": api_time(dyno.since),
    })
}

fn render_crash(app: &App, name: &DynoName, crash: &Crash, release: &Value) -> Value {
    json!({
        "app": apps::reference(app),
        "attach_url": null,
        "command": crash.command,
        // Ours: why it is down.
        "crash": {
            "code": crash.code,
            "in_a_row": crash.in_a_row,
            "lines": crash.lines,
            "status": crash.status,
        },
        "created_at": api_time(crash.at),
        "id": crash.id,
        "name": name,
        // Ours: when it is started again.
        "next_start_at": api_time(crash.until(clock::now())),
        "release": release,
        "size": crash.size,
        "state": DynoState::Crashed,
        "type": name.process_type,
        "updated_at": api_time(crash.at),
    })
}
