//! What of a dyno must be known before its namespaces are made. The rest is told once they are
//! there, so that a supervisor can have everything ready for a dyno that is yet to be asked for.

use std::path::Path;

use serde::{Deserialize, Serialize};
use slugline_model::dyno::{Bind, DynoId, DynoSpec, Network};
use slugline_model::resources::Priority;

use crate::host;
use crate::op_error::{OpError, Operation};

/// The name of the file that holds it, in a dyno's directory.
const NAME: &str = "shape.json";

/// Uids of dynos on a host where the server is root lie above this, clear of the ranges that
/// distributions, systemd and other engines hand out.
const FIRST_UID: u32 = 0x7000_0000;

/// How many such uids there are.
const UIDS: u32 = 0x0800_0000;

/// What the namespaces of a dyno depend on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shape {
    /// What the control groups are named by: the dyno, or the supervisor that is there before it.
    pub(crate) id: DynoId,
    /// As root on the host: the uid that the dyno runs under there.
    pub(crate) host_uid: Option<u32>,
    pub(crate) network: Network,
    pub(crate) priority: Priority,
    pub(crate) binds: Vec<Bind>,
    /// Whether it is ended when it goes beyond a limit, so that room is kept to tell of it.
    pub(crate) strict: bool,
}

impl Shape {
    /// Of a dyno.
    pub(crate) fn of(spec: &DynoSpec) -> Self {
        let binds = spec.binds.iter().filter(|bind| bind.from.exists()).cloned().collect();
        Self {
            id: spec.id,
            host_uid: host::is_host_root().then(|| host_uid(spec.id)),
            network: spec.network,
            priority: spec.resources.priority,
            binds,
            strict: spec.resources.strict,
        }
    }

    /// Of a dyno of the formation, whichever will be asked for.
    pub(crate) fn spare() -> Self {
        let id = DynoId::new_v4();
        Self {
            id,
            host_uid: host::is_host_root().then(|| host_uid(id)),
            network: Network::Own,
            priority: Priority::Dyno,
            binds: Vec::new(),
            strict: false,
        }
    }

    /// Whether a dyno can be run by whoever made a spare one ready.
    pub(crate) fn suits_spare(spec: &DynoSpec) -> bool {
        let own = Self::of(spec);
        own == Self { id: own.id, host_uid: own.host_uid, ..Self::spare() }
    }

    pub(crate) fn write(&self, dyno_directory: &Path) -> Result<(), OpError> {
        let path = dyno_directory.join(NAME);
        let json = serde_json::to_vec(self).map_err(std::io::Error::from);
        json.and_then(|json| fs_err::write(&path, json)).op(|| format!("write {}", path.display()))
    }

    pub(crate) fn read(dyno_directory: &Path) -> Result<Self, OpError> {
        let path = dyno_directory.join(NAME);
        let json = fs_err::read(&path);
        let parsed = json.and_then(|json| serde_json::from_slice(&json).map_err(Into::into));
        parsed.op(|| format!("read {}", path.display()))
    }
}

/// A uid of the dyno's own, so that dynos of one host cannot reach each other as their user.
fn host_uid(id: DynoId) -> u32 {
    let low = u32::try_from(id.as_u128() & u128::from(UIDS - 1)).unwrap_or(0);
    FIRST_UID + low
}
