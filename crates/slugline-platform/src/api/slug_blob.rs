//! The archive of a slug: taken once, by the slug's URL, and given to whoever knows it.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use slugline_model::exchange::{ExchangeError, ExportFormat, ImportRequest, Imported};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, slug};
use crate::bridge;
use crate::clock;
use crate::db;
use crate::db::slug::Slug;
use crate::db::slug_upload::SlugUpload;
use crate::platform::Platform;

/// Takes an announced slug's archive; the slug is there whole or not at all, and can be tried again
/// in the latter case.
pub(crate) async fn upload(
    State(platform): State<Platform>,
    Path(id): Path<Uuid>,
    body: Body,
) -> Answer {
    let (upload, slug) = platform
        .inner
        .db
        .read(|db| Ok((db::slug_upload::find(db, id)?, db::slug::find(db, id)?)))?;
    if slug.is_some() {
        return Err(ApiError::gone("The slug has been uploaded already, and slugs do not change."));
    }
    let upload = upload.ok_or_else(|| ApiError::not_found("slug", "Couldn't find that slug."))?;
    let request = ImportRequest {
        process_types: upload.process_types.clone(),
        limits: platform.inner.config.limits.clone(),
        checksum: upload.checksum,
    };
    // Nothing but this keeps the slug until the state knows it.
    let mut pin = platform.inner.pins.open();
    let (sender, mut reader) = bridge::reader();
    let import = platform.blocking(move |inner| inner.exchange.import(&request, &mut reader));
    let (imported, ()) = tokio::join!(import, bridge::forward(body, sender));
    let imported = imported.map_err(refusal)?;
    pin.hold(imported.slug.id.clone());
    keep(&platform, &upload, imported)?;
    Ok(StatusCode::OK.into_response())
}

/// Makes an imported slug one of an app's.
pub(crate) fn keep(
    platform: &Platform,
    upload: &SlugUpload,
    imported: Imported,
) -> Result<Slug, ApiError> {
    let manifest = platform.manifest_of(&imported.slug.id);
    let slug = Slug {
        id: upload.id,
        tree: imported.slug.id,
        manifest,
        process_types: imported.slug.process_types,
        buildpack: upload.buildpack.clone().unwrap_or_else(|| "Imported".to_owned()),
        size: imported.slug.packed_bytes,
        source_version: upload.source_version.clone(),
        commit_description: upload.commit_description.clone(),
        checksum: imported.checksum,
        created_at: clock::now(),
    };
    let first = platform.inner.db.transaction(|db| {
        let first = db::slug_upload::remove(db, slug.id)?;
        if first {
            db::slug::insert(db, upload.app_id, &slug)?;
        }
        Ok(first)
    })?;
    if first { Ok(slug) } else { Err(ApiError::gone("Somebody else has uploaded the slug.")) }
}

/// Gives a slug as Heroku packs it.
pub(crate) async fn download(State(platform): State<Platform>, Path(id): Path<Uuid>) -> Answer {
    let slug = slug::stored(&platform, &id.to_string())?;
    let (tree, export) = (slug.tree, platform.clone());
    let body = bridge::body(move |out| {
        let told = export.inner.exchange.export(&tree, &ExportFormat::Tgz, out)?;
        let learned =
            export.inner.db.transaction(|db| db::slug::learn_checksum(db, id, told.checksum));
        if let Err(error) = learned {
            tracing::warn!(?error, "a slug's checksum could not be kept");
        }
        Ok::<_, ExchangeError>(())
    });
    Ok(([(CONTENT_TYPE, "application/gzip")], body).into_response())
}

/// What a client is told when a slug could not be taken or given.
pub(crate) fn refusal(error: ExchangeError) -> ApiError {
    match error {
        ExchangeError::Refused(why) => ApiError::invalid(why),
        ExchangeError::TooLarge { packed_bytes } => ApiError::invalid(format!(
            "the slug is too large: {} packed",
            slugline_model::size::human(packed_bytes)
        )),
        ExchangeError::DiskFull => ApiError::disk_full(),
        ExchangeError::Store(error) => {
            tracing::error!(error, "a slug could not be taken or given");
            ApiError::internal()
        }
    }
}
