//! Resource `log-session`: a URL, and the stream behind it.

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::logline::{LogFilter, LogLine, Source};
use uuid::Uuid;

use super::Answer;
use super::error::ApiError;
use crate::clock;
use crate::platform::{LogQuery, Platform};

/// How many log sessions are kept for their clients to come back to.
const KEPT: usize = 1_000;

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let source = match text("source").as_deref() {
        Some("app") => Some(Source::App),
        Some("heroku") => Some(Source::Heroku),
        _ => None,
    };
    let process = text("dyno").or_else(|| text("dyno_name")).or_else(|| text("type"));
    let lines = body.get("lines").and_then(Value::as_u64).unwrap_or(100);
    let query = LogQuery {
        app: app.name,
        filter: LogFilter { source, process },
        lines: usize::try_from(lines).unwrap_or(usize::MAX),
        tail: body.get("tail").and_then(Value::as_bool).unwrap_or(false),
        after: None,
    };
    let id = Uuid::new_v4();
    remember(&platform, id, query);
    let now = clock::api_time(clock::now());
    Ok(super::json(
        StatusCode::CREATED,
        json!({
            "created_at": now,
            "id": id,
            "logplex_url": platform.url(&format!("/log-streams/{id}")),
            "updated_at": now,
        }),
    ))
}

fn remember(platform: &Platform, id: Uuid, query: LogQuery) {
    let queries = platform.inner.log_queries.lock();
    let mut queries = queries.unwrap_or_else(std::sync::PoisonError::into_inner);
    if queries.len() >= KEPT
        && let Some(any) = queries.keys().next().copied()
    {
        queries.remove(&any);
    }
    queries.insert(id, query);
}

/// The lines: as server-sent events for clients that ask for them, else as plain text.
pub(crate) async fn stream(
    State(platform): State<Platform>,
    Path(session): Path<Uuid>,
    headers: HeaderMap,
) -> Answer {
    let query = {
        let queries = platform.inner.log_queries.lock();
        let queries = queries.unwrap_or_else(std::sync::PoisonError::into_inner);
        queries.get(&session).cloned()
    };
    let no_such_session = || ApiError::not_found("log_session", "Couldn't find that log session.");
    let mut query = query.ok_or_else(no_such_session)?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    query.after = header("last-event-id").and_then(|id| id.parse().ok());
    let wants_events = header("accept").is_some_and(|accept| accept.contains("event-stream"));
    Ok(respond(&platform, query, wants_events))
}

fn respond(platform: &Platform, query: LogQuery, as_events: bool) -> Response {
    let tail = query.tail;
    let lines = (platform.inner.log_sessions)(query);
    let render = move |(number, line): (u64, LogLine)| {
        let text =
            if as_events { format!("id: {number}\ndata: {line}\n\n") } else { format!("{line}\n") };
        Ok::<_, std::convert::Infallible>(text)
    };
    // Makes the stock command line end at once instead of waiting to reconnect.
    let first = if as_events && !tail { "retry: 10\n\n" } else { "" };
    let first = futures_util::stream::iter([Ok(first.to_owned())]);
    let body = Body::from_stream(first.chain(lines.map(render)));
    let content_type = if as_events { "text/event-stream" } else { "text/plain; charset=utf-8" };
    ([(http::header::CONTENT_TYPE, content_type)], body).into_response()
}
