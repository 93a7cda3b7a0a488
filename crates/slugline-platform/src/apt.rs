//! What `apt-get` needs of the stack in a build: where packages come from, and which are there.
//! heroku-buildpack-apt downloads packages with it, without installing any.

use std::io;
use std::path::{Path, PathBuf};

use slugline_model::dyno::Bind;

const CONFIGURATION: &str = "/etc/apt";

/// The packages of the stack: what is there need not be fetched.
const STATUS: &str = "/var/lib/dpkg/status";

/// Lists of sources, and the keys that they are signed with. The rest of the configuration may hold
/// passwords.
const DIRECTORIES: [&str; 3] = ["sources.list.d", "trusted.gpg.d", "keyrings"];

/// Where apt looks for more, and complains where there is no such directory.
const EMPTY_DIRECTORIES: [&str; 2] = ["apt.conf.d", "preferences.d"];

/// Copies the part of the host's configuration that is nobody's secret, where the host has apt.
pub(crate) fn write(root: &Path) -> io::Result<()> {
    if is_there() { copy(Path::new(CONFIGURATION), root) } else { Ok(()) }
}

/// The binds that a build needs for it.
pub(crate) fn binds(root: &Path) -> Vec<Bind> {
    let bind = |from: PathBuf, to: &str| Bind { from, to: to.into(), writable: false };
    if is_there() {
        vec![bind(root.to_path_buf(), CONFIGURATION), bind(STATUS.into(), STATUS)]
    } else {
        vec![]
    }
}

fn is_there() -> bool {
    Path::new(STATUS).is_file() && Path::new(CONFIGURATION).is_dir()
}

fn copy(from: &Path, root: &Path) -> io::Result<()> {
    fs_err::create_dir_all(root)?;
    // Debian does without it; the buildpack reads it.
    let list = fs_err::read(from.join("sources.list")).unwrap_or_default();
    fs_err::write(root.join("sources.list"), if is_public(&list) { &list } else { &b""[..] })?;
    for directory in EMPTY_DIRECTORIES {
        fs_err::create_dir_all(root.join(directory))?;
    }
    for directory in DIRECTORIES {
        let to = root.join(directory);
        fs_err::create_dir_all(&to)?;
        for entry in fs_err::read_dir(from.join(directory)).into_iter().flatten() {
            let entry = entry?;
            let text = fs_err::read(entry.path()).unwrap_or_default();
            if is_public(&text) {
                fs_err::write(to.join(entry.file_name()), text)?;
            }
        }
    }
    Ok(())
}

/// Whether no address in it has a user's name and password.
fn is_public(text: &[u8]) -> bool {
    String::from_utf8_lossy(text).split("://").skip(1).all(|rest| {
        let host = rest.split(|c: char| c == '/' || c.is_whitespace()).next();
        !host.unwrap_or_default().contains('@')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_sources_are_not_copied() {
        let host = tempfile::tempdir().unwrap();
        let root = tempfile::tempdir().unwrap();
        let list = host.path().join("sources.list.d");
        fs_err::create_dir(&list).unwrap();
        fs_err::write(list.join("a.list"), "deb http://mirror.example/debian sid main").unwrap();
        fs_err::write(list.join("b.list"), "deb https://me:secret@x.example/debian sid main")
            .unwrap();
        fs_err::write(host.path().join("auth.conf"), "password secret").unwrap();
        copy(host.path(), root.path()).unwrap();
        let there = |name: &str| root.path().join(name).exists();
        assert!(there("sources.list") && there("sources.list.d/a.list") && there("trusted.gpg.d"));
        assert!(!there("sources.list.d/b.list") && !there("auth.conf"));
    }
}
