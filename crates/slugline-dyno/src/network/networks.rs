//! The networks of a server's dynos: ready ones, and the rules that hold for them all.

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slugline_model::dyno::{DynoId, DynoSpec, Network};
use slugline_model::network::{NetworkOptions, Outside, Share, no_rules, rules};

use super::maker::{forwards, switch_forwarding_on};
use super::pool::Pool;
use super::{Order, nft};
use crate::host::is_host_root;
use crate::op_error::OpError;

/// How long rules that were seen are taken to be there.
const TRUST: Duration = Duration::from_secs(5);

/// How dynos' networks reach the outside on this machine, with the program that it takes.
#[derive(Debug, Clone)]
enum Way {
    Veth { nft: PathBuf },
    Pasta { pasta: PathBuf },
    None,
}

impl Way {
    fn found() -> Self {
        let (program, way): (_, fn(PathBuf) -> Way) = if is_host_root() {
            ("nft", |nft| Way::Veth { nft })
        } else {
            ("pasta", |pasta| Way::Pasta { pasta })
        };
        nft::find(program).map_or(Way::None, way)
    }
}

/// What a dyno that is to start is given.
pub(crate) struct Given {
    pub(crate) order: Order,
    /// A ready network, to be its supervisor's stdin.
    pub(crate) namespace: Option<OwnedFd>,
}

/// The networks of the dynos below one directory.
pub(crate) struct Networks {
    options: NetworkOptions,
    way: Way,
    share: Share,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Dynos that are not forgotten, of those that have a network of their own.
    dynos: HashSet<DynoId>,
    pool: Option<Pool>,
    /// When the rules were seen last, once they are set.
    ruled: Option<Instant>,
}

impl Networks {
    pub(crate) fn new(root: &Path, options: NetworkOptions) -> Self {
        let root = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
        Self { options, way: Way::found(), share: Share::of(&root), state: Mutex::default() }
    }

    /// What a dyno is given that is about to start.
    pub(crate) fn give(&self, id: DynoId, network: Network) -> Result<Given, OpError> {
        let options = self.options.clone();
        let order = |outside, pasta| Order { outside, pasta, options };
        if network == Network::Host {
            return Ok(Given { order: order(Outside::None, None), namespace: None });
        }
        match &self.way {
            Way::Veth { nft } => {
                let namespace = Some(self.take(id, nft)?);
                Ok(Given { order: order(Outside::Veth, None), namespace })
            }
            Way::Pasta { pasta } => {
                let order = order(Outside::Pasta, Some(pasta.clone()));
                Ok(Given { order, namespace: None })
            }
            Way::None => Ok(Given { order: order(Outside::None, None), namespace: None }),
        }
    }

    /// What a network that is made now finds around this machine, and keeps: the resolvers, and of
    /// those that pasta joins the machine's addresses. The rules of the others see to those.
    pub(crate) fn surroundings(&self) -> String {
        let resolvers = crate::host::resolv_conf(Network::Own).unwrap_or_default();
        match self.way {
            Way::Pasta { .. } => format!("{resolvers}{:?}", super::own_addresses()),
            Way::Veth { .. } | Way::None => resolvers,
        }
    }

    /// What was given before there was a dyno is a dyno's from now on.
    pub(crate) fn hand_over(&self, from: DynoId, to: DynoId) {
        let mut state = self.lock();
        if state.dynos.remove(&from) {
            state.dynos.insert(to);
        }
    }

    /// The rules are there before the dyno is.
    fn take(&self, id: DynoId, nft: &Path) -> Result<OwnedFd, OpError> {
        let mut state = self.lock();
        state.dynos.insert(id);
        self.rule(&mut state, nft)?;
        let pool = match &state.pool {
            Some(pool) => pool.clone(),
            None => state.pool.insert(Pool::start(nft, &self.share, &self.options)?).clone(),
        };
        drop(state);
        pool.take()
    }

    fn rule(&self, state: &mut State, nft: &Path) -> Result<(), OpError> {
        let is_there = match state.ruled {
            Some(seen) => seen.elapsed() < TRUST || self.has_rules(nft),
            None => false,
        };
        if !is_there {
            if switch_forwarding_on()? {
                tracing::warn!("net.ipv4.ip_forward is switched on, for what dynos send");
            }
            nft::apply(nft, &rules(&self.share, &self.options))?;
        }
        if state.ruled.is_none_or(|seen| seen.elapsed() >= TRUST) {
            state.ruled = Some(Instant::now());
        }
        Ok(())
    }

    /// Whether the rules are still there: whoever starts a firewall anew flushes all that there are.
    fn has_rules(&self, nft: &Path) -> bool {
        !nft::list(nft, &["table", "inet", &self.share.table()]).is_empty()
    }

    /// Dynos that an earlier server started: the rules are set anew, since somebody may have
    /// flushed them, or taken back where nobody needs them any more.
    pub(crate) fn adopt<'a>(
        &self,
        specs: impl Iterator<Item = &'a DynoSpec>,
    ) -> Result<(), OpError> {
        let Way::Veth { nft } = &self.way else { return Ok(()) };
        let mut state = self.lock();
        state.dynos.extend(specs.filter(|spec| spec.network == Network::Own).map(|spec| spec.id));
        if state.dynos.is_empty() {
            return nft::apply(nft, &no_rules(&self.share));
        }
        self.rule(&mut state, nft)
    }

    /// A dyno is gone; with the last one goes what was there for all.
    pub(crate) fn forget(&self, id: DynoId) {
        let Way::Veth { nft } = &self.way else { return };
        let mut state = self.lock();
        if !state.dynos.remove(&id) || !state.dynos.is_empty() {
            return;
        }
        if let Some(pool) = &state.pool {
            pool.empty();
        }
        // Rules that stay are replaced at the next start.
        if nft::apply(nft, &no_rules(&self.share)).is_ok() {
            state.ruled = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What this machine offers for dynos' networks, for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFacts {
    /// How dynos reach the outside.
    pub outside: Outside,
    /// Whether the machine forwards what others send, which root's dynos need.
    pub forwards: bool,
    /// Whether another program's rules drop what the machine would forward.
    pub dropped_by_others: bool,
    /// Whether a server of names is known that dynos can reach.
    pub resolves: bool,
}

/// Looks what this machine offers for dynos' networks.
pub fn network_facts() -> NetworkFacts {
    let way = Way::found();
    let dropped = |nft: &PathBuf| {
        let chain = nft::list(nft, &["chain", "ip", "filter", "FORWARD"]);
        chain.contains("policy drop")
    };
    NetworkFacts {
        outside: match way {
            Way::Veth { .. } => Outside::Veth,
            Way::Pasta { .. } => Outside::Pasta,
            Way::None => Outside::None,
        },
        forwards: forwards(),
        dropped_by_others: matches!(&way, Way::Veth { nft } if dropped(nft)),
        resolves: crate::host::resolv_conf(Network::Own).is_some(),
    }
}
