//! Resource `prove`, which is ours: whether a release's slug has all that its pages need, and what
//! an app decides about that.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use slugline_model::prove::Gate;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::error::ApiError;
use super::{Answer, ok};
use crate::cancel::Cancel;
use crate::db;
use crate::db::app::App;
use crate::db::prove::Settings;
use crate::platform::Platform;
use crate::prove::Subject;

/// What an app decides, and what the proof of the current release came to.
pub(crate) async fn info(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(render(&platform, &app)?))
}

/// Decides: `gate` is `off`, `warn` or `block`, `assets` is `bridge` or `off`.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let mut settings = platform.inner.db.read(|db| db::prove::settings(db, app.id))?;
    if let Some(gate) = body.get("gate") {
        let named = gate.as_str().and_then(Gate::named);
        let wrong = || ApiError::invalid("`gate` must be one of off, warn, block");
        settings.gate = named.ok_or_else(wrong)?;
    }
    if let Some(assets) = body.get("assets") {
        settings.bridges = match assets.as_str() {
            Some("bridge") => true,
            Some("off") => false,
            _ => return Err(ApiError::invalid("`assets` must be one of bridge, off")),
        };
    }
    platform.inner.db.transaction(|db| db::prove::set(db, app.id, settings))?;
    let told = told(settings);
    platform.say_api(&app.name, format!("Proof {}, assets {}", settings.gate.as_str(), told));
    Ok(ok(render(&platform, &app)?))
}

/// Proves a release, the current one where none is named. Answers line by line: how far it is, and
/// at the end the verdict.
pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let named = body.get("release").and_then(Value::as_str).unwrap_or("current");
    let subject = subject(&platform, app, named)?;
    let (send, lines) = mpsc::unbounded_channel::<Value>();
    // It ends what it has begun, whether or not whoever asked still listens.
    tokio::spawn(async move {
        let mut say = |line: &str| drop(send.send(json!({ "line": line })));
        let version = subject.release.version;
        let end = match platform.prove(&subject, &Cancel::never(), &mut say).await {
            Ok(verdict) => {
                let lines = verdict.lines();
                json!({ "release": version, "verdict": verdict, "lines": lines })
            }
            Err(not) => {
                let state = platform.nothing_changed(&subject.app);
                let message = slugline_model::message::Message { state, ..not.message() };
                json!({ "release": version, "error": message.plain() })
            }
        };
        let _ = send.send(end);
    });
    let lines = UnboundedReceiverStream::new(lines)
        .map(|line| Ok::<_, std::convert::Infallible>(format!("{line}\n")));
    let content_type = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((content_type, Body::from_stream(lines)).into_response())
}

/// What a release's last proof came to.
pub(crate) async fn of_release(
    State(platform): State<Platform>,
    Path((app, release)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let found = platform.inner.db.read(|db| {
        let Some(release) = db::release::named(db, app.id, &release)? else { return Ok(None) };
        let proof = db::prove::of_release(db, release.id)?;
        Ok(Some(json!({ "release": release.version, "verdict": proof })))
    })?;
    found.map(ok).ok_or_else(|| ApiError::not_found("release", "Couldn't find that release."))
}

fn subject(platform: &Platform, app: App, named: &str) -> Result<Subject, ApiError> {
    let found = platform.inner.db.read(|db| {
        let Some(release) = db::release::named(db, app.id, named)? else { return Ok(None) };
        let slug = release.slug_id.map(|id| db::slug::find(db, id)).transpose()?.flatten();
        let Some(slug) = slug else { return Ok(None) };
        Ok(Some((release, db::retention::is_expired(db, slug.id)?, slug)))
    })?;
    match found {
        Some((release, false, slug)) => Ok(Subject { app, release, slug }),
        Some((release, true, _)) => Err(ApiError::gone(format!(
            "v{} cannot be proven: its slug has expired. `keep_releases` of slugline.toml says how \
             many are kept",
            release.version
        ))),
        None => {
            Err(ApiError::not_found("release", "Couldn't find that release, or it has no slug."))
        }
    }
}

fn told(settings: Settings) -> &'static str {
    if settings.bridges { "bridge" } else { "off" }
}

fn render(platform: &Platform, app: &App) -> Result<Value, ApiError> {
    let (settings, current, verdict) = platform.inner.db.read(|db| {
        let current = db::release::current(db, app.id)?;
        let verdict = match &current {
            Some(release) => db::prove::of_release(db, release.id)?,
            None => None,
        };
        Ok((db::prove::settings(db, app.id)?, current, verdict))
    })?;
    Ok(json!({
        "assets": told(settings),
        "gate": settings.gate,
        "release": current.map(|release| release.version),
        "verdict": verdict,
    }))
}

impl Platform {
    fn nothing_changed(&self, app: &App) -> String {
        let current = self.inner.db.read(|db| db::release::current(db, app.id)).ok().flatten();
        match current {
            Some(release) => {
                format!("Nothing was changed. {} runs v{}.", app.name, release.version)
            }
            None => "Nothing was changed.".to_owned(),
        }
    }
}
