//! Where the server listens: on sockets that it makes, or that it is given, by systemd or by the
//! server whose place it takes. Clients that connect meanwhile wait in them.

use std::net::{IpAddr, Ipv4Addr, TcpListener as Socket};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use slugline_model::domain::LOCAL;
use tokio::net::TcpListener;

use crate::ServerArgs;
use crate::errors::CommandError;
use crate::objects;

/// What the sockets are called, in `LISTEN_FDNAMES` and in systemd's `FileDescriptorName=`.
const ROUTER: &str = "router";
const ROUTER_TLS: &str = "router-tls";
const API: &str = "api";
/// The same on loopback, where the others are elsewhere.
const ROUTER_HERE: &str = "router-here";
const ROUTER_TLS_HERE: &str = "router-tls-here";
const API_HERE: &str = "api-here";
const S3: &str = "s3";

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The port of the embedded S3 server where it is free.
const S3_PORT: u16 = 5057;

/// Everything that is listened on.
pub(crate) struct Sockets {
    pub(crate) router: Vec<TcpListener>,
    pub(crate) api: Vec<TcpListener>,
    pub(crate) s3: TcpListener,
}

/// The same sockets by name, for the server that takes this one's place. As long as they are there,
/// clients may come.
pub(crate) struct Listeners(pub(crate) Vec<(&'static str, OwnedFd)>);

/// Sockets on their way to be listened on.
struct Opening {
    given: Given,
    kept: Vec<(&'static str, OwnedFd)>,
}

impl Listeners {
    /// Those that were given, and the others as the command line asks.
    pub(crate) fn open(args: &ServerArgs) -> Result<(Self, Sockets), CommandError> {
        refuse_unreachable(args)?;
        let mut opening = Opening { given: Given::from_env(), kept: Vec::new() };
        let mut router = opening.everywhere((ROUTER, ROUTER_HERE), "--port", args.port, args)?;
        if let Some(port) = args.tls_port {
            let names = (ROUTER_TLS, ROUTER_TLS_HERE);
            router.extend(opening.everywhere(names, "--tls-port", port, args)?);
        }
        let api = opening.everywhere((API, API_HERE), "--api-port", args.api_port, args)?;
        // Browsers come through the router; running dynos know the last server's port.
        let asked = args.s3_port.map_or_else(|| objects::ports(args, S3_PORT), |port| vec![port]);
        let s3 = opening.listen(S3, "--s3-port", LOOPBACK, &asked)?;
        Ok((Self(opening.kept), Sockets { router, api, s3 }))
    }
}

impl Opening {
    /// Listens where clients come, and on loopback, if that is not the same: git's hooks, commands and
    /// builds of this machine come there.
    fn everywhere(
        &mut self,
        (name, name_here): (&'static str, &'static str),
        flag: &'static str,
        asked: u16,
        args: &ServerArgs,
    ) -> Result<Vec<TcpListener>, CommandError> {
        let first = self.listen(name, flag, args.bind, &[asked])?;
        let address = first.local_addr().map_or(LOOPBACK, |address| address.ip());
        if address.is_unspecified() || address == LOOPBACK {
            return Ok(vec![first]);
        }
        let here = self.listen(name_here, flag, LOOPBACK, &[port(&first)])?;
        Ok(vec![first, here])
    }

    fn listen(
        &mut self,
        name: &'static str,
        flag: &'static str,
        address: IpAddr,
        ports: &[u16],
    ) -> Result<TcpListener, CommandError> {
        let socket = match self.given.take(name) {
            Some(socket) => socket,
            None => bind(address, ports, flag)?,
        };
        let port = socket.local_addr().map_or(0, |address| address.port());
        let error = |source| CommandError::Listen { address, port, flag, source };
        self.kept.push((name, socket.try_clone().map_err(error)?.into()));
        socket.set_nonblocking(true).map_err(error)?;
        TcpListener::from_std(socket).map_err(error)
    }
}

/// A server that others are to reach has names that lead others to it.
fn refuse_unreachable(args: &ServerArgs) -> Result<(), CommandError> {
    let is_local = args.bind.to_canonical().is_loopback();
    if args.domain == LOCAL && !is_local {
        return Err(CommandError::Domain { bind: args.bind });
    }
    Ok(())
}

/// The port of a socket.
pub(crate) fn port(listener: &TcpListener) -> u16 {
    listener.local_addr().map_or(0, |address| address.port())
}

/// The first of the ports that can be listened on.
fn bind(address: IpAddr, ports: &[u16], flag: &'static str) -> Result<Socket, CommandError> {
    let mut last = None;
    for &port in ports {
        match Socket::bind((address, port)) {
            Ok(socket) => return Ok(socket),
            Err(source) => last = Some(CommandError::Listen { address, port, flag, source }),
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
