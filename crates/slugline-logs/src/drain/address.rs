//! Where a name leads, as far as users may go there.

use std::net::{IpAddr, SocketAddr};

use slugline_model::outbound::Outbound;

use super::DrainError;

/// The addresses of a host that may be connected to.
pub(crate) async fn addresses(
    outbound: &Outbound,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, DrainError> {
    let found: Vec<SocketAddr> = if let Ok(address) = host.parse::<IpAddr>() {
        vec![SocketAddr::new(address, port)]
    } else {
        let error = |source| DrainError::Resolve { host: host.to_owned(), source };
        tokio::net::lookup_host((host, port)).await.map_err(error)?.collect()
    };
    let allowed = found.into_iter().filter(|address| outbound.may_reach(address.ip()));
    let allowed: Vec<_> = allowed.collect();
    if allowed.is_empty() {
        return Err(DrainError::Forbidden { host: host.to_owned() });
    }
    Ok(allowed)
}
