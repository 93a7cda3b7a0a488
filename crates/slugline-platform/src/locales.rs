//! `en_US.UTF-8` for builds on a host that has no such locale: Heroku's `LANG` names it, and
//! programs fall back to seven bits where it does not exist.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use slugline_model::dyno::Bind;

/// Where glibc looks for compiled locales.
const LOCALES: &str = "/usr/lib/locale";

/// Where a build finds the host's own when ours stand in their place.
const HOST_LOCALES: &str = "/.slugline/locale";

/// How glibc spells the locale's directory.
const WANTED: &str = "en_US.utf8";

/// The host's locale that stands in, as it was when the server started.
fn neutral() -> Option<&'static str> {
    static NEUTRAL: OnceLock<Option<&'static str>> = OnceLock::new();
    *NEUTRAL.get_or_init(|| stand_in(Path::new(LOCALES)))
}

/// Lays out locales with the wanted one among them, where the host lacks it and has the neutral one
/// that can pass for it: text in UTF-8, everything else as without a locale. Nothing is copied: all
/// are links to the host's.
pub(crate) fn write(root: &Path) -> io::Result<()> {
    let Some(neutral) = neutral() else { return Ok(()) };
    fs_err::create_dir_all(root)?;
    for entry in fs_err::read_dir(LOCALES)? {
        let name = entry?.file_name();
        symlink(Path::new(HOST_LOCALES).join(&name), root.join(&name))?;
    }
    symlink(Path::new(HOST_LOCALES).join(neutral), root.join(WANTED))
}

/// The binds that a build needs for it, none where the host has the locale.
pub(crate) fn binds(root: &Path) -> Vec<Bind> {
    if neutral().is_none() {
        return vec![];
    }
    let bind = |from: PathBuf, to: &str| Bind { from, to: to.into(), writable: false };
    vec![bind(LOCALES.into(), HOST_LOCALES), bind(root.to_path_buf(), LOCALES)]
}

/// The host's locale that can pass for the wanted one, where that is missing.
fn stand_in(locales: &Path) -> Option<&'static str> {
    let archive = fs_err::read(locales.join("locale-archive")).unwrap_or_default();
    let archived = archive.windows(WANTED.len()).any(|text| text == WANTED.as_bytes());
    let there = archived || locales.join(WANTED).is_dir();
    ["C.utf8", "C.UTF-8"].into_iter().find(|name| !there && locales.join(name).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_that_is_there_needs_no_other() {
        let locales = tempfile::tempdir().unwrap();
        assert_eq!(stand_in(locales.path()), None);
        fs_err::create_dir(locales.path().join("C.utf8")).unwrap();
        assert_eq!(stand_in(locales.path()), Some("C.utf8"));
        let archive = locales.path().join("locale-archive");
        fs_err::write(&archive, "de_DE.utf8\0en_US.utf8\0").unwrap();
        assert_eq!(stand_in(locales.path()), None);
        fs_err::write(&archive, "de_DE.utf8\0").unwrap();
        fs_err::create_dir(locales.path().join(WANTED)).unwrap();
        assert_eq!(stand_in(locales.path()), None);
    }
}
