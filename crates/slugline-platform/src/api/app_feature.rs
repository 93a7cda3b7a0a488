//! Resource `app-feature`: what an app may switch on and off, by `heroku features` and `labs`.

use axum::extract::{Path, State};
use http::HeaderMap;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::ApiError;
use super::named_id::named_id;
use super::{Answer, list as lists, ok};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::platform::Platform;

/// The name of Heroku's lab for runtime metrics.
pub(crate) const RUNTIME_METRICS: &str = "log-runtime-metrics";

const PREBOOT: &str = "preboot";
const PREBOOT_ID: &str = "00000000-0000-4000-8000-000000000201";

/// One of them.
struct Feature {
    name: &'static str,
    display_name: &'static str,
    description: &'static str,
    /// `general` ones are features to the stock command line, others labs.
    state: &'static str,
}

const FEATURES: [Feature; 2] = [
    Feature {
        name: RUNTIME_METRICS,
        display_name: "Log runtime metrics",
        description: "Say in the app's log what its dynos use, every 20 seconds",
        state: "beta",
    },
    Feature {
        name: PREBOOT,
        display_name: "Preboot",
        description: "Start the new web dyno, and stop the old one once the new one serves",
        state: "general",
    },
];

impl Feature {
    fn id(&self) -> Uuid {
        let fixed = (self.name == PREBOOT).then(|| PREBOOT_ID.parse().ok()).flatten();
        fixed.unwrap_or_else(|| named_id("app-feature", self.name))
    }

    fn named(wanted: &str) -> Result<&'static Self, ApiError> {
        let found = FEATURES.iter().find(|f| f.name == wanted || f.id().to_string() == wanted);
        found.ok_or_else(|| ApiError::not_found("app_feature", "Couldn't find that app feature."))
    }
}

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let items = FEATURES.iter().map(|feature| render(&platform, &app, feature));
    Ok(lists::list(&headers, items.collect::<Result<_, _>>()?))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, feature)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(render(&platform, &app, Feature::named(&feature)?)?))
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path((app, feature)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let feature = Feature::named(&feature)?;
    let enabled = enabled(&body)?;
    platform.inner.db.transaction(|db| match feature.name {
        PREBOOT => db::app::set_preboot(db, app.id, enabled),
        name => db::feature::set_of_app(db, app.id, name, enabled),
    })?;
    Ok(ok(render(&platform, &platform.app(app.name.as_str())?, feature)?))
}

/// What a body wants of a feature.
pub(super) fn enabled(body: &str) -> Result<bool, ApiError> {
    let body = super::formation::object(body)?;
    body.get("enabled")
        .and_then(Value::as_bool)
        .ok_or_else(|| ApiError::invalid("`enabled` is missing: it must be true or false"))
}

fn render(platform: &Platform, app: &App, feature: &Feature) -> Result<Value, ApiError> {
    let enabled = match feature.name {
        PREBOOT => app.preboot,
        _ => platform.metrics_enabled(app.id)?,
    };
    Ok(json!({
        "created_at": api_time(app.created_at),
        "description": feature.description,
        "display_name": feature.display_name,
        "doc_url": "",
        "enabled": enabled,
        "feedback_email": "",
        "id": feature.id(),
        "name": feature.name,
        "state": feature.state,
        "updated_at": api_time(app.updated_at),
    }))
}
