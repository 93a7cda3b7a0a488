//! Where a name leads, as far as users may go there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

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
    let may_reach = |address: &SocketAddr| {
        let ip = address.ip();
        outbound.may_reach(ip) && (outbound.allows(ip) || !is_of_this_machine(ip))
    };
    let allowed: Vec<_> = found.into_iter().filter(may_reach).collect();
    if allowed.is_empty() {
        return Err(DrainError::Forbidden { host: host.to_owned() });
    }
    Ok(allowed)
}

/// The host and the port that a URL leads to, and those of its addresses that may be connected to.
///
/// # Errors
///
/// It is no URL with a host, the host has no address, or none that users may reach.
pub async fn reached(
    outbound: &Outbound,
    url: &str,
) -> Result<(String, u16, Vec<SocketAddr>), Box<dyn std::error::Error + Send + Sync>> {
    let (host, port) = place(url)?;
    let addresses = addresses(outbound, &host, port).await?;
    Ok((host, port, addresses))
}

/// Whom requests to a URL go to, as the one reads it who sends them: others may read another host
/// in the same text, and have that checked.
pub(crate) fn place(url: &str) -> Result<(String, u16), DrainError> {
    let forbidden = || DrainError::Forbidden { host: url.chars().take(80).collect() };
    let url = reqwest::Url::parse(url).map_err(|_| forbidden())?;
    let (host, port) = url.host_str().zip(url.port_or_known_default()).ok_or_else(forbidden)?;
    Ok((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port))
}

/// Whether an address is one of this machine's own: what goes there comes from there, too. Nothing is
/// sent to find out.
fn is_of_this_machine(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    // What there is no way to is not reached anyway.
    source.is_ok_and(|source| source.ip() == address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_a_request_says_whom_it_goes_to() {
        for (url, host, port) in [
            ("https://A.example/x", "a.example", 443),
            ("http://[::1]:5055/", "::1", 5055),
            ("http://0x7f.1/", "127.0.0.1", 80),
            ("http://2130706433/", "127.0.0.1", 80),
            (r"http://localhost:1\@192.0.2.1/", "localhost", 1),
        ] {
            assert_eq!(place(url).unwrap(), (host.to_owned(), port), "{url}");
        }
        assert!(place("no url").is_err());
    }

    #[tokio::test]
    async fn this_machines_addresses_are_not_reached_however_they_are_spelled() {
        let rules = Outbound::default();
        for host in ["localhost", "127.1", "::ffff:127.0.0.1", "0.0.0.0", "2130706433"] {
            let found = addresses(&rules, host, 80).await;
            assert!(matches!(found, Err(DrainError::Forbidden { .. })), "{host}: {found:?}");
        }
        // The machine's address on its network, where it has one.
        let to = (Ipv4Addr::new(192, 0, 2, 1), 9);
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        if let Ok(own) = socket.connect(to).and_then(|()| socket.local_addr()) {
            let host = own.ip().to_string();
            let found = addresses(&rules, &host, 80).await;
            assert!(matches!(found, Err(DrainError::Forbidden { .. })), "{host}: {found:?}");
            let allow = vec![host.parse().unwrap()];
            assert_eq!(addresses(&Outbound { allow }, &host, 80).await.unwrap().len(), 1);
        }
    }
}
