//! A small client of the Platform API, over one connection a request.

use std::path::{Path, PathBuf};

use clap::Args;
use http::{Method, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::errors::CommandError;
use crate::server::data_directory_or_default;

/// What goes to a server, at once or bit by bit.
pub(crate) type Outgoing = BoxBody<Bytes, std::io::Error>;

/// Which server a command asks.
#[derive(Debug, Args)]
pub(crate) struct OfServer {
    /// The server's data directory, where its token lies; else the token is `$HEROKU_API_KEY`
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the server's Platform API listens, on loopback
    #[arg(long, env = "SLUGLINE_API_PORT", default_value_t = 5055)]
    api_port: u16,
}

impl OfServer {
    pub(crate) fn client(&self) -> Result<Client, CommandError> {
        Client::of_server(&self.data_dir()?, self.api_port)
    }

    /// Where its data is if it runs on this machine.
    pub(crate) fn data_dir(&self) -> Result<PathBuf, CommandError> {
        data_directory_or_default(self.data_dir.as_deref())
    }
}

/// A client of one server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    port: u16,
    token: String,
    /// What it presents.
    authorization: String,
}

impl Client {
    pub(crate) fn new(port: u16, token: String) -> Self {
        let authorization = format!("Bearer {token}");
        Self { port, token, authorization }
    }

    /// A client of somebody who has no token yet.
    pub(crate) fn by_password(port: u16, email: &str, password: &str) -> Self {
        use base64::Engine as _;
        let pair = format!("{email}:{password}");
        let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
        Self { port, token: String::new(), authorization: format!("Basic {encoded}") }
    }

    /// The token that it presents.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// A client of the server whose token lies in a data directory, in the environment, or where
    /// `slugline login` or Heroku's command line wrote it.
    pub(crate) fn of_server(data_dir: &Path, port: u16) -> Result<Self, CommandError> {
        let path = data_dir.join("token");
        let token = std::fs::read_to_string(&path).map(|token| token.trim().to_owned()).or_else(
            |source| match std::env::var("HEROKU_API_KEY") {
                Ok(token) if !token.is_empty() => Ok(token),
                _ => {
                    crate::access::written_token(port).ok_or(CommandError::NoToken { path, source })
                }
            },
        )?;
        Ok(Self::new(port, token))
    }

