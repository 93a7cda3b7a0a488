//! One port for all that clients want: HTTP, that is the API, git and streams, and the meeting of
//! one-off dynos; each of them plain or by TLS. The first byte tells, and within TLS the first one
//! there.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
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

/// A client's connection, and what of it has been read to find out what it wants.
#[derive(Debug)]
pub(crate) struct Greeted {
    way: Way,
    first: Option<u8>,
}

#[derive(Debug)]
enum Way {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Greeted {
    /// Whether it comes for a one-off dyno: tokens begin with a digit or a small letter, methods of
    /// requests with a capital one.
    fn says_a_token(&self) -> bool {
        self.first.is_some_and(|first| matches!(first, b'0'..=b'9' | b'a'..=b'f'))
    }
}

/// What a client from elsewhere is told that does not come by TLS. Its token, if it has sent one, has
/// been on the way in the clear: it is good for nothing here.
const NOT_PLAIN: &str = "{\"id\":\"tls_required\",\"message\":\"This server is reached by TLS alone, \
    but from its own machine: write https:// in the place of http://. `slugline trust` prints what \
    clients need.\"}\n";

/// Whether a client may speak in the clear: nobody listens on the way within a machine.
fn may_be_plain(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

async fn refuse(mut stream: TcpStream) -> io::Result<()> {
    let length = NOT_PLAIN.len();
    let head = format!(
        "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(NOT_PLAIN.as_bytes()).await?;
    stream.shutdown().await?;
    // What it goes on sending is read, since a reset would take the answer away.
    let mut rest = [0; 1024];
    let read_on = async { while !matches!(stream.read(&mut rest).await, Ok(0) | Err(_)) {} };
    let _ = tokio::time::timeout(PAUSE, read_on).await;
    Ok(())
}

/// Finds out how a client speaks.
async fn greet(stream: TcpStream, tls: &TlsAcceptor) -> io::Result<Greeted> {
    // A failure leaves small writes slow; nothing else changes.
    let _ = stream.set_nodelay(true);
    let greeting = async {
        let mut first = [0];
        let is_tls = stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE;
        let way = if is_tls {
            Way::Tls(Box::new(tls.accept(stream).await?))
        } else if may_be_plain(stream.peer_addr()?.ip()) {
            Way::Plain(stream)
        } else {
            refuse(stream).await?;
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let mut greeted = Greeted { way, first: None };
        greeted.first = match greeted.read(&mut first).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Some(first[0]),
        };
        Ok(greeted)
    };
    let greeted = tokio::time::timeout(TO_GREET, greeting).await;
    greeted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Hands every connection to a task of its own, for ever.
async fn accept<F>(listener: &TcpListener, welcome: impl Fn(TcpStream) -> F)
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
        Self(matches!(stream.io().way, Way::Tls(_)))
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
    /// Serves the API, git, and clients of one-off dynos, for ever.
    pub fn serve(&self, listener: TcpListener) -> Result<(), rustls::Error> {
        let tls = TlsAcceptor::from(self.tls()?);
        let (send, greeted) = mpsc::channel(GREETED);
        let platform = self.clone();
        tokio::spawn(async move {
            accept(&listener, |stream| {
                let (tls, send, platform) = (tls.clone(), send.clone(), platform.clone());
                async move {
                    match greet(stream, &tls).await {
                        Ok(greeted) if greeted.says_a_token() => {
                            platform.meet_client(greeted).await;
                        }
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
        let this = self.get_mut();
        if buffer.remaining() > 0
            && let Some(first) = this.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        match &mut this.way {
            Way::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Way::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Greeted {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().way {
            Way::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Way::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Plain(stream) => Pin::new(stream).poll_flush(context),
            Way::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().way {
            Way::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Way::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_from_its_own_machine_a_server_is_spoken_to_in_the_clear() {
        for own in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            assert!(may_be_plain(own.parse().unwrap()), "{own}");
        }
        for other in ["192.0.2.1", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!may_be_plain(other.parse().unwrap()), "{other}");
        }
    }
}
