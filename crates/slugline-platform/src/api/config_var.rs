//! Resource `config-var`.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use serde_json::{Value, json};
use slugline_model::config_vars::{self, ConfigVars};

use super::error::ApiError;
use super::{Answer, ok};
use crate::db;
use crate::db::app::App;
use crate::platform::Platform;
use crate::releases::NewRelease;

pub(crate) async fn info(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let vars = platform.inner.db.read(|db| db::config_var::of_app(db, app.id))?;
    Ok(ok(json!(vars)))
}

/// Sets and removes vars, which makes a release.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let change = changes(super::formation::object(&body)?)?;
    refuse_values_of_addons(&platform, &app, &change)?;
    let slug = platform.running(app.id)?.map(|running| running.slug);
    let new = NewRelease { slug, description: describe(&change) };
    let limits = &platform.inner.config.limits;
    let changed = platform.release_in_background_with(&app, new, |db| {
        let before = db::config_var::of_app(db, app.id)?;
        let vars = match config_vars::change(&before, &change, limits) {
            Ok(vars) if vars == before => return Ok(Err(NoChange::Same(vars))),
            Ok(vars) => vars,
            Err(error) => return Ok(Err(NoChange::Refused(error.to_string()))),
        };
        db::config_var::replace(db, app.id, &vars)?;
        Ok(Ok(vars))
    })?;
    match changed {
        Ok((vars, _)) | Err(NoChange::Same(vars)) => Ok(ok(json!(vars))),
        Err(NoChange::Refused(why)) => Err(ApiError::invalid(why)),
    }
}

/// Why vars stay as they are.
enum NoChange {
    Same(ConfigVars),
    Refused(String),
}

/// What an add-on gives is its own to change. A client may send it along as it is.
fn refuse_values_of_addons(
    platform: &Platform,
    app: &App,
    change: &BTreeMap<String, Option<String>>,
) -> Result<(), ApiError> {
    for (attachment, addon) in platform.inner.db.read(|db| db::add_on::attached(db, app.id))? {
        let given = addon.held(&attachment.name).vars();
        let other = |(name, value): &(&String, &String)| {
            change.get(*name).is_some_and(|asked| asked.as_ref() != Some(*value))
        };
        if let Some((name, _)) = given.iter().find(other) {
            return Err(ApiError::invalid(format!(
                "Cannot overwrite attachment values {name}: {} gives it. Nothing was changed. \
                 Next: heroku addons:detach {}, or another name",
                addon.name, attachment.name
            )));
        }
    }
    Ok(())
}

/// The values of a body; null removes.
pub(super) fn changes(
    body: serde_json::Map<String, Value>,
) -> Result<BTreeMap<String, Option<String>>, ApiError> {
    body.into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => Ok((name, Some(text))),
            Value::Null => Ok((name, None)),
            Value::Number(number) => Ok((name, Some(number.to_string()))),
            Value::Bool(truth) => Ok((name, Some(truth.to_string()))),
            _ => Err(ApiError::invalid(format!("the value of `{name}` must be a text or null"))),
        })
        .collect()
}

/// As Heroku describes such a release: `Set A, B config vars`.
fn describe(change: &BTreeMap<String, Option<String>>) -> String {
    let verb = if change.values().all(Option::is_none) { "Remove" } else { "Set" };
    let names: Vec<&str> = change.keys().map(String::as_str).collect();
    format!("{verb} {} config vars", names.join(", "))
}
