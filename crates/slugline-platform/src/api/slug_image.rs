//! Slugs as images: given as an archive, sent to a registry, and fetched from one.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use slugline_model::exchange::{
    ExchangeError, ExportFormat, ImportRequest, RegistryTarget, StackChoice,
};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, formation, slug, slug_blob};
use crate::bridge::{self, Lines};
use crate::clock;
use crate::db;
use crate::db::app::App;
use crate::db::slug_upload::SlugUpload;
use crate::platform::Platform;

/// Registries are talked to with the operator's credentials, and from the operator's network.
const BY_SERVER: &str = "has the server talk to a registry, with the operator's credentials";

/// What an image is to be.
#[derive(Debug, Deserialize)]
pub(crate) struct ImageQuery {
    /// `host`, `none`, or a path on this machine.
    #[serde(default)]
    stack: String,
    /// `name:tag`, for whoever loads it.
    name: Option<String>,
}

/// Gives a slug as an OCI archive.
pub(crate) async fn image(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
    Query(query): Query<ImageQuery>,
) -> Answer {
    platform.app(&app)?;
    let (tree, stack) = (slug::stored(&platform, &slug)?.tree, stack(&query.stack));
    if matches!(stack, StackChoice::Path(_)) {
        operator_only("reads a stack from a path of the server's machine")?;
    }
    let format = ExportFormat::OciArchive { stack, name: query.name };
    let body =
        bridge::body(move |out| platform.inner.exchange.export(&tree, &format, out).map(drop));
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}

/// Sends a slug to a registry, and tells of it line by line.
pub(crate) async fn push(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
    body: String,
) -> Answer {
    platform.app(&app)?;
    operator_only(BY_SERVER)?;
    let tree = slug::stored(&platform, &slug)?.tree;
    let body = formation::object(&body)?;
    let (target, stack) = (target(&body)?, stack(text(&body, "stack").unwrap_or_default()));
    Ok(told(move |lines| {
        let exchange = &platform.inner.exchange;
        let digest = exchange.push(&tree, &stack, &target, &mut |line| lines.line(line))?;
        Ok(json!({ "digest": digest }))
    }))
}

/// Makes a slug of an image in a registry, and tells of it line by line.
pub(crate) async fn pull(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    operator_only(BY_SERVER)?;
    let body = formation::object(&body)?;
    let target = target(&body)?;
    let types = body.get("process_types").map(|types| slug::process_types(Some(types)));
    let request = ImportRequest {
        process_types: types.transpose()?.unwrap_or_default(),
        limits: platform.inner.config.limits.clone(),
        checksum: None,
    };
    Ok(told(move |lines| {
        // Nothing but this keeps the slug until the state knows it.
        let mut pin = platform.inner.pins.open();
        let exchange = &platform.inner.exchange;
        let imported = exchange.pull(&target, &request, &mut |line| lines.line(line))?;
        pin.hold(imported.slug.id.clone());
        let upload = announced(&app, &target.reference);
        let forget = i64::MIN;
        let announce =
            |db: &rusqlite::Transaction<'_>| db::slug_upload::insert(db, &upload, forget);
        platform.inner.db.transaction(announce).map_err(|error| internal(&error))?;
        let slug = slug_blob::keep(&platform, &upload, imported);
        let slug = slug.map_err(|error| ExchangeError::Refused(error.message().to_owned()))?;
        Ok(slug::render(&platform, &slug))
    }))
}

fn operator_only(what: &str) -> Result<(), ApiError> {
    if super::account::asker()?.account.is_admin {
        return Ok(());
    }
    Err(ApiError::forbidden(format!(
        "Only the operator of this server {what}. slugline slug:export and slug:import exchange \
         archives, which podman and skopeo carry to a registry and from it."
    )))
}

fn announced(app: &App, reference: &str) -> SlugUpload {
    SlugUpload {
        id: Uuid::new_v4(),
        app_id: app.id,
        process_types: std::collections::BTreeMap::new(),
        buildpack: None,
        checksum: None,
        source_version: None,
        commit_description: Some(format!("Pulled from {reference}")),
        created_at: clock::now(),
    }
}

fn internal(error: &db::DbError) -> ExchangeError {
    tracing::error!(?error, "a pulled slug could not be kept");
    ExchangeError::Store("the state could not be written".to_owned())
}

fn target(body: &Map<String, Value>) -> Result<RegistryTarget, ApiError> {
    let reference = text(body, "reference").map(str::to_owned);
    let reference = reference.ok_or_else(|| ApiError::invalid("`reference` must be given"))?;
    let credentials = text(body, "username").zip(text(body, "password"));
    Ok(RegistryTarget {
        reference,
        credentials: credentials.map(|(user, password)| (user.to_owned(), password.to_owned())),
        plain_http: body.get("plain_http").and_then(Value::as_bool).unwrap_or(false),
    })
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

fn stack(text: &str) -> StackChoice {
    let Ok(stack) = text.parse();
    stack
}

/// An answer that begins before its end is known: one JSON object a line, `{"line": …}` until
/// `{"done": …}` or `{"error": …}`.
fn told(
    work: impl FnOnce(&mut Lines<'_>) -> Result<Value, ExchangeError> + Send + 'static,
) -> axum::response::Response {
    let body: Body = bridge::body(move |out| {
        let mut lines = Lines::new(out);
        let last = match work(&mut lines) {
            Ok(done) => json!({ "done": done }),
            Err(error) => json!({ "error": slug_blob::refusal(error).message() }),
        };
        lines.object(&last);
        Ok::<_, std::convert::Infallible>(())
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
