//! Requests as they come: over a port of its own, or handed over by whoever has read them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::select_all;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::host::S3Host as _;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::cors::{self, Rule};
use crate::form::FileName;
use crate::incoming::Whole;
use crate::service::Service;
use crate::service::access::{Gate, Hosts};
use crate::storage::Storage;

/// What a browser's form may bring: it is held in memory.
const MOST_OF_FORM: u64 = 64 * 1024 * 1024;
/// Forms that are read at once.
const FORMS: usize = 4;
/// How long a client may take for its head.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long accepting rests after it failed, for want of file descriptors mostly.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// An answer under way.
pub type Answer = Response<UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>>;

/// Answers S3's requests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    storage: Storage,
    s3: S3Service,
    hosts: Hosts,
    forms: Arc<Semaphore>,
}

impl Server {
    /// Answers for a storage. Below each of `domains` a bucket is a host of its own; under every
    /// other name, and under these, the bucket is in the path. `region` is what clients sign for.
    pub fn new(storage: Storage, domains: Vec<String>, region: &str) -> Self {
        let service = Service { storage: storage.clone(), region: region.to_owned() };
        let mut builder = S3ServiceBuilder::new(service);
        builder.set_auth(Gate(storage.clone()));
        builder.set_access(Gate(storage.clone()));
        builder.set_host(Hosts(domains.clone()));
        let mut config = S3Config::default();
        config.post_object_max_file_size = MOST_OF_FORM;
        config.xml_max_body_size = 4 * 1024 * 1024;
        builder.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
        let forms = Arc::new(Semaphore::new(FORMS));
        Self { storage, s3: builder.build(), hosts: Hosts(domains), forms }
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request<Incoming>) -> Answer {
        let rules = self.rules(&request);
        let origin = request.headers().get(ORIGIN).and_then(|value| value.to_str().ok());
        let (origin, method) = (origin.map(str::to_owned), request.method().clone());
        if method == Method::OPTIONS {
            return preflight(cors::preflight(&rules, request.headers()));
        }
        if is_signed_in_the_older_way(&request) {
            return older_way();
        }
        let is_form = method == Method::POST && is_form(&request);
        let turn = if is_form { self.forms.acquire().await.ok() } else { None };
        let request = Whole::of(request);
        let request = if is_form { watched(request) } else { request.map(s3s::Body::http_body) };
        let answered = self.s3.call(request).await;
        drop(turn);
        let mut answer = match answered {
            Ok(answer) => answer.map(http_body_util::BodyExt::boxed_unsync),
            Err(_) => plain(StatusCode::INTERNAL_SERVER_ERROR),
        };
        if let Some(origin) = origin {
            answer.headers_mut().extend(cors::answer(&rules, &origin, method.as_str()));
        }
        mark(&mut answer);
        answer
    }

    /// The rules for browsers of the bucket that a request is about.
    fn rules(&self, request: &Request<Incoming>) -> Vec<Rule> {
        let host = request.headers().get(HOST).and_then(|value| value.to_str().ok());
        let named = host.and_then(|host| self.hosts.parse_host_header(host).ok());
        let bucket = named
            .as_ref()
            .and_then(|host| host.bucket())
            .or_else(|| request.uri().path().trim_start_matches('/').split('/').next());
        let settings = bucket.and_then(|bucket| self.storage.settings(bucket).ok());
        let rules = settings.and_then(|bucket| serde_json::from_str(bucket.cors.as_deref()?).ok());
        rules.unwrap_or_default()
    }

    /// Serves until `shutdown` is done, and then ends what is idle.
    pub async fn serve(self, listeners: Vec<TcpListener>, shutdown: impl Future<Output = ()>) {
        let mut shutdown = std::pin::pin!(shutdown);
        let mut clients = JoinSet::new();
        let accepting = listeners.into_iter().map(|listener| {
            Box::pin(futures_util::stream::unfold(listener, |listener| async move {
                Some((listener.accept().await, listener))
            }))
        });
        let mut accepting = select_all(accepting);
        loop {
            let accepted: Option<io::Result<_>> = tokio::select! {
                () = &mut shutdown => return,
                accepted = futures_util::StreamExt::next(&mut accepting) => accepted,
                Some(_) = clients.join_next() => continue,
            };
            match accepted {
                Some(Ok((stream, _))) => {
                    clients.spawn(self.clone().converse(stream));
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
                None => return,
            }
        }
    }

    async fn converse(self, stream: tokio::net::TcpStream) {
        // Small answers are not kept back.
        let _ = stream.set_nodelay(true);
        let answer = service_fn(move |request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let mut connection = hyper::server::conn::http1::Builder::new();
        connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
        let conversation = connection.serve_connection(TokioIo::new(stream), answer).await;
        if let Err(error) = conversation {
            tracing::debug!(%error, "a client of the object server left");
        }
    }
}

/// Headers that are signed in the older way are good for ever, whoever has seen them. Addresses and
/// forms end.
fn is_signed_in_the_older_way(request: &Request<Incoming>) -> bool {
    let signed = request.headers().get(http::header::AUTHORIZATION);
    signed.is_some_and(|value| value.as_bytes().starts_with(b"AWS "))
}

fn older_way() -> Answer {
    error(
        StatusCode::BAD_REQUEST,
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

fn is_form(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data"))
}

/// The name of a form's file goes into a key that asks for it.
fn watched(mut request: Request<Whole>) -> Request<s3s::Body> {
    let name = FileName::default();
    request.extensions_mut().insert(name.clone());
    request.map(|body| {
        let watched = body.map_frame(move |frame| {
            if let Some(bytes) = frame.data_ref() {
                name.look(bytes);
            }
            frame
        });
        s3s::Body::http_body(watched)
    })
}

fn plain(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default().map_err(|none| match none {}).boxed_unsync());
    *answer.status_mut() = status;
    answer
}

fn preflight(allowed: Option<http::HeaderMap>) -> Answer {
    let Some(headers) = allowed else {
        let message = "CORSResponse: This CORS request is not allowed.";
        return error(StatusCode::FORBIDDEN, "AccessForbidden", message);
    };
    let mut answer = plain(StatusCode::OK);
    *answer.headers_mut() = headers;
    mark(&mut answer);
    answer
}

/// S3's way to say what is wrong.
fn error(status: StatusCode, code: &str, message: &str) -> Answer {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
         <Message>{message}</Message></Error>"
    );
    let body = Full::from(text).map_err(|none| match none {}).boxed_unsync();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    mark(&mut answer);
    answer
}

/// What every answer of S3's has.
fn mark(answer: &mut Answer) {
    let id = crate::content::ContentId::draw().map(|id| id.to_string().to_ascii_uppercase());
    let id = id.ok().and_then(|id| HeaderValue::from_str(id.get(..16)?).ok());
    if let Some(id) = id {
        answer.headers_mut().insert(HeaderName::from_static("x-amz-request-id"), id);
    }
    let server = HeaderValue::from_static("Slugline");
    answer.headers_mut().entry(http::header::SERVER).or_insert(server);
}
