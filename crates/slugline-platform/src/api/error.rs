//! Errors in Heroku's shape: a status, an `id` of a closed set, a message for people.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
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

    /// A thing is named that may be one of several.
    pub(crate) fn multiple_matches(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "multiple_matches", message)
    }

    /// The client is to say the app's name once more; stock ones ask people for it.
    pub(crate) fn confirmation_required(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "confirmation_required", message)
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

    /// The platform itself failed; the log says why.
    pub(crate) fn internal() -> Self {
        let message = "The server met an error of its own; its log says more.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_server_error", message)
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        tracing::error!(?error, "a request could not read or write the state");
        Self::internal()
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
