//! Resource `slug`.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use slugline_model::exchange::Checksum;
use slugline_model::procfile::ProcessTypes;
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, formation, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::slug::Slug;
use crate::db::slug_upload::SlugUpload;
use crate::platform::Platform;

/// How long an announced slug is waited for (microseconds): a day.
const WAITED_FOR: i64 = 24 * 60 * 60 * 1_000_000;

/// The most that a text of a request is kept of (characters).
const LONGEST_TEXT: usize = 1_000;

/// A slug that is there, or one that was announced.
enum Found {
    Stored(Slug),
    Announced(SlugUpload),
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, slug)): Path<(String, String)>,
) -> Answer {
    platform.app(&app)?;
    Ok(ok(match find(&platform, &slug)? {
        Found::Stored(slug) => render(&platform, &slug),
        Found::Announced(upload) => render_upload(&platform, &upload),
    }))
}

/// Announces a slug, whose archive is then put to the URL of its blob.
pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = formation::object(&body)?;
    let text = |name: &str| {
        let text = body.get(name).and_then(Value::as_str);
        text.map(|text| text.chars().take(LONGEST_TEXT).collect::<String>())
    };
    let upload = SlugUpload {
        id: Uuid::new_v4(),
        app_id: app.id,
        process_types: process_types(body.get("process_types"))?,
        buildpack: text("buildpack_provided_description"),
        checksum: checksum(text("checksum"))?,
        source_version: text("commit"),
        commit_description: text("commit_description"),
        created_at: clock::now(),
    };
    let forget = upload.created_at - WAITED_FOR;
    platform.inner.db.transaction(|db| db::slug_upload::insert(db, &upload, forget))?;
    Ok(super::json(StatusCode::CREATED, render_upload(&platform, &upload)))
}

/// The process types of a request; none are as good as an empty object, but must be said.
pub(crate) fn process_types(value: Option<&Value>) -> Result<ProcessTypes, ApiError> {
    let given = value.and_then(Value::as_object);
    let given = given.ok_or_else(|| ApiError::invalid("`process_types` must be an object"))?;
    let pair = |(name, command): (&String, &Value)| {
        let process_type = name.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
        let command = command.as_str().filter(|command| !command.trim().is_empty());
        let empty = || ApiError::invalid(format!("the command of `{name}` must be a text"));
        Ok((process_type, command.ok_or_else(empty)?.to_owned()))
    };
    given.iter().map(pair).collect()
}

fn checksum(text: Option<String>) -> Result<Option<Checksum>, ApiError> {
    let parse = |text: String| text.parse().map_err(|error| ApiError::invalid(format!("{error}")));
    text.map(parse).transpose()
}

/// The slug of this id that can be released.
pub(crate) fn stored(platform: &Platform, slug: &str) -> Result<Slug, ApiError> {
    match find(platform, slug)? {
        Found::Stored(slug) => Ok(slug),
        Found::Announced(_) => Err(ApiError::invalid(
            "the slug has not been uploaded yet: PUT its archive to its blob's URL",
        )),
    }
}

fn find(platform: &Platform, slug: &str) -> Result<Found, ApiError> {
    let no_such_slug = || ApiError::not_found("slug", "Couldn't find that slug.");
    let id = slug.parse().map_err(|_| no_such_slug())?;
    let (slug, upload) = platform
        .inner
        .db
        .read(|db| Ok((db::slug::find(db, id)?, db::slug_upload::find(db, id)?)))?;
    let found = slug.map(Found::Stored).or(upload.map(Found::Announced));
    found.ok_or_else(no_such_slug)
}

pub(crate) fn render(platform: &Platform, slug: &Slug) -> Value {
    let checksum = slug.checksum.map(|checksum| checksum.to_string());
    json!({
        "blob": { "method": "GET", "url": platform.slug_url(slug.id) },
        "buildpack_provided_description": slug.buildpack,
        "checksum": checksum.unwrap_or_else(|| format!("BLAKE3:{}", slug.tree)),
        "commit": slug.source_version,
        "commit_description": slug.commit_description,
        "created_at": api_time(slug.created_at),
        "deleted_at": null,
        "id": slug.id,
        "process_types": slug.process_types,
        "size": slug.size,
        "stack": super::stack::reference(),
        "updated_at": api_time(slug.created_at),
    })
}

fn render_upload(platform: &Platform, upload: &SlugUpload) -> Value {
    json!({
        "blob": { "method": "PUT", "url": platform.slug_url(upload.id) },
        "buildpack_provided_description": upload.buildpack,
        "checksum": upload.checksum.map(|checksum| checksum.to_string()),
        "commit": upload.source_version,
        "commit_description": upload.commit_description,
        "created_at": api_time(upload.created_at),
        "deleted_at": null,
        "id": upload.id,
        "process_types": upload.process_types,
        "size": null,
        "stack": super::stack::reference(),
        "updated_at": api_time(upload.created_at),
    })
}

impl Platform {
    /// Where a slug's archive is put and got. Whoever knows the URL may.
    fn slug_url(&self, id: Uuid) -> String {
        self.url(&format!("/slugs/{id}"))
    }
}
