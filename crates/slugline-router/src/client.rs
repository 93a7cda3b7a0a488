//! A client's connection, which may carry many requests.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::Router;

/// Header lines that a request or an answer may have. Heroku: 1,000, which would cost each of them
/// two cleared buffers of 40 kB.
pub(crate) const MAX_HEADERS: usize = 256;

/// How long a connection stays open when the router shuts down: what a client sends this very
/// moment is answered, and the answer tells it that it was the last one.
const LAST_REQUEST: Duration = Duration::from_millis(300);

/// The first byte of a TLS connection.
const HANDSHAKE: u8 = 0x16;

/// Who asks.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) address: IpAddr,
    /// The port that it connected to.
    pub(crate) port: u16,
    /// The host that it greeted over TLS; none without TLS.
    pub(crate) greeted: Option<String>,
    /// Whether it was given up because it took nothing of a response for too long.
    pub(crate) idle: AtomicBool,
}

impl Client {
    /// As the log and dynos are told it.
    pub(crate) fn protocol(&self) -> &'static str {
        if self.greeted.is_some() { "https" } else { "http" }
    }
}

impl Router {
    /// Answers one client until it leaves.
    pub(crate) async fn converse(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // A failure leaves small writes slow; nothing else changes.
        let _ = stream.set_nodelay(true);
        let port = stream.local_addr().map_or(0, |address| address.port());
        let address = peer.ip().to_canonical();
        let idle = AtomicBool::new(false);
        let client = Client { address, port, greeted: None, idle };
        match self.greet(stream).await {
            Ok(Greeted::Plain(stream)) => self.talk(stream, client, peer).await,
            Ok(Greeted::Tls(stream)) => {
                let name = stream.get_ref().1.server_name().unwrap_or_default();
                let greeted = Some(name.to_owned());
                self.talk(stream, Client { greeted, ..client }, peer).await;
            }
            Err(error) => tracing::debug!(%error, client = %peer, "a client was not understood"),
        }
    }

    /// TLS begins with a byte that no request begins with, so one port speaks both.
    async fn greet(&self, stream: TcpStream) -> io::Result<Greeted> {
        let greeting = async {
            let mut first = [0];
            match &self.tls {
                Some(tls) if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE => {
                    let stream = TlsAcceptor::from(Arc::clone(tls)).accept(stream).await?;
                    Ok(Greeted::Tls(Box::new(stream)))
                }
                _ => Ok(Greeted::Plain(stream)),
            }
        };
        let mut closing = self.closing.clone();
        tokio::select! {
            greeted = tokio::time::timeout(self.limits.idle, greeting) => {
                greeted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            }
            () = closed(&mut closing) => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    async fn talk<S>(self: Arc<Self>, stream: S, client: Client, peer: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let client = Arc::new(client);
        let (mut closing, idle) = (self.closing.clone(), self.limits.idle);
        let stream = ClientStream { stream, client: Arc::clone(&client), limit: idle, wait: None };
        let service = service_fn(move |request| {
            let (router, client) = (Arc::clone(&self), Arc::clone(&client));
            async move {
                let mut answer = router.answer(request, client).await;
                if *router.closing.borrow() && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(answer)
            }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(idle).max_headers(MAX_HEADERS);
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = closed(&mut closing) => {
                let last = tokio::time::timeout(LAST_REQUEST, connection.as_mut()).await;
                if let Ok(ended) = last {
                    ended
                } else {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, client = %peer, "a client's connection broke");
        }
    }
}

/// How a client begins.
enum Greeted {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Waits until the router shuts down.
pub(crate) async fn closed(closing: &mut watch::Receiver<bool>) {
    // An error means that the router is gone already.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// A connection that fails once the client has taken nothing for `limit`.
struct ClientStream<S> {
    stream: S,
    client: Arc<Client>,
    limit: Duration,
    /// Runs while a write waits for the client.
    wait: Option<Pin<Box<Sleep>>>,
}

impl<S> ClientStream<S> {
    fn bound<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.wait = None;
            return written;
        }
        let limit = self.limit;
        let wait = self.wait.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(wait.as_mut().poll(context));
        self.client.idle.store(true, Ordering::Relaxed);
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
