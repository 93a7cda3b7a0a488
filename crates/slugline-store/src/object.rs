//! An object: one file's content and its executable bit, under the hash of the content.

use std::fmt;
use std::io::{self, Read};

use rustix::fs::Timespec;

/// The time that every file of a checkout carries (seconds since 1970): 2010-01-01. One inode
/// serves many slugs, so it cannot carry the time of any one build.
pub const FIXED_TIME: u32 = 1_262_304_000;

/// [`FIXED_TIME`] as the kernel takes it.
pub(crate) const FIXED_TIMES: rustix::fs::Timestamps = rustix::fs::Timestamps {
    last_access: Timespec { tv_sec: FIXED_TIME as i64, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: FIXED_TIME as i64, tv_nsec: 0 },
};

/// What an object is stored under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// The BLAKE3 hash of the content.
    pub hash: [u8; 32],
    /// Whether the file may be executed. Part of the key because hard links share their mode.
    pub executable: bool,
}

impl ObjectKey {
    /// Reads a key as it prints: 64 hexadecimal digits, and `x` for an executable file.
    pub fn parse(text: &str) -> Option<Self> {
        let (hex, executable) = text.strip_suffix('x').map_or((text, false), |hex| (hex, true));
        let lowercase = hex.bytes().all(|b| !b.is_ascii_uppercase());
        let hash = blake3::Hash::from_hex(hex).ok().filter(|_| lowercase)?;
        Some(Self { hash: *hash.as_bytes(), executable })
    }

    /// The mode of its file.
    pub(crate) fn mode(self) -> rustix::fs::Mode {
        rustix::fs::Mode::from_raw_mode(if self.executable { 0o755 } else { 0o644 })
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.hash).to_hex())?;
        f.write_str(if self.executable { "x" } else { "" })
    }
}

/// Hashes all that a reader gives, and counts it (bytes).
pub(crate) fn hash(mut content: impl Read, buffer: &mut [u8]) -> io::Result<([u8; 32], u64)> {
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0);
    loop {
        match content.read(buffer) {
            Ok(0) => return Ok((*hasher.finalize().as_bytes(), size)),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_parses_as_it_prints_and_no_other_way() {
        for executable in [false, true] {
            let key = ObjectKey { hash: [0xa7; 32], executable };
            assert_eq!(ObjectKey::parse(&key.to_string()), Some(key));
        }
        let upper = "A7".repeat(32);
        for junk in ["", "x", "a7", upper.as_str(), "../../../etc/passwd"] {
            assert_eq!(ObjectKey::parse(junk), None, "{junk}");
        }
    }
}
