//! What of a request nobody has read when it is answered. It is read to its end all the same: a
//! client that is cut off in the middle of a push never sees why it was refused.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};

/// How long the rest is waited for. Then the client is cut off.
const PATIENCE: Duration = Duration::from_mins(1);

/// A body whose rest is read by somebody, once it is dropped.
struct Whole {
    body: Body,
    /// Whether the client sends, rather than waits to be told to go on.
    is_sent: bool,
}

/// The request with its body so.
pub(crate) async fn read_to_its_end(request: Request) -> Request {
    let is_sent = !request.headers().contains_key(EXPECT);
    request.map(|body| Body::new(Whole { body, is_sent }))
}

impl hyper::body::Body for Whole {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.is_sent = true;
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let rest = std::mem::take(&mut self.body);
        if !self.is_sent || hyper::body::Body::is_end_stream(&rest) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Whether it comes to its end is the client's own business.
            runtime.spawn(tokio::time::timeout(PATIENCE, throw_away(rest)));
        }
    }
}

async fn throw_away(mut body: Body) {
    while let Some(Ok(_)) = body.frame().await {}
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::map_request;
    use axum::routing::put;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn whoever_is_refused_while_still_sending_is_told() {
        const LENGTH: usize = 32 << 20;
        let refuse = put(async || (StatusCode::INSUFFICIENT_STORAGE, "no room"));
        let app = Router::new().route("/", refuse).layer(map_request(read_to_its_end));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async { axum::serve(listener, app).await });
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = format!("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: {LENGTH}\r\n");
        client.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).await.unwrap();
        client.write_all(&vec![0; LENGTH]).await.expect("all of it is taken");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 507") && answer.ends_with("no room"), "{answer}");
        serving.abort();
    }
}
