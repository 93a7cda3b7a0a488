//! Log drains: where an app's log is sent, and in which shape.
//!
//! As Heroku's log router does it: over syslog each line is RFC 5424 with the drain's token as its
//! host, over HTTPS the same without structured data and with `host`; both counted as RFC 6587 says.

use std::fmt;
use std::str::FromStr;

use crate::logline::{LogLine, Source, timestamp};

/// The most drains of an app (Heroku's limit).
pub const MOST: usize = 5;

/// About how much of a log goes in one request (bytes).
pub const FRAME: usize = 100_000;

/// Where a drain leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainUrl {
    /// How lines get there.
    pub kind: DrainKind,
    /// A name or an address; of IPv6 without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    text: String,
}

/// How lines get to where a drain leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainKind {
    /// Syslog over TCP.
    Syslog,
    /// Syslog over TLS.
    SyslogTls,
    /// Requests.
    Http,
    /// Requests over TLS.
    Https,
}

/// Why nothing is drained there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrainUrlError {
    /// Another scheme, or none.
    #[error("A drain is a URL that begins with syslog://, syslog+tls://, https:// or http://.")]
    Scheme,
    /// No host.
    #[error("The URL of a drain names a host.")]
    Host,
    /// A port that is none.
    #[error("The port of a drain is a number up to 65535.")]
    Port,
    /// A path where there are none, or what no URL has.
    #[error("A URL has no white space, and one of syslog neither path nor user.")]
    Text,
}

impl FromStr for DrainUrl {
    type Err = DrainUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(DrainUrlError::Scheme)?;
        let (kind, usual) = match scheme.to_ascii_lowercase().as_str() {
            "syslog" => (DrainKind::Syslog, 514),
            "syslog+tls" => (DrainKind::SyslogTls, 6514),
            "http" => (DrainKind::Http, 80),
            "https" => (DrainKind::Https, 443),
            _ => return Err(DrainUrlError::Scheme),
        };
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(DrainUrlError::Text);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        let is_syslog = matches!(kind, DrainKind::Syslog | DrainKind::SyslogTls);
        if is_syslog && (user.is_some() || !matches!(path, "" | "/")) {
            return Err(DrainUrlError::Text);
        }
        let (host, port) = host_and_port(place)?;
        let port = port.map_or(Ok(usual), str::parse).map_err(|_| DrainUrlError::Port)?;
        if host.is_empty() {
            return Err(DrainUrlError::Host);
        }
        Ok(Self { kind, host: host.to_owned(), port, text: text.to_owned() })
    }
}

fn host_and_port(place: &str) -> Result<(&str, Option<&str>), DrainUrlError> {
    if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(DrainUrlError::Host)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(DrainUrlError::Port),
        };
    }
    Ok(match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (place, None),
    })
}

impl DrainUrl {
    /// As the user wrote it, with what is secret in it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Without user and password, path and query: those may be secrets.
impl fmt::Display for DrainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, _) = self.text.split_once("://").unwrap_or_default();
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// Facility times eight and severity: apps log to `local7`, the router to `local3`, the platform to
/// `local5`; lines of the platform that tell of an error are warnings.
fn priority(line: &LogLine) -> u8 {
    const INFO: u8 = 6;
    const WARNING: u8 = 4;
    let (facility, severity) = match (line.source, line.process.as_str()) {
        (Source::App, _) => (23, INFO),
        (Source::Heroku, "router") if line.text.starts_with("at=error") => (19, WARNING),
        (Source::Heroku, "router") => (19, INFO),
        (Source::Heroku, _) if line.text.starts_with("Error ") => (21, WARNING),
        (Source::Heroku, _) => (21, INFO),
    };
    facility * 8 + severity
}

fn message(line: &LogLine, host: &str, gap: &str) -> String {
    let LogLine { time, source, process, text } = line;
    let (priority, time, source) = (priority(line), timestamp(*time), source.as_str());
    let message = format!("<{priority}>1 {time} {host} {source} {process} {gap} {text}\n");
    format!("{} {message}", message.len())
}

