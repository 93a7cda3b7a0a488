//! Files that git-lfs keeps beside a repository, by its specification: in the repository lies a
//! pointer to each.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The first line of every pointer.
pub const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// A pointer is shorter than this (bytes).
pub const LONGEST: u64 = 1024;

/// What a file's content is called: its SHA-256, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Oid(String);

impl Oid {
    /// Where it lies, as git-lfs itself arranges its files.
    pub fn path(&self) -> PathBuf {
        [&self.0[..2], &self.0[2..4], &self.0].iter().collect()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Oid {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_one = text.len() == 64 && text.bytes().all(digit);
        if is_one { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a pointer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// Of the file that it stands for.
    pub oid: Oid,
    /// Of that file (bytes).
    pub size: u64,
}

impl Pointer {
    /// Reads a file as a pointer; none for a file that is none.
    pub fn of(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?.strip_prefix(VERSION)?.strip_prefix('\n')?;
        let value =
            |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
        let oid = value("oid")?.strip_prefix("sha256:")?.parse().ok()?;
        Some(Self { oid, size: value("size")?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_and_nothing_else_is_one() {
        let oid = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let text = format!("{VERSION}\noid sha256:{oid}\nsize 12345\n");
        let pointer = Pointer::of(text.as_bytes()).unwrap();
        assert_eq!((pointer.oid.as_str(), pointer.size), (oid, 12_345));
        assert_eq!(pointer.oid.path(), PathBuf::from(format!("4d/7a/{oid}")));
        let with_extension = text.replace("oid", "ext-0-a sha256:00\noid");
        assert_eq!(Pointer::of(with_extension.as_bytes()).unwrap(), pointer);
        for other in [
            String::new(),
            VERSION.to_owned(),
            text.replace("sha256:4d", "sha256:../"),
            text.replace("4d7a", "4D7A"),
            text.replace("size 12345", "size -1"),
            format!(" {text}"),
        ] {
            assert_eq!(Pointer::of(other.as_bytes()), None, "{other}");
        }
    }
}
