//! One connection: its requests one after the other, each a line of the log.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::Site;
use super::respond::{self, Body};
use crate::console;

/// Answers the requests of a connection until it ends, or, once the server is closing, until the
/// request under way is answered.
pub(crate) async fn converse(
    site: Arc<Site>,
    stream: TcpStream,
    peer: SocketAddr,
    mut closing: watch::Receiver<bool>,
) {
    let service = service_fn(|request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(answer(&site, &request, peer).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    let mut connection = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    // A client that goes away in the middle is its own affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(site: &Site, request: &Request<Incoming>, peer: SocketAddr) -> Response<Body> {
    let started = Instant::now();
    let response = respond::respond(site, request.method(), request.uri(), request.headers()).await;
    if site.says.log_requests {
        let length = response.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()).unwrap_or("0");
        console::say(&line(request, response.status(), length, peer, started));
    }
    response
}

/// In the words of the router's lines, so that the two can be read together.
fn line(
    request: &Request<Incoming>,
    status: StatusCode,
    length: &str,
    peer: SocketAddr,
    started: Instant,
) -> String {
    let forwarded = text(request.headers(), "x-forwarded-for");
    let client = if forwarded.is_empty() { peer.ip().to_string() } else { forwarded };
    format!(
        "method={} path=\"{}\" status={} bytes={length} service={}ms fwd=\"{client}\" request_id={}",
        request.method(),
        request.uri(),
        status.as_u16(),
        started.elapsed().as_millis(),
        text(request.headers(), "x-request-id"),
    )
}

/// A header for the log, where it ends no line and no quotes.
fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.replace(['"', '\n', '\r'], "")
}