/// A line for a syslog drain.
pub fn syslog(line: &LogLine, token: &str) -> String {
    message(line, token, "- -")
}

/// A line for a drain of requests.
pub fn logplex(line: &LogLine) -> String {
    message(line, "host", "-")
}

/// What becomes of a batch of lines by the answer's status: as Heroku's log router does, what a
/// server refuses for good is not sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It has arrived.
    Yes,
    /// The same again, later.
    Again,
    /// It is refused for good, and dropped.
    Refused,
}

impl Delivered {
    /// By status.
    pub fn of(status: u16) -> Self {
        match status {
            200..=299 => Self::Yes,
            408 | 425 | 429 => Self::Again,
            400..=499 => Self::Refused,
            _ => Self::Again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: Source, process: &str, text: &str) -> LogLine {
        LogLine { time: 1_284_650_026_677_020, source, process: process.into(), text: text.into() }
    }

    #[test]
    fn lines_have_the_shape_that_drains_are_written_for() {
        let line = line(Source::App, "web.1", "Grüezi");
        let time = "2010-09-16T15:13:46.677020+00:00";
        let syslog = syslog(&line, "d.1");
        assert_eq!(syslog, format!("66 <190>1 {time} d.1 app web.1 - - Grüezi\n"));
        assert_eq!(logplex(&line), format!("65 <190>1 {time} host app web.1 - Grüezi\n"));
        let (count, rest) = syslog.split_once(' ').unwrap();
        assert_eq!(count.parse(), Ok(rest.len()), "bytes are counted, not letters");
    }

    #[test]
    fn the_priority_tells_who_speaks() {
        let of = |source, process, text| priority(&line(source, process, text));
        assert_eq!(of(Source::App, "api", "Set A config vars"), 190);
        assert_eq!(of(Source::Heroku, "router", "at=info method=GET"), 158);
        assert_eq!(of(Source::Heroku, "router", "at=error code=H12"), 156);
        assert_eq!(of(Source::Heroku, "web.1", "State changed from starting to up"), 174);
        assert_eq!(of(Source::Heroku, "logplex", "Error L10 (output buffer overflow)"), 172);
    }

    #[test]
    fn urls_are_taken_apart() {
        let parsed = |text: &str| text.parse::<DrainUrl>().map(|u| (u.kind, u.host, u.port));
        let found = parsed("syslog+tls://logs.example.com:12345");
        assert_eq!(found, Ok((DrainKind::SyslogTls, "logs.example.com".into(), 12345)));
        let found = parsed("syslog://logs.example.com");
        assert_eq!(found, Ok((DrainKind::Syslog, "logs.example.com".into(), 514)));
        let found = parsed("https://me:secret@[::1]:8443/in?key=1");
        assert_eq!(found, Ok((DrainKind::Https, "::1".into(), 8443)));
        let shown = "https://me:secret@logs.example.com/in?key=1".parse::<DrainUrl>().unwrap();
        assert_eq!(shown.to_string(), "https://logs.example.com:443");
        for (junk, error) in [
            ("logs.example.com", DrainUrlError::Scheme),
            ("ftp://logs.example.com", DrainUrlError::Scheme),
            ("syslog://", DrainUrlError::Host),
            ("https://:80/", DrainUrlError::Host),
            ("syslog://a:0x", DrainUrlError::Port),
            ("syslog://a:70000", DrainUrlError::Port),
            ("syslog://me@a:1", DrainUrlError::Text),
            ("syslog://a:1/b", DrainUrlError::Text),
            ("https://a b/", DrainUrlError::Text),
        ] {
            assert_eq!(parsed(junk), Err(error), "{junk}");
        }
    }

    #[test]
    fn an_answer_tells_whether_to_send_again() {
        use Delivered::{Again, Refused, Yes};
        let told = [200, 204, 302, 400, 404, 408, 429, 500, 503].map(Delivered::of);
        assert_eq!(told, [Yes, Yes, Again, Refused, Refused, Again, Again, Again, Again]);
    }
}
