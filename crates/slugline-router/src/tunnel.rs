//! What follows an upgrade, WebSocket mostly: bytes both ways until one side is silent for too long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use slugline_model::code::Code;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split};
use tokio::sync::watch;

use crate::client::closed;
use crate::exchange::Exchange;

/// Bytes read at once.
const BUFFER: usize = 16 * 1024;

/// The two ends of a tunnel, before they have changed over.
pub(crate) struct Tunnel {
    pub(crate) client: OnUpgrade,
    pub(crate) dyno: OnUpgrade,
    pub(crate) exchange: Exchange,
    /// How long both may be silent.
    pub(crate) patience: Duration,
    /// Whether the router is shutting down, which no tunnel outlives.
    pub(crate) closing: watch::Receiver<bool>,
}

impl Tunnel {
    /// Carries bytes until both sides have ended. The exchange ends with it.
    pub(crate) async fn run(mut self) {
        let (client, dyno) = match join(self.client, self.dyno).await {
            (Ok(client), Ok(dyno)) => (TokioIo::new(client), TokioIo::new(dyno)),
            (Err(_), _) => return self.exchange.fail(Code::H27),
            (_, Err(_)) => return self.exchange.fail(Code::H18),
        };
        let (from_client, to_client) = split(client);
        let (from_dyno, to_dyno) = split(dyno);
        let (up, down) = (AtomicU64::new(0), AtomicU64::new(0));
        let both = join(carry(from_client, to_dyno, &up), carry(from_dyno, to_client, &down));
        let silent =
            silence(self.patience, || up.load(Ordering::Relaxed) + down.load(Ordering::Relaxed));
        let outcome = tokio::select! {
            _ = both => None,
            () = silent => Some(Code::H15),
            () = closed(&mut self.closing) => None,
        };
        self.exchange.bytes = Some(down.load(Ordering::Relaxed));
        if let Some(code) = outcome {
            self.exchange.fail(code);
        }
    }
}

/// Carries one way until the end, which it passes on.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    carried: &AtomicU64,
) -> std::io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
        to.flush().await?;
        carried.fetch_add(read as u64, Ordering::Relaxed);
    }
}

/// Waits until a count has stood still for `patience`.
async fn silence(patience: Duration, count: impl Fn() -> u64) {
    let mut before = count();
    loop {
        tokio::time::sleep(patience).await;
        let now = count();
        if now == before {
            return;
        }
        before = now;
    }
}
