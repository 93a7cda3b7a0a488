//! A request's body on its way to the dyno.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use slugline_model::code::Code;
use slugline_model::limits::Limits;
use tokio::sync::Notify;

/// How far an upload is, as seen from outside.
#[derive(Debug, Default)]
pub(crate) struct UploadState {
    /// Frames that have passed.
    frames: AtomicU64,
    /// [`RUNNING`], [`DONE`] or [`BROKEN`].
    phase: AtomicU8,
    /// Told when the phase changes.
    changed: Notify,
}

const RUNNING: u8 = 0;
const DONE: u8 = 1;
const BROKEN: u8 = 2;

impl UploadState {
    /// Whether the client broke off.
    pub(crate) fn is_broken(&self) -> bool {
        self.phase.load(Ordering::Acquire) == BROKEN
    }

    /// Waits until the dyno has taken too long for the first byte of its answer, counted from when
    /// it had the whole request; or the client too long between two pieces of the request.
    pub(crate) async fn overdue(&self, limits: &Limits) -> Code {
        while self.phase.load(Ordering::Acquire) == RUNNING {
            let before = self.frames.load(Ordering::Relaxed);
            let changed = tokio::time::timeout(limits.idle, self.changed.notified()).await;
            if changed.is_err() && self.frames.load(Ordering::Relaxed) == before {
                return Code::H28;
            }
        }
        tokio::time::sleep(limits.first_byte).await;
        Code::H12
    }

    fn end(&self, phase: u8) {
        let from_running =
            self.phase.compare_exchange(RUNNING, phase, Ordering::AcqRel, Ordering::Acquire);
        if from_running.is_ok() {
            self.changed.notify_one();
        }
    }
}

/// The body, passed on piece by piece as the dyno takes it.
pub(crate) struct Upload {
    body: Incoming,
    state: Arc<UploadState>,
}

impl Upload {
    pub(crate) fn new(body: Incoming) -> (Self, Arc<UploadState>) {
        let state = Arc::new(UploadState::default());
        if body.is_end_stream() {
            state.end(DONE);
        }
        (Self { body, state: Arc::clone(&state) }, state)
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        match &frame {
            Some(Ok(_)) => drop(self.state.frames.fetch_add(1, Ordering::Relaxed)),
            Some(Err(_)) => self.state.end(BROKEN),
            None => {}
        }
        if frame.is_none() || self.body.is_end_stream() {
            self.state.end(DONE);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The dyno wants no more of it.
impl Drop for Upload {
    fn drop(&mut self) {
        self.state.end(DONE);
    }
}
