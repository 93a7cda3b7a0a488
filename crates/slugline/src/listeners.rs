//! Where the server listens: on sockets that it makes, or that it is given, by systemd or by the
//! server whose place it takes. Clients that connect meanwhile wait in them.

use std::net::{Ipv4Addr, TcpListener as Socket};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::ServerArgs;
use crate::errors::CommandError;
use crate::objects;

/// What the sockets are called, in `LISTEN_FDNAMES` and in systemd's `FileDescriptorName=`.
const ROUTER: &str = "router";
const ROUTER_TLS: &str = "router-tls";
const API: &str = "api";
const S3: &str = "s3";

/// The port of the embedded S3 server where it is free.
const S3_PORT: u16 = 5057;

/// Everything that is listened on.
pub(crate) struct Sockets {
    pub(crate) router: TcpListener,
    pub(crate) router_tls: Option<TcpListener>,
    pub(crate) api: TcpListener,
    pub(crate) s3: TcpListener,
}

/// The same sockets by name, for the server that takes this one's place. As long as they are there,
/// clients may come.
pub(crate) struct Listeners(pub(crate) Vec<(&'static str, OwnedFd)>);

impl Listeners {
    /// Those that were given, and the others as the command line asks.
    pub(crate) fn open(args: &ServerArgs) -> Result<(Self, Sockets), CommandError> {
        let mut given = Given::from_env();
        let mut kept = Vec::new();
        let mut listen = |name, flag, port: &[u16]| {
            let socket = match given.take(name) {
                Some(socket) => socket,
                None => bind(port, flag)?,
            };
            let port = socket.local_addr().map_or(0, |address| address.port());
            let error = |source| CommandError::Listen { port, flag, source };
            kept.push((name, socket.try_clone().map_err(error)?.into()));
            socket.set_nonblocking(true).map_err(error)?;
            TcpListener::from_std(socket).map_err(error)
        };
        let router = listen(ROUTER, "--port", &[args.port])?;
        let tls = args.tls_port.map(|port| listen(ROUTER_TLS, "--tls-port", &[port]));
        let router_tls = tls.transpose()?;
        let api = listen(API, "--api-port", &[args.api_port])?;
        // Browsers come through the router; running dynos know the last server's port.
        let asked = args.s3_port.map_or_else(|| objects::ports(args, S3_PORT), |port| vec![port]);
        let s3 = listen(S3, "--s3-port", &asked)?;
        Ok((Self(kept), Sockets { router, router_tls, api, s3 }))
    }
}

/// The port of a socket.
pub(crate) fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}

/// The first of the ports that can be listened on.
fn bind(ports: &[u16], flag: &'static str) -> Result<Socket, CommandError> {
    let mut last = None;
    for &port in ports {
        match Socket::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(socket) => return Ok(socket),
            Err(source) => last = Some(CommandError::Listen { port, flag, source }),
        }
    }
    Err(last.unwrap_or_else(|| unreachable!("somewhere is listened")))
}

/// Sockets that this process was started with.
struct Given {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Given {
    fn from_env() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self { sockets: ListenFd::from_env(), names: names.split(':').map(str::to_owned).collect() }
    }

    /// One that is no listening socket is left alone.
    fn take(&mut self, name: &str) -> Option<Socket> {
        let place = self.names.iter().position(|known| known == name)?;
        self.sockets.take_tcp_listener(place).ok().flatten()
    }
}
