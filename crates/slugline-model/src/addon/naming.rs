//! Names of add-ons and attachments, and of the config vars that follow from them.

use std::fmt;
use std::str::FromStr;

/// What two words and a number are made of, so that people can say an add-on's name.
const WORDS: [&str; 24] = [
    "angular",
    "clean",
    "concave",
    "convex",
    "crystalline",
    "cubed",
    "curly",
    "curved",
    "cylindrical",
    "deep",
    "defined",
    "dimensional",
    "encircled",
    "flat",
    "graceful",
    "horizontal",
    "infinite",
    "metric",
    "octagonal",
    "opaque",
    "parallel",
    "rugged",
    "shaped",
    "spherical",
];

/// The longest name of an add-on or an attachment.
const LONGEST: usize = 64;

/// The name of an add-on, which no other one of the server has: `^[a-zA-Z][A-Za-z0-9_-]+$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddonName(String);

/// The name that an add-on has in an app, which its config vars begin with: `DATABASE`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttachmentName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachmentNameError {
    /// Not an add-on's.
    #[error(
        "`{0}` is not an add-on's name: it must start with a letter, and hold 2 to 64 letters, \
         digits, `-` and `_`"
    )]
    Addon(String),
    /// Not an attachment's.
    #[error(
        "`{0}` is not an attachment's name: it must start with a letter, and hold at most 64 \
         letters, digits and `_`"
    )]
    Attachment(String),
}

impl FromStr for AddonName {
    type Err = AttachmentNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if starts && (2..=LONGEST).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AttachmentNameError::Addon(text.to_owned()))
        }
    }
}

impl FromStr for AttachmentName {
    type Err = AttachmentNameError;

    /// People write them in any case; config vars are in capitals.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
        if starts && text.len() <= LONGEST && text.bytes().all(allowed) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(AttachmentNameError::Attachment(text.to_owned()))
        }
    }
}

macro_rules! as_text {
    ($name:ident) => {
        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
as_text!(AddonName);
as_text!(AttachmentName);

impl AttachmentName {
    /// This name with a word behind it: `DATABASE_PINK`.
    #[must_use]
    pub fn with(&self, word: &str) -> Self {
        Self(format!("{}_{word}", self.0))
    }
}

/// The name of an add-on for which nobody chose one: `postgres-cubed-01234`. Of a number at random.
pub fn invented_name(service: &str, random: u64) -> AddonName {
    let word = WORDS[usize::try_from(random % WORDS.len() as u64).unwrap_or(0)];
    let number = random / WORDS.len() as u64 % 100_000;
    let letters = service.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(40);
    AddonName(format!("{}-{word}-{number:05}", letters.collect::<String>()))
}

/// The config var that a value of an add-on has in an app where its attachment has this name.
///
/// Under the service's own prefix a value keeps its name, also one that does not begin with it, since
/// people's code reads it there: `S3` gives `AWS_ACCESS_KEY_ID`. Under another name that takes the
/// prefix's place, or stands before: `MEDIA_AWS_ACCESS_KEY_ID`.
pub fn var_name(prefix: &AttachmentName, attachment: &AttachmentName, value: &str) -> String {
    if attachment == prefix {
        return value.to_owned();
    }
    let rest = value.strip_prefix(prefix.as_str()).and_then(|rest| rest.strip_prefix('_'));
    format!("{attachment}_{}", rest.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AttachmentName {
        text.parse().unwrap()
    }

    #[test]
    fn names_are_herokus() {
        assert!("postgres-cubed-1".parse::<AddonName>().is_ok());
        for bad in ["", "a", "1a", "a b", "a.b", &"a".repeat(65)] {
            assert!(bad.parse::<AddonName>().is_err(), "{bad}");
        }
        assert_eq!(name("database").as_str(), "DATABASE");
        for bad in ["", "_A", "A-B", "A::B", "1A"] {
            assert!(bad.parse::<AttachmentName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_invented_name_is_a_name() {
        assert_eq!(invented_name("postgres", 5 + 24 * 42).as_str(), "postgres-cubed-00042");
        for random in [0, 23, 24, u64::MAX] {
            let name = invented_name("s3", random);
            assert_eq!(name.as_str().parse(), Ok(name.clone()));
        }
    }

    #[test]
    fn config_vars_follow_the_attachments_name() {
        let database = name("DATABASE");
        assert_eq!(var_name(&database, &database, "DATABASE_URL"), "DATABASE_URL");
        assert_eq!(var_name(&database, &name("PINK"), "DATABASE_URL"), "PINK_URL");
        let s3 = name("S3");
        assert_eq!(var_name(&s3, &s3, "AWS_REGION"), "AWS_REGION");
        assert_eq!(var_name(&s3, &name("MEDIA"), "AWS_REGION"), "MEDIA_AWS_REGION");
        assert_eq!(var_name(&s3, &name("MEDIA"), "S3_BUCKET"), "MEDIA_BUCKET");
        assert_eq!(var_name(&s3, &name("MEDIA"), "S3X"), "MEDIA_S3X");
    }
}
