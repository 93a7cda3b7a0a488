//! Reaching into dynos from the server: sockets in their networks, and sessions.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use slugline_model::dyno::DynoId;
use slugline_model::port::Session;

use crate::control::{self, Request};
use crate::op_error::{OpError, Operation};

/// Sockets that are asked for at once.
const BATCH: usize = 8;

/// How long a dyno that was only just started may take to listen.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// Sockets in the networks of dynos, a few of each in stock.
#[derive(Default)]
pub(crate) struct Dials {
    stocks: Mutex<HashMap<DynoId, Arc<Mutex<Stock>>>>,
}

#[derive(Default)]
struct Stock {
    link: Option<OwnedFd>,
    sockets: Vec<OwnedFd>,
}

impl Dials {
    /// A socket of a dyno's network.
    pub(crate) fn socket(&self, id: DynoId, directory: &Path) -> Result<OwnedFd, OpError> {
        let stock = Arc::clone(self.stocks().entry(id).or_default());
        let mut stock = stock.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(socket) = stock.sockets.pop() {
            return Ok(socket);
        }
        // Kept between questions; made anew where the last question failed.
        let link = match stock.link.take() {
            Some(link) => link,
            None => control::reach(directory)?,
        };
        stock.sockets = control::ask(&link, &Request::Sockets(BATCH))?;
        stock.link = Some(link);
        stock.sockets.pop().ok_or(Errno::NODATA).op(|| "get a socket from init".to_owned())
    }

    /// Gives up what is in stock of a dyno.
    pub(crate) fn forget(&self, id: DynoId) {
        self.stocks().remove(&id);
    }

    fn stocks(&self) -> std::sync::MutexGuard<'_, HashMap<DynoId, Arc<Mutex<Stock>>>> {
        self.stocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins a session, with a dyno that may have been started this very moment.
pub(crate) fn begin(
    directory: &Path,
    request: &Request,
    mut may_come: impl FnMut() -> bool,
) -> Result<Session, OpError> {
    let mut tries = 0;
    let end = loop {
        match control::reach(directory) {
            Ok(link) => break link,
            Err(_) if tries < TRIES && may_come() => {
                tries += 1;
                std::thread::sleep(PAUSE);
            }
            Err(error) => return Err(error),
        }
    };
    let stream = control::ask(&end, request)?.pop();
    let stream =
        stream.ok_or(Errno::NODATA).op(|| "get the command's side from init".to_owned())?;
    Ok(Session { stream, end })
}
