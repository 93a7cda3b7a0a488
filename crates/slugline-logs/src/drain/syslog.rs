//! Drains by syslog: one connection, over which lines go one after the other.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use slugline_model::drain::{DrainKind, syslog};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::addresses;
use super::http::is_certificate;
use super::{Batch, Drain, DrainError, PATIENCE};

/// The connection of a drain, where there is one.
#[derive(Default)]
pub(super) struct Connection(Option<Box<dyn Stream>>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Connection {
    /// Sends a batch. Syslog is not answered: that lines were taken means that the other side's
    /// system has them, or will tell that it has not.
    pub(super) async fn send(&mut self, drain: &Drain, batch: &Batch) -> Result<(), DrainError> {
        let mut stream = match self.0.take() {
            Some(stream) => still_open(stream).await,
            None => None,
        };
        let mut stream = match stream.take() {
            Some(stream) => stream,
            None => patiently(connect(drain)).await?,
        };
        let mut frames = String::new();
        batch.lines.iter().for_each(|(_, line)| frames += &syslog(line, &drain.token));
        let write = async {
            stream.write_all(frames.as_bytes()).await?;
            stream.flush().await
        };
        patiently(async { write.await.map_err(DrainError::Broken) }).await?;
        self.0 = Some(stream);
        Ok(())
    }
}

async fn patiently<T>(work: impl Future<Output = Result<T, DrainError>>) -> Result<T, DrainError> {
    timeout(PATIENCE, work).await.unwrap_or(Err(DrainError::Silent))
}

/// The other side says nothing, ever, but that it has closed.
async fn still_open(mut stream: Box<dyn Stream>) -> Option<Box<dyn Stream>> {
    let mut said = [0; 64];
    loop {
        match timeout(std::time::Duration::ZERO, stream.read(&mut said)).await {
            Err(_) => return Some(stream),
            Ok(Ok(0) | Err(_)) => return None,
            Ok(Ok(_)) => {}
        }
    }
}

async fn connect(drain: &Drain) -> Result<Box<dyn Stream>, DrainError> {
    let allowed = addresses(&drain.outbound, &drain.url.host, drain.url.port).await?;
    let stream = TcpStream::connect(allowed.as_slice()).await.map_err(DrainError::Connect)?;
    if drain.url.kind == DrainKind::Syslog {
        return Ok(Box::new(stream));
    }
    let prepare = |error: rustls::Error| DrainError::Prepare(error.into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(prepare)?
        .with_platform_verifier()
        .map_err(prepare)?
        .with_no_client_auth();
    let name = ServerName::try_from(drain.url.host.clone());
    let name = name.map_err(|error| DrainError::Prepare(error.into()))?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, stream).await;
    Ok(Box::new(stream.map_err(tls_failure)?))
}

fn tls_failure(error: io::Error) -> DrainError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(inner) if is_certificate(inner) => DrainError::Certificate(inner.to_string().into()),
        _ => DrainError::Connect(error),
    }
}