    /// Asks for a resource; for a list, to its end.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CommandError> {
        let what = format!("GET {path}");
        let (mut part, mut list) = (None, Vec::new());
        loop {
            let response = self.request_part(Method::GET, path, Bytes::new(), part).await?;
            part = next_range(&response);
            match (self.whole(&what, response).await?, &part) {
                (Value::Array(items), Some(_)) => list.extend(items),
                (Value::Array(items), None) => {
                    list.extend(items);
                    return Ok(Value::Array(list));
                }
                (other, _) => return Ok(other),
            }
        }
    }

    /// Asks for a resource of this kind that may not be there. What it belongs to must be.
    pub(crate) async fn find(&self, path: &str, kind: &str) -> Result<Option<Value>, CommandError> {
        let what = format!("GET {path}");
        let response = self.request(Method::GET, path, Bytes::new()).await?;
        let (status, value) = self.told(&what, response).await?;
        if status == StatusCode::NOT_FOUND && value["resource"] == kind {
            return Ok(None);
        }
        successful(&what, status, value).map(Some)
    }

    /// Changes something.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, CommandError> {
        self.call(method, path, Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, CommandError> {
        let what = format!("{method} {path}");
        let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let response = self.request(method, path, bytes).await?;
        self.whole(&what, response).await
    }

    /// An answer's JSON, or why there is none.
    async fn whole(
        &self,
        what: &str,
        response: http::Response<Incoming>,
    ) -> Result<Value, CommandError> {
        let (status, value) = self.told(what, response).await?;
        successful(what, status, value)
    }

    /// An answer's status and its JSON.
    async fn told(
        &self,
        what: &str,
        response: http::Response<Incoming>,
    ) -> Result<(StatusCode, Value), CommandError> {
        let status = response.status();
        let body =
            response.into_body().collect().await.map_err(broken(what, self.port))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Puts bytes to a URL of the server's.
    pub(crate) async fn put(&self, url: &str, bytes: Vec<u8>) -> Result<(), CommandError> {
        let path = path_of(url);
        let response = self.request(Method::PUT, path, bytes.into()).await?;
        if response.status() == StatusCode::OK {
            return Ok(());
        }
        let body =
            response.into_body().collect().await.map_err(broken(path, self.port))?.to_bytes();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let found = value["message"].as_str().unwrap_or("it was not taken").to_owned();
        Err(CommandError::Api { what: "upload the source".to_owned(), found })
    }

    /// Puts a body to a URL of the server's as it comes.
    pub(crate) async fn put_stream(&self, url: &str, body: Outgoing) -> Result<(), CommandError> {
        let path = path_of(url);
        let response = self.request_body(Method::PUT, path, body, None).await?;
        self.whole(&format!("PUT {path}"), response).await.map(drop)
    }

    /// The same, for an answer.
    pub(crate) async fn put_body(&self, path: &str, body: Outgoing) -> Result<Value, CommandError> {
        let response = self.request_body(Method::PUT, path, body, None).await?;
        self.whole(&format!("PUT {path}"), response).await
    }

    /// Opens an answer that may be long; one that refuses is an error.
    pub(crate) async fn open(
        &self,
        method: Method,
        url: &str,
        body: &Value,
    ) -> Result<http::Response<Incoming>, CommandError> {
        let what = format!("{method} {}", path_of(url));
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let response = self.request(method, path_of(url), body).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let refusal = self.whole(&what, response).await;
        let found = "it gave no reason".to_owned();
        Err(refusal.err().unwrap_or(CommandError::Api { what, found }))
    }

    /// Opens a stream of lines; none if it has not begun.
    pub(crate) async fn lines(&self, url: &str) -> Result<Option<Lines>, CommandError> {
        let response = self.request(Method::GET, path_of(url), Bytes::new()).await?;
        let there = response.status().is_success();
        Ok(there.then(|| Lines::of(response)))
    }

    /// Opens an output from a byte on, whatever its status.
    pub(crate) async fn output(
        &self,
        url: &str,
        from: u64,
    ) -> Result<http::Response<Incoming>, CommandError> {
        let range = (from > 0).then(|| format!("bytes={from}-"));
        self.request_part(Method::GET, path_of(url), Bytes::new(), range).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, CommandError> {
        self.request_part(method, path, body, None).await
    }

    async fn request_part(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        range: Option<String>,
    ) -> Result<http::Response<Incoming>, CommandError> {
        let body = Full::new(body).map_err(|never| match never {}).boxed();
        self.request_body(method, path, body, range).await
    }

    async fn request_body(
        &self,
        method: Method,
        path: &str,
        body: Outgoing,
        range: Option<String>,
    ) -> Result<http::Response<Incoming>, CommandError> {
        let what = format!("{method} {path}");
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await;
        let stream = TokioIo::new(stream.map_err(broken(&what, self.port))?);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
            .await
            .map_err(broken(&what, self.port))?;
        tokio::spawn(connection);
        let request = range
            .into_iter()
            .fold(Request::builder(), |request, range| request.header("Range", range))
            .method(method)
            .uri(path)
            .header("Host", format!("localhost:{}", self.port))
            .header("Accept", "application/vnd.heroku+json; version=3")
            .header("Authorization", &self.authorization)
            .body(body)
            .map_err(broken(&what, self.port))?;
        sender.send_request(request).await.map_err(broken(&what, self.port))
    }
}

/// A stream's lines, as they come.
pub(crate) struct Lines {
    body: Incoming,
    pending: Vec<u8>,
}

impl Lines {
    /// Of an answer, as they come.
    pub(crate) fn of(response: http::Response<Incoming>) -> Self {
        Self { body: response.into_body(), pending: Vec::new() }
    }

    /// The next line; none at the end.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.pending.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.pending.extend_from_slice(data);
                    }
                }
                Some(Err(_)) | None if self.pending.is_empty() => return None,
                Some(Err(_)) | None => self.pending.push(b'\n'),
            }
        }
    }
}

/// What a status and a JSON come to.
fn successful(what: &str, status: StatusCode, value: Value) -> Result<Value, CommandError> {
    if status.is_success() {
        return Ok(value);
    }
    let found = value["message"].as_str().unwrap_or(status.as_str()).to_owned();
    Err(CommandError::Api { what: what.to_owned(), found })
}

/// How a list goes on that was cut.
fn next_range(response: &http::Response<Incoming>) -> Option<String> {
    Some(response.headers().get("next-range")?.to_str().ok()?.to_owned())
}

/// The path of a URL of the server's, or of one that is a path already.
fn path_of(url: &str) -> &str {
    if url.starts_with('/') {
        return url;
    }
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    after_scheme.find('/').map_or("/", |slash| &after_scheme[slash..])
}

/// A connection that could not be made, or that broke.
fn broken<E: std::fmt::Display>(what: &str, port: u16) -> impl FnOnce(E) -> CommandError {
    let what = what.to_owned();
    move |error| CommandError::Connection { what, port, found: error.to_string() }
}
