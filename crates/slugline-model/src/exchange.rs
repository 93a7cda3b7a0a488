//! Slugs in and out of foreign formats: what is asked for, and what is said of it.

use std::fmt;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::str::FromStr;

use crate::limits::Limits;
use crate::procfile::ProcessTypes;
use crate::slug::{SlugId, SlugSummary};

/// Where slugs are turned into foreign formats and back. All calls block.
pub trait SlugExchange: Send + Sync {
    /// Writes a slug in a format. After an error what was written is to be thrown away.
    fn export(
        &self,
        slug: &SlugId,
        format: &ExportFormat,
        out: &mut dyn Write,
    ) -> Result<Exported, ExchangeError>;
    /// Makes a slug of an archive in any of the formats, or nothing.
    fn import(
        &self,
        request: &ImportRequest,
        input: &mut dyn Read,
    ) -> Result<Imported, ExchangeError>;
    /// Makes a slug of another one and the files of a tar that a dyno's layer was exported as
    /// ([`crate::port::Engine::export`]), or nothing. What lies where an addition does makes room.
    fn extend(
        &self,
        slug: &SlugId,
        additions: &mut dyn Read,
        limits: &Limits,
    ) -> Result<Extended, ExchangeError>;
    /// Sends a slug to a registry as an image; gives what the image is called by its content.
    fn push(
        &self,
        slug: &SlugId,
        stack: &StackChoice,
        target: &RegistryTarget,
        say: &mut dyn FnMut(&str),
    ) -> Result<String, ExchangeError>;
    /// Makes a slug of an image in a registry, or nothing.
    fn pull(
        &self,
        target: &RegistryTarget,
        request: &ImportRequest,
        say: &mut dyn FnMut(&str),
    ) -> Result<Imported, ExchangeError>;
}

/// What a slug becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportFormat {
    /// Heroku's `slug.tgz`.
    Tgz,
    /// An OCI image in a tar archive.
    OciArchive {
        /// What lies beneath the slug.
        stack: StackChoice,
        /// `name:tag`, for whoever loads it.
        name: Option<String>,
    },
}

/// What lies beneath a slug in an image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StackChoice {
    /// What dynos run on here: the host's programs and libraries.
    #[default]
    Host,
    /// Nothing.
    None,
    /// An image or a root directory of the operator's, on the server's machine.
    Path(PathBuf),
}

impl FromStr for StackChoice {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "" | "host" => Self::Host,
            "none" => Self::None,
            path => Self::Path(path.into()),
        })
    }
}

/// A place in a registry, and how to get there.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryTarget {
    /// `host:port/name:tag`.
    pub reference: String,
    /// User name and password; those of docker's and podman's files where there are none.
    pub credentials: Option<(String, String)>,
    /// Whether to talk without TLS to another machine. To this one it is tried anyway.
    pub plain_http: bool,
}

impl fmt::Debug for RegistryTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RegistryTarget").field(&self.reference).finish_non_exhaustive()
    }
}

/// What an archive is to become.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The slug's process types; where there are none, those that an image tells.
    pub process_types: ProcessTypes,
    /// How large the slug may be.
    pub limits: Limits,
    /// What the archive's bytes must hash to, where that is known.
    pub checksum: Option<Checksum>,
}

/// An archive that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exported {
    /// How much (bytes).
    pub bytes: u64,
    /// Of these bytes.
    pub checksum: Checksum,
}

/// A slug that came from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// As the store holds it.
    pub slug: SlugSummary,
    /// Of the archive's bytes, where it came as one.
    pub checksum: Option<Checksum>,
}

/// A slug that came from another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extended {
    /// As the store holds it.
    pub slug: SlugSummary,
    /// The files and links that were added, from the app's directory on.
    pub added: Vec<String>,
    /// Their size (bytes).
    pub bytes: u64,
}

/// Why a slug could not be passed on or taken in.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// What came, or what was asked for, is not what it should be.
    #[error("{0}")]
    Refused(String),
    /// The slug is larger than a slug may be.
    #[error("the slug is too large")]
    TooLarge {
        /// Its packed size (bytes).
        packed_bytes: u64,
    },
    /// No room on the disk.
    #[error("no space is left where slugs are stored")]
    DiskFull,
    /// Anything else that the store met.
    #[error("{0}")]
    Store(String),
}

/// The checksum of an archive, as Heroku writes it: `SHA256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// The only kind that Heroku has.
    Sha256([u8; 32]),
}

/// A text that is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a checksum: it must be SHA256: and 64 hexadecimal digits")]
pub struct ChecksumError(String);

impl FromStr for Checksum {
    type Err = ChecksumError;
    fn from_str(text: &str) -> Result<Self, ChecksumError> {
        let digits = text.get(..7).filter(|kind| kind.eq_ignore_ascii_case("SHA256:"));
        let digits = digits.and_then(|_| unhex(&text[7..]));
        digits.map(Self::Sha256).ok_or_else(|| ChecksumError(text.chars().take(100).collect()))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Sha256(bytes) = self;
        f.write_str("SHA256:")?;
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// 32 bytes as 64 hexadecimal digits, in either case.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_parses_as_it_prints() {
        let text = format!("SHA256:{}", "e3b0c442".repeat(8));
        assert_eq!(text.parse::<Checksum>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Checksum>().unwrap().to_string(), text);
        for bad in ["", "SHA256:", "MD5:00", &text[..70], "SHA256:é", &text.replace('e', "g")] {
            assert!(bad.parse::<Checksum>().is_err(), "{bad}");
        }
    }
}
