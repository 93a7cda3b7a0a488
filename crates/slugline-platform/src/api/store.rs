//! Resource `store`, which is ours: the care of the slug store.

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse as _;
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};
use slugline_model::port::CheckRequest;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::error::ApiError;
use super::{Answer, ok};
use crate::platform::Platform;
use crate::store_care::CareError;

impl From<CareError> for ApiError {
    fn from(error: CareError) -> Self {
        match error {
            CareError::Db(error) => error.into(),
            CareError::Busy => Self::invalid(format!("The store is busy: {error}.")),
            damaged => Self::invalid(format!(
                "The store could not be read: {damaged}. slugline store:fsck says what is damaged"
            )),
        }
    }
}

/// What takes the room.
pub(crate) async fn usage(State(platform): State<Platform>) -> Answer {
    Ok(ok(json!(platform.usage().await?)))
}

/// Removes what nobody needs; with `dry_run`, only says what that is.
pub(crate) async fn collect(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let dry_run = body.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    Ok(ok(json!(platform.collect(dry_run).await?)))
}

/// Checks the store, and with `repair` mends it; `from` names a directory of the server's machine
/// that holds a copy. Answers line by line: progress, and at the end what was found.
pub(crate) async fn fsck(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let repair = body.get("repair").and_then(Value::as_bool).unwrap_or(false);
    let from = body.get("from").and_then(Value::as_str).map(Into::into);
    let request = CheckRequest { repair, from, ..platform.inner.check_request()? };
    let (send, lines) = mpsc::unbounded_channel::<Value>();
    // A thread of its own, which may take minutes and need not end before the server does.
    std::thread::spawn(move || {
        let inner = &platform.inner;
        let mut progress = |objects: u64, of: u64| {
            // Whoever asked may be gone; the check goes on.
            let _ = send.send(json!({ "objects": objects, "of": of }));
        };
        let end = match inner.store.fsck(&request, &mut progress) {
            Ok(mut checked) => {
                inner.name_slugs(&mut checked);
                json!({ "checked": checked })
            }
            Err(error) => json!({ "error": error.to_string() }),
        };
        let _ = send.send(end);
    });
    let lines = UnboundedReceiverStream::new(lines)
        .map(|line| Ok::<_, std::convert::Infallible>(format!("{line}\n")));
    let content_type = [(CONTENT_TYPE, "application/x-ndjson")];
    Ok((content_type, Body::from_stream(lines)).into_response())
}
