//! Slugs in and out of foreign formats: what is asked for, and what is said of it.

use std::fmt;
use std::str::FromStr;

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
