//! Resource `dyno`, as far as commands are run: one-off dynos, and commands in dynos that run.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use slugline_model::dyno::{DynoState, ExecRequest, Streams, TerminalSize};
use slugline_model::name::ProcessType;
use slugline_model::resources::DynoSize;

use super::error::ApiError;
use super::{Answer, dyno as dynos, dyno_size, formation};
use crate::db;
use crate::db::app::App;
use crate::dynos::Dyno;
use crate::platform::Platform;
use crate::reconcile::{Running, STACK_PATH};
use crate::rendezvous::Waiting;
use crate::runs::{LONGEST_RUN, RunRequest, resolve};

/// Runs a command in a dyno of its own.
pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = formation::object(&body)?;
    let running = running(&platform, &app)?;
    if platform.dynos().is_shutting_down() {
        return Err(ApiError::invalid("the server is stopping: no dyno is started any more"));
    }
    let attach = body.get("attach").and_then(Value::as_bool).unwrap_or(false);
    let request = request(&platform, &app, &body, attach)?;
    let id = if attach {
        let (spec, tree) = platform.add_run(&app, &running, request)?;
        let id = spec.id;
        platform.expect(Waiting::Dyno(Box::new(spec), tree));
        id
    } else {
        platform.start_run(&app, &running, request)?.id
    };
    let release = json!({ "id": running.release.id, "version": running.release.version });
    let known = platform.dynos().alive.get(&id).cloned();
    let dyno = known.ok_or_else(ApiError::internal)?;
    Ok(super::json(StatusCode::CREATED, dynos::render(&app, &dyno, &release)))
}

fn running(platform: &Platform, app: &App) -> Result<Running, ApiError> {
    let nothing = || ApiError::invalid(format!("{} has no release to run a command of", app.name));
    platform.running(app.id)?.ok_or_else(nothing)
}

fn request(
    platform: &Platform,
    app: &App,
    body: &Map<String, Value>,
    attach: bool,
) -> Result<RunRequest, ApiError> {
    let env = env(body);
    let process_type = match text(body, "type") {
        Some(name) => name.parse().map_err(|_| {
            ApiError::invalid(format!(
                "`{name}` is no type: it may hold letters, digits, `-` and `_`"
            ))
        })?,
        None => ProcessType::run(),
    };
    // As on Heroku, one of a type that is scaled has that type's size.
    let formation = platform.inner.db.read(|db| db::formation::of_app(db, app.id))?;
    let of_type = formation.iter().find(|row| row.process_type == process_type);
    let size =
        body.get("size").filter(|size| !size.is_null()).map(dyno_size::wanted).transpose()?;
    let streams = if attach { streams(body, &env) } else { Streams::Lines };
    Ok(RunRequest {
        process_type,
        command: command(body)?,
        size: size.or(of_type.map(|row| row.size)).unwrap_or(DynoSize::BASIC),
        env,
        time_to_live: time_to_live(body)?,
        streams,
    })
}

fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn command(body: &Map<String, Value>) -> Result<String, ApiError> {
    text(body, "command").ok_or_else(|| ApiError::invalid("`command` is missing"))
}

/// Clients send numbers, too, and names without a value.
fn env(body: &Map<String, Value>) -> BTreeMap<String, String> {
    let value = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let env = body.get("env").and_then(Value::as_object);
    let env = env.into_iter().flatten();
    env.filter_map(|(name, given)| Some((name.clone(), value(given)?))).collect()
}

fn time_to_live(body: &Map<String, Value>) -> Result<Option<Duration>, ApiError> {
    let Some(asked) = body.get("time_to_live").filter(|asked| !asked.is_null()) else {
        return Ok(None);
    };
    let number = asked.as_u64().or_else(|| asked.as_str()?.parse().ok());
    let most = LONGEST_RUN.as_secs();
    let seconds = number.filter(|seconds| (1..=most).contains(seconds)).ok_or_else(|| {
        ApiError::invalid(format!("`{asked}` is no time to live: it is 1 to {most} seconds"))
    })?;
    Ok(Some(Duration::from_secs(seconds)))
}

fn streams(body: &Map<String, Value>, env: &BTreeMap<String, String>) -> Streams {
    let plain = body.get("force_no_tty").and_then(Value::as_bool).unwrap_or(false);
    if plain { Streams::Attached } else { Streams::Terminal(terminal(env)) }
}

/// The client's terminal, which says its size once, at the start.
fn terminal(env: &BTreeMap<String, String>) -> TerminalSize {
    let number = |name: &str| env.get(name)?.parse().ok().filter(|number| *number > 0);
    TerminalSize { columns: number("COLUMNS").unwrap_or(80), rows: number("LINES").unwrap_or(24) }
}

/// Runs a command in a dyno that runs.
pub(crate) async fn inside(
    State(platform): State<Platform>,
    Path((app, dyno)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = formation::object(&body)?;
    let running = running(&platform, &app)?;
    let named = |known: &&Dyno| {
        known.app == app.name && (known.name.to_string() == dyno || known.id.to_string() == dyno)
    };
    // Where two have the name, the one that serves.
    let found = {
        let dynos = platform.dynos();
        let all = || dynos.alive.values().filter(named);
        all().find(|dyno| dyno.state == DynoState::Up).or_else(|| all().next()).cloned()
    };
    let found = found.ok_or_else(dynos::no_such_dyno)?;
    if found.state != DynoState::Up {
        let state = found.state.as_str();
        return Err(ApiError::invalid(format!(
            "{dyno} is {state}: a command runs in one that is up"
        )));
    }
    let asked = env(&body);
    let terminal = match streams(&body, &asked) {
        Streams::Terminal(size) => Some(size),
        Streams::Lines | Streams::Attached => None,
    };
    let release = platform
        .inner
        .db
        .read(|db| db::release::find(db, app.id, &found.release.to_string()))?
        .unwrap_or(running.release);
    let mut env = release.config_vars;
    env.entry("PATH".to_owned()).or_insert_with(|| STACK_PATH.to_owned());
    env.extend(found.port.map(|port| ("PORT".to_owned(), port.to_string())));
    env.extend(asked);
    env.insert("HOME".to_owned(), "/app".to_owned());
    env.insert("DYNO".to_owned(), found.name.to_string());
    let command = resolve(&command(&body)?, &running.slug.process_types);
    let request = ExecRequest { command, env, terminal };
    let attach_url = platform.expect(Waiting::Exec(found.id, Box::new(request)));
    let release = json!({ "id": release.id, "version": release.version });
    let mut item = dynos::render(&app, &found, &release);
    item["attach_url"] = attach_url.into();
    Ok(super::json(StatusCode::CREATED, item))
}
