//! A router on a port of its own, dynos that are plain sockets, and the lines that are logged.

use std::sync::Arc;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCertUsingSni;
use slugline_model::code::Code;
use slugline_model::limits::Limits;
use slugline_model::logline::{LogLine, LogSink};
use slugline_model::media::MediaRule;
use slugline_model::route::{
    AppRoute, Backend, Dial, Elsewhere, InFlight, NothingElsewhere, RouteTable, Serving,
};
use slugline_router::{Entrance, MediaSource, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// How long anything that should happen may take.
const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Scene {
    pub(crate) address: std::net::SocketAddr,
    /// Another port of the same router.
    pub(crate) tls_address: std::net::SocketAddr,
    /// Who has signed its certificate.
    authority: CertificateDer<'static>,
    routes: watch::Sender<Arc<RouteTable>>,
    lines: mpsc::UnboundedReceiver<LogLine>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

/// A certificate for the app and for another host.
fn tls() -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let hosts = ["owl.localhost", "fox.localhost"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(hosts.clone()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let key = rustls::crypto::ring::sign::any_supported_type(&key).unwrap();
    let chain = vec![made.cert.der().clone()];
    let mut by_host = ResolvesServerCertUsingSni::new();
    for host in hosts {
        let key = rustls::sign::CertifiedKey::new(chain.clone(), Arc::clone(&key));
        by_host.add(&host, key).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(by_host));
    (Arc::new(config), chain[0].clone())
}

struct Lines(mpsc::UnboundedSender<LogLine>);

impl LogSink for Lines {
    fn write(&self, app: &str, line: LogLine) {
        assert_eq!(app, "owl");
        let _ = self.0.send(line);
    }
}

impl Scene {
    pub(crate) async fn new(serving: Serving) -> Self {
        Self::with(serving, Limits::default()).await
    }

    pub(crate) async fn with(serving: Serving, limits: Limits) -> Self {
        Self::all(table(serving), limits, Arc::new(NothingElsewhere), None).await
    }

    /// With uploads of the app in a bucket.
    pub(crate) async fn with_media(serving: Serving, rule: MediaRule, source: MediaSource) -> Self {
        let media = [("owl".parse().unwrap(), rule)].into();
        let table = Arc::new(RouteTable { media, ..(*table(serving)).clone() });
        Self::all(table, Limits::default(), Arc::new(NothingElsewhere), Some(source)).await
    }

    pub(crate) async fn bridged(serving: Serving, elsewhere: Arc<dyn Elsewhere>) -> Self {
        Self::all(table(serving), Limits::default(), elsewhere, None).await
    }

    async fn all(
        table: Arc<RouteTable>,
        limits: Limits,
        elsewhere: Arc<dyn Elsewhere>,
        media: Option<MediaSource>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let further = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tls_address) =
            (listener.local_addr().unwrap(), further.local_addr().unwrap());
        let (tls, authority) = tls();
        let entrance =
            Entrance { listeners: vec![listener, further], tls: Some(tls), aside: None, media };
        let (routes, seen) = watch::channel(table);
        let (lines, written) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { stopped.await.unwrap_or_default() };
        let log = Arc::new(Lines(lines));
        let dial = (dial(), InFlight::default(), elsewhere);
        let served = tokio::spawn(Router::serve(entrance, seen, log, dial, limits, stopped));
        Self { address, tls_address, authority, routes, lines: written, stop: Some(stop), served }
    }

    pub(crate) fn route(&self, serving: Serving) {
        self.routes.send_replace(table(serving));
    }

    /// The next line of the app's log.
    pub(crate) async fn line(&mut self) -> String {
        let line = soon(self.lines.recv()).await.unwrap();
        assert_eq!((line.source.as_str(), line.process.as_str()), ("heroku", "router"));
        line.text
    }

    /// The lines that nobody asked for yet.
    pub(crate) fn more_lines(&mut self) -> bool {
        self.lines.try_recv().is_ok()
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// The same over TLS, greeting a host, at one of the ports.
    pub(crate) async fn ask_tls(
        &self,
        at: std::net::SocketAddr,
        greet: &str,
        request: &str,
    ) -> std::io::Result<String> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = greet.to_owned().try_into().unwrap();
        let stream = TcpStream::connect(at).await.unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        let mut stream = soon(connector.connect(name, stream)).await?;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        Ok(String::from_utf8(answer).unwrap())
    }

    /// Sends a request for the app and reads the answer until the router closes.
    pub(crate) async fn ask(&self, line: &str, headers: &str) -> String {
        let head = format!("{line}\r\nHost: owl.localhost\r\nConnection: close\r\n{headers}\r\n");
        self.ask_raw(&head).await
    }

    pub(crate) async fn ask_raw(&self, request: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        soon(stream.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8(answer).unwrap()
    }
}

fn table(serving: Serving) -> Arc<RouteTable> {
    let route = AppRoute { app: "owl".parse().unwrap(), serving };
    let fox = AppRoute { app: "fox".parse().unwrap(), serving: Serving::Nobody(Code::H14) };
    let hosts = [("owl.localhost".to_owned(), route), ("fox.localhost".to_owned(), fox)];
    Arc::new(RouteTable { hosts: hosts.into(), ..RouteTable::default() })
}

/// Dynos of these tests are in the network of the tests.
fn dial() -> Dial {
    Arc::new(|_| {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
    })
}

fn backend(name: &str, address: std::net::SocketAddr) -> Backend {
    Backend { dyno: name.parse().unwrap(), id: uuid::Uuid::new_v4(), port: address.port() }
}

/// A dyno that does `answer` with each connection.
pub(crate) async fn dyno<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Backend
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    backend("web.1", address)
}

/// A dyno that answers each request of each connection with these bytes.
pub(crate) async fn saying(answer: &'static str) -> Serving {
    let backend = dyno(move |mut stream| async move {
        while !head(&mut stream).await.is_empty() {
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    });
    Serving::Dynos(vec![backend.await])
}

/// A dyno whose port nobody listens on.
pub(crate) async fn dead() -> Backend {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    backend("web.2", listener.local_addr().unwrap())
}

/// Reads up to and with a blank line; empty when the other side has closed.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match soon(stream.read_u8()).await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

/// Reads exactly as much as `expected` and compares.
pub(crate) async fn expect(stream: &mut TcpStream, expected: &str) {
    let mut got = vec![0; expected.len()];
    soon(stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(String::from_utf8(got).unwrap(), expected);
}

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("this takes too long")
}
