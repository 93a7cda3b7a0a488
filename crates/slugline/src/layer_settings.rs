//! Table `[layers]` of the operator's configuration: for how long, and how much of, what dynos
//! wrote is kept after their stop.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use slugline_model::kept::Keeping;
use toml::Spanned;

use crate::configuration::{ConfigurationError, line};
use crate::store_care::bytes;

/// What may be said of kept layers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LayersTable {
    /// How long: `24h`; `off` for not at all.
    grace: Option<Spanned<String>>,
    /// How much of all dynos together: `2 GB`.
    quota: Option<Spanned<String>>,
}

/// What switches keeping off.
const OFF: &str = "off";

impl LayersTable {
    /// For how long and how much.
    pub(crate) fn keeping(&self, text: &str, path: &Path) -> Result<Keeping, ConfigurationError> {
        let wrong = |value: &Spanned<String>| ConfigurationError::Layers {
            path: path.to_path_buf(),
            line: line(text, Some(value.span())),
            value: value.get_ref().clone(),
        };
        let default = Keeping::default();
        let grace = self.grace.as_ref();
        let grace = grace.map(|value| grace_of(value.get_ref()).ok_or_else(|| wrong(value)));
        let quota = self.quota.as_ref();
        let quota = quota.map(|value| bytes(value.get_ref()).ok_or_else(|| wrong(value)));
        Ok(Keeping {
            grace: grace.transpose()?.unwrap_or(default.grace),
            quota: quota.transpose()?.unwrap_or(default.quota),
        })
    }
}

/// `24h`, `90m`, `30s`, `7d`, up to a year; `off`.
fn grace_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == OFF {
        return Some(Duration::ZERO);
    }
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let scale = match unit.trim() {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return None,
    };
    let seconds = number.parse::<u64>().ok()?.checked_mul(scale)?;
    (1..=365 * 24 * 3_600).contains(&seconds).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeping(text: &str) -> Result<Keeping, ConfigurationError> {
        let table: LayersTable = toml::from_str(text).unwrap();
        table.keeping(text, Path::new("slugline.toml"))
    }

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(keeping("").unwrap(), Keeping::default());
        let week = keeping("grace = \"7d\"\nquota = \"500 MB\"").unwrap();
        assert_eq!(week, Keeping { grace: Duration::from_hours(168), quota: 500_000_000 });
        assert!(!keeping("grace = \"off\"").unwrap().keeps());
        for junk in ["grace = \"24\"", "grace = \"0h\"", "grace = \"9999d\"", "quota = \"big\""] {
            assert!(keeping(junk).is_err(), "{junk}");
        }
    }
}
