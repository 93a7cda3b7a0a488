//! Webhooks: what of an app is told to whom, and when it is tried again.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The most webhooks of one app. Heroku: 10.
pub const MOST: usize = 10;

/// How long events are kept.
pub const KEPT: Duration = Duration::from_hours(7 * 24);

/// What can be heard of.
pub const INCLUDES: [&str; 10] = [
    "api:addon",
    "api:addon-attachment",
    "api:app",
    "api:build",
    "api:collaborator",
    "api:domain",
    "api:dyno",
    "api:formation",
    "api:release",
    "api:sni-endpoint",
];

/// How much is done that an event arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// It is sent once.
    Notify,
    /// It is sent until it is taken, for some days.
    Sync,
}

/// Why a webhook cannot be as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// Not a level.
    #[error("`{0}` is not a level: it must be notify or sync")]
    Level(String),
    /// Nothing that can be heard of.
    #[error("`{0}` cannot be heard of: it must be one of {names}", names = INCLUDES.join(", "))]
    Include(String),
    /// Nothing at all.
    #[error("`include` names nothing: it must be at least one of {names}", names = INCLUDES.join(", "))]
    Nothing,
    /// No address.
    #[error("`{0}` is not the URL of a webhook: it must start with https:// or http:// and a host")]
    Url(String),
}

impl Level {
    /// As clients write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Notify => "notify",
            Level::Sync => "sync",
        }
    }

    /// When a delivery is tried again after so many attempts that failed; none for never.
    pub fn again_after(self, attempts: u32) -> Option<Duration> {
        const WAITS: [u64; 9] = [10, 60, 300, 900, 3_600, 10_800, 21_600, 43_200, 86_400];
        let index = usize::try_from(attempts.checked_sub(1)?).ok()?;
        match self {
            Level::Notify => None,
            Level::Sync => WAITS.get(index).map(|seconds| Duration::from_secs(*seconds)),
        }
    }
}

impl FromStr for Level {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        match text {
            "notify" => Ok(Level::Notify),
            "sync" => Ok(Level::Sync),
            _ => Err(WebhookError::Level(text.to_owned())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What somebody wants to hear of, each once.
pub fn includes(asked: &[String]) -> Result<Vec<String>, WebhookError> {
    if asked.is_empty() {
        return Err(WebhookError::Nothing);
    }
    if let Some(unknown) = asked.iter().find(|name| !INCLUDES.contains(&name.as_str())) {
        return Err(WebhookError::Include(unknown.clone()));
    }
    let mut all = asked.to_vec();
    all.sort();
    all.dedup();
    Ok(all)
}

/// Where a webhook's requests go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookUrl {
    text: String,
    host: String,
    port: u16,
}

impl WebhookUrl {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whose address is looked up.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Which port of it.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for WebhookUrl {
    type Err = WebhookError;

    fn from_str(text: &str) -> Result<Self, WebhookError> {
        let wrong =
            || WebhookError::Url(text.chars().filter(|c| !c.is_control()).take(80).collect());
        let (rest, usual) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (rest, 443),
            (None, Some(rest)) => (rest, 80),
            (None, None) => return Err(wrong()),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let at = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match at.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':')),
            None => at.split_once(':').map_or((at, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map_or(Ok(usual), str::parse).map_err(|_| wrong())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:".contains(c);
        let odd = |c: char| c.is_control() || c == ' ' || !c.is_ascii();
        // `0x7f.1` is an address to some, and a name to others.
        let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        let numeric = last.starts_with(|c: char| c.is_ascii_digit()) && !host.contains(':');
        if numeric && host.parse::<std::net::Ipv4Addr>().is_err() {
            return Err(wrong());
        }
        let sound = !host.is_empty() && host.chars().all(plain) && port != 0;
        // Some read a slash, and so another host, where there is a backslash.
        if !sound || text.contains('\\') || text.contains(odd) || text.len() > 2_000 {
            return Err(wrong());
        }
        Ok(Self { text: text.to_owned(), host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_synced_is_tried_ever_more_seldom_and_then_given_up() {
        let waits: Vec<u64> =
            (1..12).map_while(|n| Level::Sync.again_after(n)).map(|wait| wait.as_secs()).collect();
        assert_eq!(waits.len(), 9);
        assert!(waits.is_sorted());
        assert!(waits.iter().sum::<u64>() < KEPT.as_secs(), "events are kept for as long");
        assert_eq!(Level::Notify.again_after(1), None);
        assert_eq!("sync".parse(), Ok(Level::Sync));
        assert!("often".parse::<Level>().is_err());
    }

    #[test]
    fn only_what_there_is_is_included() {
        let asked = |names: &[&str]| {
            includes(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(asked(&["api:release", "api:build", "api:release"]).unwrap().len(), 2);
        assert_eq!(asked(&["api:moon"]), Err(WebhookError::Include("api:moon".into())));
        assert_eq!(asked(&[]), Err(WebhookError::Nothing));
        assert!(INCLUDES.is_sorted());
    }

    #[test]
    fn a_url_says_where_to_connect_to() {
        let read = |text: &str| {
            let url: WebhookUrl = text.parse().unwrap();
            (url.host().to_owned(), url.port())
        };
        assert_eq!(read("https://hooks.example/in?x=1"), ("hooks.example".into(), 443));
        assert_eq!(read("http://u:p@10.0.0.1:8080"), ("10.0.0.1".into(), 8080));
        assert_eq!(read("http://[::1]:80/x"), ("::1".into(), 80));
        for bad in [
            "",
            "ftp://x",
            "https://",
            "https:///x",
            "http://a b/",
            "http://a:b/",
            "http://a:0",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.0.0.1./",
            "http://%31/",
        ] {
            assert!(bad.parse::<WebhookUrl>().is_err(), "{bad}");
        }
    }
}
