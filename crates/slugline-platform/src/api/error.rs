//! Errors in Heroku's shape: a status, an `id` of a closed set, a message for people.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use rusqlite::ErrorCode;
use serde_json::json;

use crate::db::DbError;

/// What an API client is told when it did not get what it asked for.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    id: &'static str,
    message: String,
    resource: Option<&'static str>,
}

impl ApiError {
    fn new(status: StatusCode, id: &'static str, message: impl Into<String>) -> Self {
        Self { status, id, message: message.into(), resource: None }
    }

    /// There is no such thing, or it is not the client's.
    pub(crate) fn not_found(resource: &'static str, message: &str) -> Self {
        let error = Self::new(StatusCode::NOT_FOUND, "not_found", message);
        Self { resource: Some(resource), ..error }
    }

    /// The body says something that is not allowed.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message)
    }

    /// The body is no JSON object.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// It was there, and is no longer kept.
    pub(crate) fn gone(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "gone", message)
    }

    /// No token, or a wrong one.
    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Invalid credentials provided.")
    }

    /// The client is known, and may not do that.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// The token has made its calls for now.
    pub(crate) fn rate_limit() -> Self {
        let message = "Your account reached the API rate limit\nPlease wait a few minutes before \
                       making new requests";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limit", message)
    }

    /// A thing is named that may be one of several.
    pub(crate) fn multiple_matches(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "multiple_matches", message)
    }

    /// The client is to say the app's name once more; stock ones ask people for it.
    pub(crate) fn confirmation_required(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "confirmation_required", message)
    }

    /// A list has no such part.
    pub(crate) fn range(message: impl Into<String>) -> Self {
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        Self::new(status, "requested_range_not_satisfiable", message)
    }

    /// Another version of the API is asked for.
    pub(crate) fn not_acceptable() -> Self {
        let message = "The API has version 3: Accept: application/vnd.heroku+json; version=3.";
        Self::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    }

    /// Heroku has it, and it makes no sense here.
    pub(crate) fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "not_implemented", message)
    }

    /// What a status says by itself, where nobody has said more.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (id, message) = match status {
            StatusCode::NOT_FOUND => ("not_found", "Couldn't find that endpoint."),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("method_not_allowed", "That endpoint is not used in this way.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("payload_too_large", "The body is too large."),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                ("unsupported_media_type", "The body must be JSON.")
            }
            status if status.is_server_error() => return Self::internal(),
            _ => (
                "bad_request",
                "The request could not be read: its path, query or body is no text.",
            ),
        };
        Self::new(status, id, message)
    }

    /// Somebody whom the platform relies on does not answer.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable", message)
    }

    /// No room on the disk.
    pub(crate) fn disk_full() -> Self {
        let message = "No space is left on the disk where slugs are stored.";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "insufficient_storage", message)
    }

    /// For those who are told of it in another way than by an answer's status.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// There is no room.
    pub(crate) fn full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "disk_full",
            "The server's disk is full. Nothing was changed; its operator makes room (slugline \
             store:gc, store:usage).",
        )
    }

    /// The platform itself failed; the log says why.
    pub(crate) fn internal() -> Self {
        let message = "The server met an error of its own; its log says more.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        tracing::error!(?error, "a request could not read or write the state");
        match error.code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "Another program on the server holds its database. Nothing was changed; ask again \
                 in a moment.",
            ),
            Some(ErrorCode::DiskFull) => Self::full(),
            _ => Self::internal(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "id": self.id, "message": self.message });
        if let Some(resource) = self.resource {
            body["resource"] = resource.into();
        }
        (self.status, axum::Json(body)).into_response()
    }
}
