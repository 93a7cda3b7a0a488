//! `~/.netrc`, where Heroku's clients keep tokens: one entry a server. Nothing else in it is touched.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where it is.
pub(super) fn path() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(Path::new(&home).join(".netrc"))
}

/// The password of a machine.
pub(super) fn token(path: &Path, machine: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let entry = &text[entry(&text, machine)?];
    let mut words = entry.split_whitespace();
    words.find(|word| *word == "password")?;
    words.next().map(str::to_owned)
}

/// Writes a machine's entry in the place of the one it had. The file is replaced as a whole.
pub(super) fn write(path: &Path, machine: &str, login: &str, password: &str) -> io::Result<()> {
    let mut text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    let new = format!("machine {machine}\n  login {login}\n  password {password}\n");
    if let Some(place) = entry(&text, machine) {
        text.replace_range(place, &new);
    } else {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&new);
    }
    // Whoever keeps it elsewhere keeps it there.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let part = path.with_extension("slugline");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&part, &path)
}

/// Where a machine's entry is: from its line to the next one's.
fn entry(text: &str, machine: &str) -> Option<std::ops::Range<usize>> {
    let (mut start, mut at) = (None, 0);
    for line in text.split_inclusive('\n') {
        let mut words = line.split_whitespace();
        let first = words.next();
        match start {
            None if first == Some("machine") && words.next() == Some(machine) => start = Some(at),
            Some(start) if matches!(first, Some("machine" | "default" | "macdef")) => {
                return Some(start..at);
            }
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| start..at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_replaced_and_the_others_stay() {
        let there = tempfile::tempdir().unwrap();
        let path = there.path().join(".netrc");
        assert_eq!(token(&path, "localhost:1"), None);
        write(&path, "localhost:1", "a@b", "one").unwrap();
        write(&path, "localhost:2", "a@b", "two").unwrap();
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap() + "default login x").unwrap();
        write(&path, "localhost:1", "c@d", "three").unwrap();
        write(&path, "localhost:3", "c@d", "four").unwrap();
        let found = ["localhost:1", "localhost:2", "localhost:3"].map(|name| token(&path, name));
        assert_eq!(found.map(Option::unwrap), ["three", "two", "four"]);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("default login x\nmachine localhost:3"), "{text}");
        assert!(!text.contains("one") && !text.contains("a@b\n  password three"), "{text}");
    }
}
