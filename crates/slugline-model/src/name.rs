//! Names: of apps, process types and dynos, checked when they are made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not an app name.
    #[error(
        "`{0}` is not an app name: it must start with a lowercase letter, end with a letter or \
         digit, and hold only a-z, 0-9 and dashes (3 to 30 characters)"
    )]
    App(String),
    /// Not a process type.
    #[error("`{0}` is not a process type: it may hold letters, digits, `-` and `_`")]
    ProcessType(String),
    /// Not a dyno name.
    #[error("`{0}` is not a dyno name: it must look like web.1 or run.4821")]
    Dyno(String),
}

/// Turns a checked text type into one that prints, parses and serialises as that text.
macro_rules! checked_text {
    ($name:ident, $check:ident, $error:path) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                if $check(text) { Ok(Self(text.to_owned())) } else { Err($error(text.to_owned())) }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }
    };
}

/// The name of an app: `^[a-z][a-z0-9-]{1,28}[a-z0-9]$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppName(String);
checked_text!(AppName, is_app_name, NameError::App);

/// The name of a process type, as a Procfile gives it: `web`, `worker`, `release`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcessType(String);
checked_text!(ProcessType, is_process_type, NameError::ProcessType);

impl ProcessType {
    /// The process type that the router sends requests to.
    pub fn web() -> Self {
        Self("web".to_owned())
    }

    /// What builds are called among dynos: `build.1`.
    pub fn build() -> Self {
        Self("build".to_owned())
    }

    /// What release phases are called among dynos: `release.4821`.
    pub fn release() -> Self {
        Self("release".to_owned())
    }

    /// What one-off dynos are called: `run.4821`.
    pub fn run() -> Self {
        Self("run".to_owned())
    }

    /// What runs of cron entries are called: `cron.4821`.
    pub fn cron() -> Self {
        Self("cron".to_owned())
    }

    /// Whether requests are routed to it.
    pub fn is_web(&self) -> bool {
        self.0 == "web"
    }

    /// Whether it is the release phase, which runs once per release and is never scaled.
    pub fn is_release(&self) -> bool {
        self.0 == "release"
    }
}

/// The name of a dyno: process type and number, `web.1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DynoName {
    /// The process type, or `run` and `release` for one-off dynos.
    pub process_type: ProcessType,
    /// Counts from 1 within the process type.
    pub number: u32,
}

impl DynoName {
    /// A dyno of a process type.
    pub fn new(process_type: ProcessType, number: u32) -> Self {
        Self { process_type, number }
    }
}

impl FromStr for DynoName {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        let error = || NameError::Dyno(text.to_owned());
        let (process_type, number) = text.rsplit_once('.').ok_or_else(error)?;
        Ok(Self {
            process_type: process_type.parse().map_err(|_| error())?,
            number: number.parse().map_err(|_| error())?,
        })
    }
}

impl fmt::Display for DynoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.process_type, self.number)
    }
}

impl TryFrom<String> for DynoName {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<DynoName> for String {
    fn from(name: DynoName) -> String {
        name.to_string()
    }
}

fn is_app_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    (3..=30).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(inner)
        && bytes[bytes.len() - 1] != b'-'
}

fn is_process_type(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(allowed)
}

/// The app name nearest to a directory's name: `My_Library` becomes `my-library`.
pub fn app_name_from_directory(directory: &str) -> Option<AppName> {
    let dashed: String = directory
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed = dashed
        .trim_matches(|c: char| c == '-')
        .trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
    let cut: String = trimmed.chars().take(30).collect();
    cut.trim_end_matches('-').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names_follow_herokus_rule() {
        for good in ["owl", "owl-1234", "abc", &"a".repeat(30)] {
            assert!(good.parse::<AppName>().is_ok(), "{good}");
        }
        for bad in ["", "ow", "Owl", "1owl", "owl-", "o_l", "ö-l-e", &"a".repeat(31)] {
            assert!(bad.parse::<AppName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn dyno_names_print_as_they_parse() {
        for text in ["web.1", "my-worker.12", "run.4821"] {
            assert_eq!(text.parse::<DynoName>().unwrap().to_string(), text);
        }
        for bad in ["web", "web.", ".1", "web.x", "we b.1"] {
            assert!(bad.parse::<DynoName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_directory_suggests_an_app_name() {
        let name = |d| app_name_from_directory(d).map(|n| n.to_string());
        assert_eq!(name("library").as_deref(), Some("library"));
        assert_eq!(name("My_Library.2").as_deref(), Some("my-library-2"));
        assert_eq!(name("42-owls").as_deref(), Some("owls"));
        assert_eq!(name("42"), None);
    }
}
