//! A build's output, shown to its end: a connection that breaks is made again where it broke, so
//! that no line is lost or shown twice.

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::name::AppName;

use crate::client::Client;
use crate::errors::CommandError;
use crate::source::PackedSource;

/// How long a server may be away, to be started again for one.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);

/// Between two questions for an output that has not begun.
const SHORT_PAUSE: Duration = Duration::from_millis(10);

/// Uploads a source and starts its build.
pub(crate) async fn start(
    client: &Client,
    app: &AppName,
    source: PackedSource,
) -> Result<Value, CommandError> {
    let place = client.send(Method::POST, "/sources", &json!({})).await?;
    let urls = &place["source_blob"];
    client.put(urls["put_url"].as_str().unwrap_or_default(), source.tgz).await?;
    let body = json!({
        "source_blob": {
            "url": urls["get_url"],
            "version": source.version,
            "root": source.root,
        }
    });
    client.send(Method::POST, &format!("/apps/{app}/builds"), &body).await
}

/// Shows a build's output from a byte on; gives the build once it has ended. `path` is the build's
/// in the API.
pub(crate) async fn follow(
    client: &Client,
    path: &str,
    build: &Value,
    from: u64,
    on_line: impl FnMut(&str),
) -> Result<Value, CommandError> {
    let url = build["output_stream_url"].as_str().unwrap_or_default();
    let is_over = |build: &Value| build["status"] != "pending";
    follow_until(client, path, (url, from), is_over, on_line).await
}

/// Shows an output from a byte on, until it ends and what it is of is over; gives that.
pub(crate) async fn follow_until(
    client: &Client,
    path: &str,
    (url, from): (&str, u64),
    is_over: impl Fn(&Value) -> bool,
    mut on_line: impl FnMut(&str),
) -> Result<Value, CommandError> {
    let mut output = Output { at: from, pending: Vec::new() };
    let mut seen = Instant::now();
    loop {
        // Asked first: what a build writes before it ends is there once it has ended.
        let build = client.get(path).await;
        let opened = client.output(url, output.at).await;
        let (build, response) = match (build, opened) {
            (Ok(build), Ok(response)) => (build, response),
            (Err(error), _) | (_, Err(error)) => {
                if seen.elapsed() > PATIENCE || !error.is_of_the_connection() {
                    return Err(error);
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        seen = Instant::now();
        let ended = is_over(&build);
        let whole = match response.status() {
            status if status.is_success() => output.read(response.into_body(), &mut on_line).await,
            // It has not begun, or there is nothing more of it.
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => true,
            status => return Err(refused(path, status)),
        };
        if ended && whole {
            output.finish(&mut on_line);
            return Ok(build);
        }
        tokio::time::sleep(SHORT_PAUSE).await;
    }
}

fn refused(path: &str, status: StatusCode) -> CommandError {
    CommandError::Api { what: format!("read the output of {path}"), found: status.to_string() }
}

/// What has been shown of an output.
struct Output {
    /// The byte after the last whole line.
    at: u64,
    /// The beginning of a line.
    pending: Vec<u8>,
}

impl Output {
    /// Shows what comes, by whole lines; false if the connection broke.
    async fn read(&mut self, mut body: Incoming, on_line: &mut impl FnMut(&str)) -> bool {
        // It comes again, from the last whole line on.
        self.pending.clear();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            self.take(frame.data_ref().map(AsRef::as_ref).unwrap_or_default(), on_line);
        }
        true
    }

    fn take(&mut self, bytes: &[u8], on_line: &mut impl FnMut(&str)) {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            self.at += line.len() as u64;
            on_line(&String::from_utf8_lossy(&line[..end]));
        }
    }

    fn finish(&mut self, on_line: &mut impl FnMut(&str)) {
        if !self.pending.is_empty() {
            on_line(&String::from_utf8_lossy(&self.pending));
        }
    }
}

/// The exit code of a build that has ended.
pub(crate) fn exit_code(build: &Value) -> i32 {
    if build["status"] == "succeeded" {
        return exit_code::OK;
    }
    let code = build["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
    code.unwrap_or(exit_code::INTERNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_shown_is_counted_by_whole_lines() {
        let mut shown = Vec::new();
        let mut on_line = |line: &str| shown.push(line.to_owned());
        let mut output = Output { at: 10, pending: Vec::new() };
        output.take(b"one\ntw", &mut on_line);
        assert_eq!(output.at, 14);
        output.take("o\nü".as_bytes(), &mut on_line);
        output.finish(&mut on_line);
        assert_eq!(shown, ["one", "two", "ü"]);
    }
}
