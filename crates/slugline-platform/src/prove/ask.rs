//! Asking one dyno, by HTTP/1.1 in its own network: the router knows nothing of it.

use std::net::Ipv4Addr;
use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use slugline_model::dyno::DynoId;
use slugline_model::name::AppName;
use slugline_model::prove::{Answer, Base, Kind, resolve};
use tokio::net::{TcpSocket, TcpStream};

use crate::platform::Platform;

/// How long an answer may take, as long as the router waits for one.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a body is read (bytes); what follows is not compared.
const READ: usize = 64 << 20;

/// How much of a text is looked through for references (bytes).
const TEXT: usize = 8 << 20;

/// Redirects that are followed in a row.
const REDIRECTS: usize = 5;

/// Somebody who asks one dyno.
#[derive(Clone)]
pub(crate) struct Asker {
    platform: Platform,
    id: DynoId,
    port: u16,
    /// The app's host, without a port.
    pub(crate) host: String,
}

/// What was answered.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// Where redirects ended.
    pub(crate) url: String,
    pub(crate) answer: Answer,
    /// Its beginning, where that may refer to others.
    pub(crate) text: String,
}

impl Platform {
    /// Somebody who asks a dyno that listens at this port.
    pub(crate) fn asker(&self, app: &AppName, id: DynoId, port: u16) -> Asker {
        let host = format!("{app}.{}", self.inner.config.domain);
        Asker { platform: self.clone(), id, port, host }
    }
}

impl Asker {
    /// Asks for a path, and follows redirects on the same host.
    pub(crate) async fn get(&self, url: &str, kind: Kind) -> Got {
        let mut url = url.to_owned();
        for _ in 0..REDIRECTS {
            let (got, location) = self.try_get(&url, kind).await;
            let next = location.and_then(|to| resolve(&Base::new(&self.host, &url), &to));
            match next {
                Some(next) if (300..400).contains(&got.answer.status) && next != url => url = next,
                _ => return Got { url, ..got },
            }
        }
        Got { url, answer: Answer { status: 302, ..Answer::default() }, text: String::new() }
    }

    /// Without an answer the status is zero.
    async fn try_get(&self, url: &str, kind: Kind) -> (Got, Option<String>) {
        match tokio::time::timeout(PATIENCE, self.exchange(url, kind)).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(error)) => {
                tracing::debug!(%error, url, "a dyno that is asked gives no answer");
                (Got::default(), None)
            }
            Err(_) => (Got::default(), None),
        }
    }

    async fn exchange(
        &self,
        url: &str,
        kind: Kind,
    ) -> Result<(Got, Option<String>), Box<dyn std::error::Error + Send + Sync>> {
        let stream = TokioIo::new(self.dial().await?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let page = kind == Kind::Page;
        let request = Request::get(url)
            .header("Host", &self.host)
            .header("User-Agent", "Slugline proof")
            .header("Accept", if page { "text/html,*/*;q=0.8" } else { "*/*" })
            // Apps that insist on TLS redirect whoever did not come by it.
            .header("X-Forwarded-Proto", "https")
            .header("X-Forwarded-Port", "443")
            .header("Connection", "close")
            .body(Empty::<Bytes>::new())?;
        let response = sender.send_request(request).await?;
        let (status, media_type) = (response.status().as_u16(), media_type(response.headers()));
        let location = text_of(response.headers(), LOCATION);
        let (hash, bytes, text) = read(response.into_body()).await?;
        connection.abort();
        let answer = Answer { status, media_type, hash, bytes };
        Ok((Got { url: url.to_owned(), answer, text }, location))
    }

    async fn dial(&self) -> std::io::Result<TcpStream> {
        let id = self.id;
        let dialed = self.platform.blocking(move |inner| inner.engine.dial(id)).await;
        let socket = dialed.map_err(std::io::Error::other)?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect((Ipv4Addr::LOCALHOST, self.port).into()).await
    }
}

/// The hash of a body, its length, and the beginning of its text.
async fn read(mut body: Incoming) -> hyper::Result<(String, u64, String)> {
    let (mut hasher, mut length, mut text) = (blake3::Hasher::new(), 0, Vec::new());
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            hasher.update(data);
            length += data.len();
            let room = TEXT.saturating_sub(text.len());
            text.extend_from_slice(&data[..data.len().min(room)]);
        }
        if length > READ {
            break;
        }
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Ok((hasher.finalize().to_hex().to_string(), length as u64, text))
}

fn media_type(headers: &HeaderMap) -> String {
    let header = text_of(headers, CONTENT_TYPE).unwrap_or_default();
    header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn text_of(headers: &HeaderMap, name: http::HeaderName) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
