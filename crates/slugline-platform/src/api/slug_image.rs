//! Slugs as images, given as an archive.

use axum::extract::{Path, Query, State};
use axum::response::IntoResponse as _;
use http::header::CONTENT_TYPE;
use serde::Deserialize;
use slugline_model::exchange::{ExportFormat, StackChoice};

use super::{Answer, slug};
use crate::bridge;
use crate::platform::Platform;

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
    let tree = slug::stored(&platform, &slug)?.tree;
    let format = ExportFormat::OciArchive { stack: stack(&query.stack), name: query.name };
    let body =
        bridge::body(move |out| platform.inner.exchange.export(&tree, &format, out).map(drop));
    Ok(([(CONTENT_TYPE, "application/x-tar")], body).into_response())
}

fn stack(text: &str) -> StackChoice {
    let Ok(stack) = text.parse();
    stack
}
