//! Objects of apps: the embedded S3 server, and the add-on by which apps get buckets in it.

mod external;
pub(crate) mod media;
mod provider;
mod radosgw;
mod settings;
pub(crate) mod spelling;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use slugline_model::network::{OBJECT_HOST, Reach};
use slugline_router::Aside;
use slugline_s3::{Server, Storage, StorageError};
use tokio::net::TcpListener;

pub(crate) use provider::Buckets;
pub(crate) use settings::{ALLOWED, ObjectsTable, Outside};

use crate::ServerArgs;
use crate::server::data_directory;

/// Where the embedded server says that it is. Clients sign for it; any would do.
pub(crate) const REGION: &str = "us-east-1";

/// Where the port is kept that dynos of the last server know.
const PORT: &str = "s3/port";

/// Ports to listen on, the best first: the last server's, the usual one, any.
pub(crate) fn ports(args: &ServerArgs, usual: u16) -> Vec<u16> {
    let last = data_directory(args).ok().and_then(|data_dir| {
        std::fs::read_to_string(data_dir.join(PORT)).ok()?.trim().parse().ok()
    });
    last.into_iter().chain([usual, 0]).collect()
}

/// The embedded S3 server.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    pub(crate) storage: Storage,
    server: Server,
    own_port: u16,
    /// Where browsers and dynos find it: the router's port.
    router_port: u16,
}

impl Objects {
    /// Opens what is in the data directory.
    pub(crate) fn open(
        data_dir: &Path,
        (own_port, router_port): (u16, u16),
    ) -> Result<Self, StorageError> {
        let storage = Storage::open(&data_dir.join("s3"))?;
        if let Err(error) = std::fs::write(data_dir.join(PORT), format!("{own_port}\n")) {
            tracing::warn!(%error, "the port of the object server could not be noted");
        }
        let server = Server::new(storage.clone(), vec![OBJECT_HOST.to_owned()], REGION);
        Ok(Self { storage, server, own_port, router_port })
    }

    /// The address that apps are told. It is the same for browsers, who get there through the
    /// router, and for dynos, whose networks lead that port to the server itself.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{OBJECT_HOST}:{}", self.router_port)
    }

    /// What dynos' networks are told.
    pub(crate) fn reach(&self) -> Reach {
        let to = SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.own_port);
        Reach { port: self.router_port, to }
    }

    /// What the router is told.
    pub(crate) fn aside(&self) -> Aside {
        let server = self.server.clone();
        let answer = Arc::new(move |request| {
            let server = server.clone();
            async move { server.answer(request).await }.boxed()
        });
        Aside { host: OBJECT_HOST.to_owned(), answer }
    }

    /// Serves its own port until the server ends.
    pub(crate) fn serve(&self, listener: TcpListener) {
        let serving = self.server.clone().serve(vec![listener], std::future::pending());
        tokio::spawn(serving);
    }
}
