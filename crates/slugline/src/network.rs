//! What of the server's environment builds need to reach the network, and what the operator decides
//! of dynos' networks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use serde::Deserialize;
use slugline_build::is_network_variable;
use slugline_model::network::{NetworkOptions, Reach, Subnet};
use slugline_model::outbound::Outbound;
use toml::Spanned;

/// Proxies, certificates and package indexes, as the operator set them. Values that are UTF-8
/// only: nothing else could be a URL or be written into a spec.
pub(crate) fn network_env() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_network_variable(name))
        .collect()
}

/// The table `[network]` of the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NetworkTable {
    subnet: Option<Spanned<String>>,
    reach: Vec<Spanned<String>>,
}

/// The table `[outbound]` of the configuration: what is connected to because a user says so.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutboundTable {
    /// Networks that are otherwise the server's own: `["127.0.0.1", "169.254.0.0/16"]`.
    allow: Vec<Spanned<String>>,
}

impl OutboundTable {
    pub(crate) fn outbound(&self) -> Result<Outbound, WrongNetwork> {
        let allow = self.allow.iter().map(|net| parsed(net, str::parse));
        Ok(Outbound { allow: allow.collect::<Result<_, _>>()? })
    }
}

/// A value of the table that cannot be used.
#[derive(Debug)]
pub(crate) struct WrongNetwork {
    pub(crate) place: Range<usize>,
    pub(crate) value: String,
    pub(crate) found: String,
}

impl NetworkTable {
    pub(crate) fn options(&self) -> Result<NetworkOptions, WrongNetwork> {
        let subnet = match &self.subnet {
            Some(subnet) => parsed(subnet, str::parse)?,
            None => Subnet::default(),
        };
        let reach = self.reach.iter().map(|to| parsed(to, reachable));
        let reach: Vec<SocketAddrV4> = reach.collect::<Result<_, _>>()?;
        let reach = BTreeSet::from_iter(reach).into_iter().map(Reach::from).collect();
        Ok(NetworkOptions { subnet, reach })
    }
}

fn parsed<T>(
    value: &Spanned<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, WrongNetwork> {
    parse(value.get_ref()).map_err(|found| WrongNetwork {
        place: value.span(),
        value: value.get_ref().clone(),
        found,
    })
}

/// Both ways in which dynos reach the machine's loopback know one address of it.
fn reachable(text: &str) -> Result<SocketAddrV4, String> {
    let address: SocketAddrV4 =
        text.parse().map_err(|_| "It is no address of IPv4 with a port.".to_owned())?;
    if *address.ip() != Ipv4Addr::LOCALHOST || address.port() == 0 {
        return Err("It is no port of 127.0.0.1.".to_owned());
    }
    Ok(address)
}
