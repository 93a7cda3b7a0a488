//! Table `[store]` of the operator's configuration: how many slugs are kept.

use std::path::Path;

use slugline_model::retention::Policy;
use toml::Spanned;

use crate::bucket::StoreTable;
use crate::configuration::{ConfigurationError, line};

impl StoreTable {
    /// What it says of retention.
    pub(crate) fn policy(&self, text: &str, path: &Path) -> Result<Policy, ConfigurationError> {
        let default = Policy::default();
        let wrong = |quota: &Spanned<String>| ConfigurationError::Quota {
            path: path.to_path_buf(),
            line: line(text, Some(quota.span())),
            value: quota.get_ref().clone(),
        };
        let quota = |quota: &Spanned<String>| bytes(quota.get_ref()).ok_or_else(|| wrong(quota));
        Ok(Policy {
            releases: self.keep_releases.unwrap_or(default.releases),
            days: self.keep_days,
            quota: self.quota.as_ref().map(quota).transpose()?,
        })
    }
}

/// `20 GB`, `500MB`, `1.5 TB`, in powers of ten (bytes).
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(end);
    let scale: u64 = match unit.trim() {
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if part.is_empty() || part.len() > 3 {
        return None;
    }
    let thousandths = format!("{part:0<3}").parse::<u64>().ok()?;
    let bytes = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    bytes.checked_add(scale / 1_000 * thousandths).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(bytes("20 GB"), Some(20_000_000_000));
        assert_eq!(bytes(" 1.5TB"), Some(1_500_000_000_000));
        assert_eq!(bytes("0.25 MB"), Some(250_000));
        for junk in ["", "20", "GB", "-1 GB", "0 GB", "1.2.3 GB", "1. GB", "9999999999999 TB"] {
            assert_eq!(bytes(junk), None, "{junk}");
        }
    }
}
