//! What an image in a registry is called: `host:port/name:tag@digest`.

use std::fmt;
use std::str::FromStr;

use crate::oci::digest::Digest;

/// The longest name of a repository, and the longest tag (bytes), as the specification has it.
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// An image's place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// `registry.example:5000`.
    pub host: String,
    /// `library/app`.
    pub repository: String,
    /// `v42`.
    pub tag: Option<String>,
    /// What it must hash to.
    pub digest: Option<Digest>,
}

/// A text that names no image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no image: {why}")]
pub struct ReferenceError {
    text: String,
    why: &'static str,
}

impl Reference {
    /// Whether the registry is on this machine.
    pub fn is_loopback(&self) -> bool {
        let name = match self.host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &self.host,
        };
        let address = name.trim_start_matches('[').trim_end_matches(']');
        let loopback = |address: std::net::IpAddr| address.is_loopback();
        name == "localhost" || address.parse().is_ok_and(loopback)
    }

    /// Where its API is: Docker's is elsewhere than its name says.
    pub(crate) fn api_host(&self) -> &str {
        if self.host == "docker.io" { "registry-1.docker.io" } else { &self.host }
    }

    /// What is asked for: the digest, else the tag.
    pub(crate) fn wanted(&self) -> String {
        let tag = || self.tag.clone().unwrap_or_else(|| "latest".to_owned());
        self.digest.map_or_else(tag, |digest| digest.to_string())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let error = |why| ReferenceError { text: text.chars().take(300).collect(), why };
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => {
                let digest = digest.parse().map_err(|_| error("its digest is none"))?;
                (rest, Some(digest))
            }
            None => (text, None),
        };
        let (host, rest) = rest.split_once('/').ok_or_else(|| error("it has no host"))?;
        if !is_host(host) {
            return Err(error("it must begin with the registry's host, such as registry.example/"));
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(error("its name must be of lowercase letters, digits, and . _ - between"));
        }
        if tag.as_ref().is_some_and(|tag| !is_tag(tag)) {
            return Err(error("its tag must be of letters, digits, and . _ -, 128 at most"));
        }
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// A host is told from the first part of a name by a dot, a port, or being `localhost`.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let port = if port.is_empty() { None } else { port.strip_prefix(':').or(Some("")) };
            return address.parse::<std::net::Ipv6Addr>().is_ok() && port.is_none_or(is_port);
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let told = name == "localhost" || name.contains('.') || port.is_some();
    told && name.len() <= LONGEST_NAME && name.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `[a-z0-9]+([._-][a-z0-9]+)*` between slashes; two underscores and many dashes are one mark.
fn is_repository(name: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().is_some_and(|b| alphanumeric(*b))
            && bytes.last().is_some_and(|b| alphanumeric(*b));
        let marks = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let mark =
            |mark: &str| matches!(mark, "" | "." | "_" | "__") || mark.bytes().all(|b| b == b'-');
        ends && marks.into_iter().all(mark)
    };
    name.len() <= LONGEST_NAME && name.split('/').all(part)
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= LONGEST_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_parted_and_put_together_again() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for text in [
            "localhost/library",
            "localhost:5000/library:v42",
            "registry.example/team/library_x--y:V1.0-rc_2",
            "127.0.0.1:5000/a",
            "[::1]:5000/a/b",
            "registry:5000/a",
            &format!("registry.example/a:b@{digest}"),
            &format!("registry.example/a@{digest}"),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        let parsed: Reference = "registry.example:5000/a/b:c".parse().unwrap();
        assert_eq!(
            (parsed.host.as_str(), parsed.repository.as_str()),
            ("registry.example:5000", "a/b")
        );
        assert_eq!(parsed.wanted(), "c");
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for text in [
            "",
            "library",
            "library/app",
            "localhost/",
            "localhost/A",
            "localhost/a/../b",
            "localhost/a//b",
            "localhost/a?x",
            "localhost/a:",
            "localhost/a:b:c",
            "localhost/a:-b",
            "localhost:0/a",
            "localhost:99999/a",
            "localhost:5000x/a",
            "user@registry.example/a",
            "registry.example/a@sha256:1",
            "-x.example/a",
            "[::1/a",
            "[::1]5000/a",
            "localhost/a\n",
            &format!("localhost/{}", "a".repeat(256)),
            &format!("localhost/a:{}", "a".repeat(129)),
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let is = |text: &str| text.parse::<Reference>().unwrap().is_loopback();
        assert!(is("localhost/a") && is("localhost:1/a") && is("127.0.0.2:1/a") && is("[::1]/a"));
        assert!(!is("localhost.example/a") && !is("10.0.0.1/a") && !is("127.example/a"));
    }
}
