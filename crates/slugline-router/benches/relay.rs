//! What relaying a request costs, on one core: `cargo bench -p slugline-router`.
//!
//! Clients, router and dyno each have a thread of their own in this process. What counts is the
//! router's processor time per request, beside what carrying the bytes costs at least.

#![expect(clippy::unwrap_used, reason = "a measurement that fails may end as it likes")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use slugline_model::dyno::DynoId;
use slugline_model::limits::Limits;
use slugline_model::logline::{LogLine, LogSink};
use slugline_model::route::{AppRoute, Backend, InFlight, NothingElsewhere, RouteTable, Serving};
use slugline_router::{Entrance, Router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

const CLIENTS: u32 = 64;
const TIME: Duration = Duration::from_secs(3);
const REQUEST: &[u8] = b"GET /some/path HTTP/1.1\r\nHost: owl.localhost\r\nUser-Agent: bench\r\n\
    Accept: */*\r\n\r\n";
const BODY: usize = 1_024;

struct Nowhere;

impl LogSink for Nowhere {
    fn write(&self, _: &str, _: LogLine) {}
}

fn main() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dyno = listener.local_addr().unwrap();
    std::thread::spawn(move || runtime().block_on(answer(listener)));
    for round in 1..=3 {
        let floor = measure(move |listener, stop| carry_all(listener, dyno, stop));
        let router = measure(move |listener, stop| route(listener, dyno, stop));
        report(round, floor, router);
    }
}

/// Processor time a request (µs), and requests a second.
type Cost = (f64, f64);

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn report(round: u32, floor: Cost, router: Cost) {
    println!("round {round}, processor time a request (and requests a second):");
    println!("  bytes carried without a look at them {:>6.1} µs ({:.0}/s)", floor.0, floor.1);
    println!("  router                               {:>6.1} µs ({:.0}/s)", router.0, router.1);
    println!("  ratio                                {:>6.2}", router.0 / floor.0);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Runs a server on a thread of its own, under load.
fn measure<F: Future<Output = ()>>(
    serve: impl FnOnce(TcpListener, oneshot::Receiver<()>) -> F + Send + 'static,
) -> Cost {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let server = std::thread::spawn(move || {
        runtime().block_on(async { serve(listen(listener), stopped).await });
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap().as_secs_f64()
    });
    let (answered, seconds) = runtime().block_on(load(address));
    stop.send(()).unwrap();
    let busy = server.join().unwrap();
    (busy * 1e6 / f64::from(answered), f64::from(answered) / seconds)
}

async fn route(listener: TcpListener, dyno: SocketAddr, stop: oneshot::Receiver<()>) {
    let backend = Backend { dyno: "web.1".parse().unwrap(), id: DynoId::nil(), port: dyno.port() };
    let serving = Serving::Dynos(vec![backend]);
    let route = AppRoute { app: "owl".parse().unwrap(), serving };
    let hosts = [("owl.localhost".to_owned(), route)].into();
    let (_keep, routes) = watch::channel(Arc::new(RouteTable { hosts, ..RouteTable::default() }));
    let stop = async { stop.await.unwrap_or_default() };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let dial = Arc::new(move |_| {
        Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
    });
    Router::serve(
        Entrance::plain(listener),
        routes,
        Arc::new(Nowhere),
        (dial, InFlight::default(), Arc::new(NothingElsewhere)),
        Limits::default(),
        stop,
    )
    .await;
}

/// The floor: what the system calls of any relay cost.
async fn carry_all(listener: TcpListener, dyno: SocketAddr, mut stop: oneshot::Receiver<()>) {
    loop {
        tokio::select! {
            _ = &mut stop => return,
            accepted = listener.accept() => drop(tokio::spawn(async move {
                let mut client = accepted.unwrap().0;
                let mut dyno = TcpStream::connect(dyno).await.unwrap();
                client.set_nodelay(true).unwrap();
                dyno.set_nodelay(true).unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut dyno).await;
            })),
        }
    }
}

fn listen(listener: std::net::TcpListener) -> TcpListener {
    listener.set_nonblocking(true).unwrap();
    TcpListener::from_std(listener).unwrap()
}

/// The dyno: as little work as possible.
async fn answer(listener: std::net::TcpListener) {
    let listener = listen(listener);
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + BODY, b'x');
    let answer: Arc<[u8]> = answer.into();
    while let Ok((mut stream, _)) = listener.accept().await {
        let answer = Arc::clone(&answer);
        tokio::spawn(async move {
            let mut buffer = [0; 4_096];
            while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Requests that were answered, in how many seconds.
async fn load(target: SocketAddr) -> (u32, f64) {
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(target, start + TIME));
    }
    let answered = clients.join_all().await.iter().sum();
    (answered, start.elapsed().as_secs_f64())
}

async fn ask(target: SocketAddr, end: Instant) -> u32 {
    let mut stream = TcpStream::connect(target).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut buffer, mut answered) = (vec![0; 8_192], 0);
    while Instant::now() < end {
        stream.write_all(REQUEST).await.unwrap();
        let mut read = stream.read(&mut buffer).await.unwrap();
        let head = buffer[..read].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let whole = head.expect("the head comes at once") + 4 + BODY;
        while read < whole {
            read += stream.read(&mut buffer[read..]).await.unwrap();
        }
        answered += 1;
    }
    answered
}
