//! Domains: the host names that an app answers to beside its own.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The domain of a server that nobody else reaches.
pub const LOCAL: &str = "localhost";

/// The host at which a server's API answers, by the domain that its apps' names end with.
pub fn api_host(domain: &str) -> String {
    if domain == LOCAL { domain.to_owned() } else { format!("api.{domain}") }
}

/// The domain that an operator names for a server's apps.
pub fn server_domain(text: &str) -> Result<String, HostNameError> {
    if text == LOCAL {
        return Ok(text.to_owned());
    }
    let name: HostName = text.parse()?;
    if name.is_wildcard() { Err(HostNameError::Shape) } else { Ok(name.into()) }
}

/// The most domains of an app (Heroku's limit).
pub const MOST: usize = 1_000;

/// A host name in lower case, or `*.` and a host name for all names one level below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Why a text is no host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HostNameError {
    /// Too long, empty, or with an empty part.
    #[error("is not a fully qualified domain name")]
    Shape,
    /// Letters that names in the DNS do not have.
    #[error("has other characters than letters, digits, dashes and dots (write it as in `xn--…`)")]
    Letters,
    /// An address.
    #[error("is an address, not a name")]
    Address,
}

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim().trim_end_matches('.').to_ascii_lowercase();
        let name = text.strip_prefix("*.").unwrap_or(&text);
        if text.parse::<std::net::IpAddr>().is_ok() {
            return Err(HostNameError::Address);
        }
        let is_letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
        if !name.bytes().all(is_letter) {
            return Err(HostNameError::Letters);
        }
        let is_part = |part: &str| {
            (1..=63).contains(&part.len()) && !part.starts_with('-') && !part.ends_with('-')
        };
        let named = name.split('.').next_back().is_some_and(|top| !top.bytes().all(is_digit));
        if !name.contains('.') || text.len() > 253 || !name.split('.').all(is_part) || !named {
            return Err(HostNameError::Shape);
        }
        Ok(Self(text))
    }
}

fn is_digit(b: u8) -> bool {
    b.is_ascii_digit()
}

impl HostName {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for all names one level below.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }

    /// Whether it is the platform's own domain, or below it.
    pub fn is_within(&self, domain: &str) -> bool {
        let name = self.0.trim_start_matches("*.");
        name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for HostName {
    type Error = HostNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<HostName> for String {
    fn from(name: HostName) -> Self {
        name.0
    }
}

/// The wildcard that a name falls under: `a.example.com` under `*.example.com`.
pub fn wildcard_of(name: &str) -> Option<String> {
    let (_, parent) = name.split_once('.')?;
    Some(format!("*.{parent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_domain_and_its_api_a_name_below_it() {
        assert_eq!(server_domain("localhost").as_deref(), Ok("localhost"));
        assert_eq!(server_domain("House.Example").as_deref(), Ok("house.example"));
        for other in ["", "house", "*.house.example", "127.0.0.1", "a b.example"] {
            assert!(server_domain(other).is_err(), "{other}");
        }
        assert_eq!(api_host("localhost"), "localhost");
        assert_eq!(api_host("house.example"), "api.house.example");
    }

    #[test]
    fn names_are_checked_and_written_one_way() {
        let parsed = |text: &str| text.parse::<HostName>().map(|name| name.0);
        assert_eq!(parsed(" WWW.Example.com. ").as_deref(), Ok("www.example.com"));
        assert_eq!(parsed("*.example.com").as_deref(), Ok("*.example.com"));
        assert_eq!(parsed("xn--bcher-kva.example").as_deref(), Ok("xn--bcher-kva.example"));
        for (junk, error) in [
            ("", HostNameError::Shape),
            ("localhost", HostNameError::Shape),
            ("a..b", HostNameError::Shape),
            ("-a.b", HostNameError::Shape),
            ("a.123", HostNameError::Shape),
            ("*.com.", HostNameError::Shape),
            ("a.*.com", HostNameError::Letters),
            ("bücher.example", HostNameError::Letters),
            ("a b.com", HostNameError::Letters),
            ("a.com:80", HostNameError::Letters),
            ("https://a.com", HostNameError::Letters),
            ("10.0.0.1", HostNameError::Address),
        ] {
            assert_eq!(parsed(junk), Err(error), "{junk}");
        }
        assert_eq!(parsed(&format!("{}.com", "a".repeat(64))), Err(HostNameError::Shape));
    }

    #[test]
    fn the_platforms_own_names_are_known() {
        let within = |name: &str| name.parse::<HostName>().unwrap().is_within("apps.example.com");
        assert!(within("apps.example.com") && within("owl.apps.example.com"));
        assert!(within("*.apps.example.com"));
        assert!(!within("example.com") && !within("myapps.example.com"));
        assert_eq!(wildcard_of("a.example.com").as_deref(), Some("*.example.com"));
        assert_eq!(wildcard_of("localhost"), None);
    }
}
