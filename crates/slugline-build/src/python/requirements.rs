//! What a requirements file depends on, so that an unchanged one need not be installed again.

use std::path::{Path, PathBuf};

/// Why the installed packages cannot be told from the files alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uncacheable(pub(crate) String);

/// The hash of a requirements file and of all files that it includes.
pub(crate) fn fingerprint(root: &Path, file: &str) -> Result<String, Uncacheable> {
    let mut hasher = blake3::Hasher::new();
    let mut seen = Vec::new();
    add(&mut hasher, &mut seen, &root.join(file))?;
    Ok(hasher.finalize().to_hex().to_string())
}

fn add(
    hasher: &mut blake3::Hasher,
    seen: &mut Vec<PathBuf>,
    path: &Path,
) -> Result<(), Uncacheable> {
    if seen.contains(&path.to_owned()) {
        return Ok(());
    }
    seen.push(path.to_owned());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let bytes = fs_err::read(path).map_err(|_| Uncacheable(format!("{name} cannot be read")))?;
    hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
    for line in String::from_utf8_lossy(&bytes).lines() {
        match read_line(line) {
            Line::Includes(other) => {
                add(hasher, seen, &path.parent().unwrap_or(Path::new("")).join(other))?;
            }
            Line::Local(what) => {
                return Err(Uncacheable(format!("{name} installs the directory {what}")));
            }
            Line::Package => {}
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Package,
    Includes(String),
    Local(String),
}

fn read_line(line: &str) -> Line {
    let line = line.trim();
    for option in ["-r", "--requirement", "-c", "--constraint"] {
        if let Some(value) = option_value(line, option) {
            return Line::Includes(value);
        }
    }
    for option in ["-e", "--editable"] {
        if let Some(value) = option_value(line, option) {
            return Line::Local(value);
        }
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    let local = first == "."
        || ["./", "../", "/", "file:"].iter().any(|start| first.starts_with(start))
        || line.contains("@ file:");
    if local { Line::Local(first.to_owned()) } else { Line::Package }
}

fn option_value(line: &str, option: &str) -> Option<String> {
    let rest = line.strip_prefix(option)?;
    let value = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    let separated = rest.len() > value.len() || option.len() == 2;
    let value = value.split(" #").next().unwrap_or_default().trim();
    (separated && !value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packages_files_or_directories() {
        let check = |line: &str, expect: Line| assert_eq!(read_line(line), expect, "{line}");
        check("Django>=5.2,<6 --hash=sha256:ab", Line::Package);
        check("# -r no.txt", Line::Package);
        check("-r base.txt # more", Line::Includes("base.txt".into()));
        check("-rbase.txt", Line::Includes("base.txt".into()));
        check("--requirement=base.txt", Line::Includes("base.txt".into()));
        check("--constraint c.txt", Line::Includes("c.txt".into()));
        check("-e .", Line::Local(".".into()));
        check("./vendor/thing", Line::Local("./vendor/thing".into()));
        check("thing @ file:///x", Line::Local("thing".into()));
        check("--extra-index-url x", Line::Package);
    }

    #[test]
    fn an_included_file_is_part_of_the_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.path().join(name), text).unwrap();
        write("requirements.txt", "-r base.txt\n");
        write("base.txt", "a==1\n-r requirements.txt\n");
        let before = fingerprint(root.path(), "requirements.txt").unwrap();
        write("base.txt", "a==2\n");
        assert_ne!(before, fingerprint(root.path(), "requirements.txt").unwrap());
        write("base.txt", "-e .\n");
        assert!(fingerprint(root.path(), "requirements.txt").is_err());
    }
}
