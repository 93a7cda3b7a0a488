//! A response's body on its way to the client.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use slugline_model::code::Code;
use tokio::time::Sleep;

use crate::aside::AsideBody;
use crate::client::Client;
use crate::exchange::Exchange;
use crate::pool::{Pool, Sender};
use slugline_model::dyno::DynoId;

/// Why a response ends before its end; the client's connection is closed without one, so that it
/// notices.
#[derive(Debug, thiserror::Error)]
#[error("the response broke off ({0:?})")]
pub(crate) struct BrokenOff(Code);

/// What a client receives.
pub(crate) enum Relay {
    /// A page of the router's own, at once.
    Page(Option<Bytes>),
    /// A dyno's answer, piece by piece as the client takes it.
    Answer(Box<Answer>),
    /// What a service beside the apps says.
    Aside(AsideBody),
}

/// A dyno's answer under way.
pub(crate) struct Answer {
    pub(crate) body: Incoming,
    pub(crate) exchange: Exchange,
    pub(crate) client: Arc<Client>,
    /// The connection, kept for another request once the body is read.
    pub(crate) connection: Option<(Arc<Pool>, DynoId, Sender)>,
    /// How long the dyno may be silent.
    pub(crate) patience: Duration,
    /// Runs while the dyno is silent.
    pub(crate) silence: Option<Pin<Box<Sleep>>>,
    /// Whether the body was read to its end, or failed.
    pub(crate) over: bool,
}

impl Answer {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Pending => self.poll_silence(context),
            Poll::Ready(Some(Ok(frame))) => {
                self.silence = None;
                let more = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.exchange.bytes = Some(self.exchange.bytes.unwrap_or(0) + more);
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(_))) => self.break_off(Code::H18),
            Poll::Ready(None) => {
                self.over = true;
                self.keep_connection();
                Poll::Ready(None)
            }
        }
    }

    fn poll_silence(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let patience = self.patience;
        let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        match silence.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => self.break_off(Code::H15),
        }
    }

    fn break_off(&mut self, code: Code) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.over = true;
        self.exchange.fail(code);
        Poll::Ready(Some(Err(BrokenOff(code))))
    }

    fn keep_connection(&mut self) {
        if let Some((pool, dyno, sender)) = self.connection.take() {
            pool.put(dyno, sender);
        }
    }
}

/// The server drops a body without asking for its end when it knows the length, and also when the
/// client has left.
impl Drop for Answer {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        if self.body.is_end_stream() {
            self.keep_connection();
        } else if self.client.idle.load(Ordering::Relaxed) {
            self.exchange.fail(Code::H28);
        } else {
            self.exchange.fail(Code::H27);
        }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.get_mut() {
            Relay::Page(page) => Poll::Ready(page.take().map(|page| Ok(Frame::data(page)))),
            Relay::Answer(answer) => answer.poll(context),
            Relay::Aside(body) => {
                let polled = Pin::new(body).poll_frame(context);
                polled.map_err(|error| {
                    tracing::debug!(%error, "an answer broke off");
                    BrokenOff(Code::H18)
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Relay::Page(page) => page.is_none(),
            Relay::Answer(answer) => answer.body.is_end_stream(),
            Relay::Aside(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Relay::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, Bytes::len) as u64),
            Relay::Answer(answer) => answer.body.size_hint(),
            Relay::Aside(body) => body.size_hint(),
        }
    }
}
