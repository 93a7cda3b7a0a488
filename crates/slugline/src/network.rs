//! What of the server's environment builds need to reach the network.

use std::collections::BTreeMap;

use slugline_build::is_network_variable;

/// Proxies, certificates and package indexes, as the operator set them. Values that are UTF-8
/// only: nothing else could be a URL or be written into a spec.
pub(crate) fn network_env() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_network_variable(name))
        .collect()
}
