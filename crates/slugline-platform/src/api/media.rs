//! Uploads that the router answers for out of an app's bucket. Ours.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use slugline_model::config_vars::ConfigVars;
use slugline_model::media::MediaRule;
use slugline_model::name::AppName;

use super::error::ApiError;
use super::{Answer, ok};
use crate::db;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new().route("/apps/{app}/media", get(info).put(update).delete(delete))
}

impl Platform {
    /// The config vars that an app runs with now, for whoever answers for its uploads.
    pub fn vars_of(&self, app: &AppName) -> Option<ConfigVars> {
        let vars = self.inner.db.read(|db| {
            let app = db::app::find(db, app.as_str())?;
            app.map(|app| db::config_var::of_app(db, app.id)).transpose()
        });
        vars.inspect_err(|error| tracing::error!(?error, "config vars cannot be read")).ok()?
    }
}

async fn info(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let rule = platform.inner.db.read(|db| db::media::of_app(db, app.id))?;
    Ok(ok(rule.map_or(Value::Null, |rule| json!(rule))))
}

/// Answers for `path` from now on: with the objects below `keys` in the bucket of the attachment
/// `bucket`, directly where `public` is true.
async fn update(State(platform): State<Platform>, Path(app): Path<String>, body: String) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let text = |name: &str| match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(format!("`{name}` must be a text"))),
    };
    let path = text("path")?.ok_or_else(|| ApiError::invalid("`path` is missing: /media/"))?;
    let public = match body.get("public") {
        None => false,
        Some(public) => {
            public.as_bool().ok_or_else(|| ApiError::invalid("`public` must be true or false"))?
        }
    };
    let bucket = text("bucket")?.map(|name| name.to_ascii_uppercase());
    let rule = MediaRule::new(&path, text("keys")?.as_deref(), bucket, public);
    let rule = rule.map_err(|why| ApiError::invalid(format!("`path` {path} cannot be: {why}")))?;
    platform.inner.db.transaction(|db| db::media::set(db, app.id, Some(&rule)))?;
    platform.publish_routes();
    let how = if public { "as they are" } else { "by signed addresses" };
    platform.say_api(&app.name, format!("{} answered from the bucket, {how}", rule.path));
    Ok(ok(json!(rule)))
}

/// The app answers for itself again.
async fn delete(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    platform.inner.db.transaction(|db| db::media::set(db, app.id, None))?;
    platform.publish_routes();
    platform.say_api(&app.name, "Uploads answered by the app alone".to_owned());
    Ok(ok(Value::Null))
}
