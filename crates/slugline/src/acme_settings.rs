//! `[acme]` of the operator's configuration: who issues certificates for apps' domains.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use slugline_platform::Acme;
use toml::Spanned;

/// What people are told who wrote something else.
pub(crate) const ALLOWED: &str = "[acme] has `directory`, the https:// address of an authority's \
                                  directory, `contact`, an address of yours for mail, and `trust`, \
                                  a PEM file with what its own certificate is trusted by.";

/// The table.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AcmeTable {
    directory: Option<Spanned<String>>,
    contact: Option<Spanned<String>>,
    trust: Option<Spanned<PathBuf>>,
}

/// A value of the table that cannot be used.
#[derive(Debug)]
pub(crate) struct WrongAcme {
    pub(crate) place: Range<usize>,
    pub(crate) value: String,
    pub(crate) found: String,
}

impl AcmeTable {
    /// `file` is where a path in the table begins.
    pub(crate) fn settings(&self, file: &Path) -> Result<Acme, WrongAcme> {
        let mut acme = Acme::default();
        if let Some(directory) = &self.directory {
            acme.directory = checked(directory, |url| url.starts_with("https://"))?;
        }
        if let Some(contact) = &self.contact {
            let address = checked(contact, |address| address.contains('@'))?;
            acme.contact = Some(format!("mailto:{}", address.trim_start_matches("mailto:")));
        }
        if let Some(trust) = &self.trust {
            let path = file.parent().unwrap_or(Path::new("")).join(trust.get_ref());
            if let Err(error) = std::fs::metadata(&path) {
                let (place, value) = (trust.span(), path.display().to_string());
                return Err(WrongAcme { place, value, found: format!("{error}.") });
            }
            acme.trust = Some(path);
        }
        Ok(acme)
    }
}

fn checked(value: &Spanned<String>, is_right: impl Fn(&str) -> bool) -> Result<String, WrongAcme> {
    let (place, text) = (value.span(), value.get_ref().clone());
    if is_right(&text) {
        return Ok(text);
    }
    Err(WrongAcme { place, value: text, found: "It is not what it should be.".to_owned() })
}
