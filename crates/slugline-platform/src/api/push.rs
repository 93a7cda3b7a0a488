//! Ours: what git's hook asks of the server while a push waits. Its URL is a capability, which only
//! that hook knows, and only while git runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, ok, source};
use crate::asking;
use crate::builds::Inputs;
use crate::db;
use crate::db::build::SourceBlob;
use crate::git::Push;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/pushes/{push}", get(info))
        .route("/pushes/{push}/turn", post(turn))
        .route("/pushes/{push}/audit", post(audit))
        .route("/pushes/{push}/source", put(build))
}

fn found(platform: &Platform, name: Uuid) -> Result<Arc<Push>, ApiError> {
    let missing = || ApiError::not_found("push", "Couldn't find that push.");
    platform.inner.pushes.find(name).ok_or_else(missing)
}

/// Whether other pushes of the app come first, how the build stands, and what submodules may be.
async fn info(State(platform): State<Platform>, Path(name): Path<Uuid>) -> Answer {
    let push = found(&platform, name)?;
    let config = &platform.inner.config;
    let is_first = platform.inner.pushes.place(&push).is_first();
    let build = match push.build() {
        Some(id) => {
            platform.inner.db.read(|db| db::build::find(db, push.app.id, &id.to_string()))?
        }
        None => None,
    };
    Ok(ok(json!({
        "app": { "id": push.app.id, "name": push.app.name },
        "waits": !is_first,
        "status": build.map(|build| build.status),
        "outbound": config.outbound.allow.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "limit": config.limits.source,
    })))
}

/// Answers when it is the push's turn, which lasts until git has changed its refs.
async fn turn(State(platform): State<Platform>, Path(name): Path<Uuid>) -> Answer {
    let push = found(&platform, name)?;
    platform.inner.pushes.place(&push).turn().await;
    Ok(ok(json!({})))
}

#[derive(Deserialize)]
struct Changes {
    action: String,
    /// What each ref is to be; none where it is to go.
    refs: BTreeMap<String, Option<String>>,
}

/// Writes down what a push is about to change. What came of it is written down when git has ended.
async fn audit(State(platform): State<Platform>, Path(name): Path<Uuid>, body: String) -> Answer {
    let push = found(&platform, name)?;
    let changes: Changes =
        serde_json::from_str(&body).map_err(|error| ApiError::invalid(error.to_string()))?;
    let action: String = changes.action.chars().take(1_000).collect();
    let number = platform.audit(&push.who, Some(&push.app), &action, &name.to_string())?;
    push.is_to_change(number, changes.refs);
    Ok(ok(json!({})))
}

#[derive(Deserialize)]
struct Pushed {
    commit: String,
    #[serde(default)]
    description: Option<String>,
}

/// Takes the source of a push, and builds it for whoever pushes.
async fn build(
    State(platform): State<Platform>,
    Path(name): Path<Uuid>,
    Query(pushed): Query<Pushed>,
    body: Body,
) -> Answer {
    let push = found(&platform, name)?;
    let id = Uuid::new_v4();
    let path = source::receive_source(&platform, id, body).await?;
    let app = &push.app;
    let buildpacks = platform.inner.db.read(|db| db::buildpack_installation::of_app(db, app.id))?;
    let source = SourceBlob {
        url: platform.source_url(id),
        version: Some(pushed.commit),
        version_description: pushed.description,
        ..SourceBlob::default()
    };
    let inputs = Inputs { source, buildpacks, ..Inputs::default() };
    let who = Some(Arc::clone(&push.who));
    let started = asking::on_behalf_of(who, async { platform.start_build(app, inputs, path) });
    let build = started.await?;
    push.led_to(build.id);
    Ok(super::json(
        StatusCode::CREATED,
        json!({ "id": build.id, "output_stream_url": platform.stream_url(build.id) }),
    ))
}
