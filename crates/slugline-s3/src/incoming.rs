//! A request's body. What is refused before all of it has come is read to its end all the same: a
//! client that is cut off in the middle of sending never sees why.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// How much of what nobody wants is read (bytes), and for how long. Then the client is cut off.
const MOST: u64 = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(15);

/// A body that is read to its end by whoever is left.
#[derive(Debug)]
pub(crate) struct Whole {
    body: Option<Incoming>,
    /// Whether the client sends, rather than waits to be told to go on.
    is_sent: bool,
}

impl Whole {
    /// The request with its body so.
    pub(crate) fn of(request: Request<Incoming>) -> Request<Self> {
        let is_sent = !request.headers().contains_key(EXPECT);
        request.map(|body| Self { body: Some(body), is_sent })
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.is_sent = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        let body = self.body.take().filter(|body| self.is_sent && !body.is_end_stream());
        let (Some(body), Ok(runtime)) = (body, tokio::runtime::Handle::try_current()) else {
            return;
        };
        // Whether it comes to its end is the client's own business.
        runtime.spawn(tokio::time::timeout(PATIENCE, throw_away(body)));
    }
}

async fn throw_away(mut body: Incoming) {
    let mut read = 0;
    while let Some(Ok(frame)) = body.frame().await {
        read += frame.data_ref().map_or(0, |bytes| bytes.len() as u64);
        if read > MOST {
            return;
        }
    }
}
