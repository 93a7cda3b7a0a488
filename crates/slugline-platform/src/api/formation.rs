//! Resource `formation`: how many dynos of each process type, and of which size.

use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use slugline_model::resources::DynoSize;

use super::error::ApiError;
use super::{Answer, account, app as apps, dyno_size, list as lists, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::formation::Formation;
use crate::platform::Platform;

/// The most dynos of one process type.
const MOST: u32 = 1_000;

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
    Path((app, process_type)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let all = render_all(&platform, &app)?;
    all.into_iter()
        .find(|item| item["type"] == process_type.as_str() || item["id"] == process_type.as_str())
        .map(ok)
        .ok_or_else(no_such_type)
}

pub(crate) async fn batch_update(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = object(&body)?;
    let updates = body.get("updates").and_then(Value::as_array).cloned().unwrap_or_default();
    let wanted: Vec<Update> = updates
        .into_iter()
        .map(|update| Update {
            process_type: update["type"].as_str().unwrap_or_default().to_owned(),
            body: update.as_object().cloned().unwrap_or_default(),
        })
        .collect();
    scale(&platform, &app, &wanted)?;
    Ok(ok(Value::Array(render_all(&platform, &app)?)))
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path((app, process_type)): Path<(String, String)>,
    body: String,
) -> Answer {
    let found = platform.app(&app)?;
    let update = Update { process_type: process_type.clone(), body: object(&body)? };
    scale(&platform, &found, &[update])?;
    info(State(platform), Path((app, process_type))).await
}

/// What is asked for a process type, which is named by its name or its id.
struct Update {
    process_type: String,
    body: Map<String, Value>,
}

impl Update {
    fn quantity(&self, now: u32) -> Result<Option<u32>, ApiError> {
        let asked = self.body.get("quantity").filter(|quantity| !quantity.is_null());
        asked.map(|quantity| new_quantity(now, quantity)).transpose()
    }

    /// Clients say `size`, the schema `dyno_size`; a text, or an object with a name or an id.
    fn size(&self) -> Result<Option<DynoSize>, ApiError> {
        let asked = ["size", "dyno_size"].into_iter().filter_map(|name| self.body.get(name));
        asked.filter(|size| !size.is_null()).map(dyno_size::wanted).next().transpose()
    }
}

/// Sets quantities and sizes, all of them or none.
fn scale(platform: &Platform, app: &App, wanted: &[Update]) -> Result<(), ApiError> {
    let rows = platform.inner.db.read(|db| db::formation::of_app(db, app.id))?;
    let mut changed: Vec<Formation> = Vec::new();
    for update in wanted {
        let named = |row: &&Formation| {
            let name = update.process_type.as_str();
            row.process_type.as_str() == name || row.id.to_string() == name
        };
        let row = rows.iter().find(named).ok_or_else(no_such_type)?;
        let quantity = update.quantity(row.quantity)?.unwrap_or(row.quantity);
        if row.process_type.is_release() && quantity > 0 {
            let message = "`release` runs once, before each release, and is not scaled";
            return Err(ApiError::invalid(message));
        }
        let size = update.size()?.unwrap_or(row.size);
        changed.push(Formation { quantity, size, ..row.clone() });
    }
    if changed.is_empty() {
        return Ok(());
    }
    platform.inner.db.transaction(|db| {
        for row in &changed {
            db::formation::set(db, app.id, &row.process_type, row.quantity)?;
            db::formation::resize(db, app.id, &row.process_type, row.size)?;
        }
        Ok(())
    })?;
    // As Heroku logs it.
    let told = |row: &Formation| format!("{}@{}:{}", row.process_type, row.quantity, row.size.name);
    let told: Vec<String> = changed.iter().map(told).collect();
    let text = format!("Scaled to {} by user {}", told.join(" "), account::email());
    platform.say_api(&app.name, text);
    platform.changed();
    for row in &changed {
        platform.broadcast(app.id, "api:formation", "update", |platform| {
            let all = render_all(platform, app).ok()?;
            all.into_iter().find(|item| item["type"] == row.process_type.as_str())
        });
    }
    Ok(())
}

/// A quantity as clients send it: `2`, `"2"`, `"+1"`, `"-1"`.
fn new_quantity(now: u32, wanted: &Value) -> Result<u32, ApiError> {
    let text = wanted.as_str().map_or_else(|| wanted.to_string(), str::to_owned);
    let number: Option<i64> = text.trim_start_matches('+').parse().ok();
    let relative = text.starts_with(['+', '-']);
    number
        .map(|number| if relative { i64::from(now) + number } else { number })
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| *number <= MOST)
        .ok_or_else(|| {
            ApiError::invalid(format!("`{text}` is not a quantity: it must be 0 to {MOST}"))
        })
}

fn no_such_type() -> ApiError {
    ApiError::not_found("formation", "Couldn't find that process type.")
}

fn render_all(platform: &Platform, app: &App) -> Result<Vec<Value>, ApiError> {
    let Some(running) = platform.running(app.id)? else { return Ok(vec![]) };
    let rows = platform.inner.db.read(|db| db::formation::of_app(db, app.id))?;
    let types = &running.slug.process_types;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row, types.get(&row.process_type)?)))
        .map(|(row, command)| render(app, row, command))
        .collect())
}

fn render(app: &App, row: &Formation, command: &str) -> Value {
    json!({
        "app": apps::reference(app),
        "command": command,
        "created_at": api_time(app.created_at),
        "docker_image": null,
        "dyno_size": dyno_size::reference(row.size),
        "id": row.id,
        "quantity": row.quantity,
        "size": row.size.name,
        "type": row.process_type,
        "updated_at": api_time(app.updated_at),
    })
}

/// A request's body as a JSON object; an empty one is an empty object.
pub(crate) fn object(body: &str) -> Result<Map<String, Value>, ApiError> {
    if body.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(ApiError::bad_request("The body must be a JSON object.")),
        Err(error) => Err(ApiError::bad_request(format!("The body is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_clients_send_them() {
        let check = |wanted: Value| new_quantity(2, &wanted).ok();
        assert_eq!(check(json!(3)), Some(3));
        assert_eq!(check(json!("3")), Some(3));
        assert_eq!(check(json!("+1")), Some(3));
        assert_eq!(check(json!("-1")), Some(1));
        for bad in [json!("-3"), json!("x"), json!(1_001), json!(1.5), json!("")] {
            assert_eq!(check(bad), None);
        }
    }
}
