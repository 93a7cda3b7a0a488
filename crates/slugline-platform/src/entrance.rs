//! One port that speaks HTTP and TLS: the API's, and that of one-off dynos.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::platform::Platform;

/// How long a client may take to greet.
const TO_GREET: Duration = Duration::from_mins(1);

/// Connections that have greeted and wait to be served.
const GREETED: usize = 64;

/// The pause after a connection that could not be accepted: too many are open, mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// The first byte of a TLS connection, which neither a request nor a token begins with.
const HANDSHAKE: u8 = 0x16;

/// A client's connection.
#[derive(Debug)]
pub(crate) enum Greeted {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Finds out how a client speaks.
pub(crate) async fn greet(stream: TcpStream, tls: &TlsAcceptor) -> io::Result<Greeted> {
    // A failure leaves small writes slow; nothing else changes.
    let _ = stream.set_nodelay(true);
    let greeting = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE {
            return Ok(Greeted::Tls(Box::new(tls.accept(stream).await?)));
        }
        Ok(Greeted::Plain(stream))
    };
    let greeted = tokio::time::timeout(TO_GREET, greeting).await;
    greeted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Hands every connection to a task of its own, for ever.
pub(crate) async fn accept<F>(listener: &TcpListener, welcome: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(welcome(stream))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether the client came by TLS.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByTls(pub(crate) bool);

impl Connected<IncomingStream<'_, Greetings>> for ByTls {
    fn connect_info(stream: IncomingStream<'_, Greetings>) -> Self {
        Self(matches!(stream.io(), Greeted::Tls(_)))
    }
}

/// Connections that have greeted. One that takes its time holds up no other.
pub(crate) struct Greetings(mpsc::Receiver<Greeted>);

impl Listener for Greetings {
    type Io = Greeted;
    type Addr = ();

    async fn accept(&mut self) -> (Greeted, ()) {
        match self.0.recv().await {
            Some(greeted) => (greeted, ()),
            // Nobody accepts any more: the server ends.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Platform {
    /// Serves the API, for ever.
    pub fn serve(&self, listener: TcpListener) -> Result<(), rustls::Error> {
        let tls = TlsAcceptor::from(self.tls()?);
        let (send, greeted) = mpsc::channel(GREETED);
        tokio::spawn(async move {
            accept(&listener, |stream| {
                let (tls, send) = (tls.clone(), send.clone());
                async move {
                    match greet(stream, &tls).await {
                        Ok(greeted) => drop(send.send(greeted).await),
                        Err(error) => tracing::debug!(%error, "a client was not understood"),
                    }
                }
            })
            .await;
        });
        let service = self.api().into_make_service_with_connect_info::<ByTls>();
        tokio::spawn(async move { axum::serve(Greetings(greeted), service).await });
        Ok(())
    }
}

impl AsyncRead for Greeted {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
