//! What a requirements file asks for, as far as the cache and the choice of installer need to know.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::difference::Packages;
use crate::files;

/// The most that is read of one file (bytes): thousands of packages with all their hashes are less.
const LARGEST: u64 = 1 << 20;

/// The most files that are read.
const FILES: usize = 100;

/// A requirements file and all that it includes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// The hash of the files.
    pub(crate) fingerprint: String,
    /// What they name.
    pub(crate) packages: Packages,
    /// Why an unchanged file does not mean unchanged packages.
    pub(crate) uncacheable: Option<String>,
    /// A line that only pip itself understands: an editable package from a repository.
    pub(crate) only_for_pip: Option<String>,
    /// The hashes of the packages that have some. If one has, all have to.
    pub(crate) hashes: Packages,
    /// Whether the file says which index to use, which counts for more than what the operator says.
    pub(crate) has_own_index: bool,
}

/// Reads a requirements file, and those that it includes as far as they are small regular files of
/// the app: an app can name devices, pipes and what is not its own.
pub(crate) fn read(root: &Path, file: &str) -> Requirements {
    let mut reading = Reading { root: root.to_owned(), ..Reading::default() };
    reading.add(&root.join(file));
    let mut found = reading.found;
    found.fingerprint = reading.hasher.finalize().to_hex().to_string();
    found
}

#[derive(Default)]
struct Reading {
    root: PathBuf,
    hasher: blake3::Hasher,
    /// Where they are, without links on the way.
    seen: Vec<PathBuf>,
    found: Requirements,
}

impl Reading {
    fn add(&mut self, path: &Path) {
        let place = self.place(path);
        if place.as_ref().is_ok_and(|place| self.seen.contains(place)) {
            return;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(bytes) = place.and_then(|place| self.bytes(place)) else {
            self.found.uncacheable = Some(format!("{name} cannot be read"));
            return;
        };
        self.hasher.update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        let text = String::from_utf8_lossy(&bytes);
        for line in logical_lines(&text) {
            self.add_line(&line, path, &name);
        }
    }

    /// Where a file is, which must be below the app's root.
    fn place(&self, path: &Path) -> io::Result<PathBuf> {
        let place = fs_err::canonicalize(path)?;
        let own = place.starts_with(fs_err::canonicalize(&self.root)?);
        if own { Ok(place) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    fn bytes(&mut self, place: PathBuf) -> io::Result<Vec<u8>> {
        if self.seen.len() >= FILES {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let read = files::open_strange(&place).and_then(small);
        self.seen.push(place);
        read
    }

    fn add_line(&mut self, line: &str, path: &Path, name: &str) {
        match read_line(line) {
            Line::Includes(other) => self.add(&path.parent().unwrap_or(Path::new("")).join(other)),
            Line::EditableRepository(what) => {
                self.found.packages.insert(what.clone(), String::new());
                self.found.only_for_pip = Some(what);
            }
            Line::Local(what) => {
                self.found.uncacheable = Some(format!("{name} installs the directory {what}"));
            }
            Line::Index => self.found.has_own_index = true,
            Line::Package { name, what } => {
                let hashes = line.split("--hash").skip(1).map(|hash| hash.trim_matches([' ', '=']));
                let hashes: Vec<&str> = hashes.collect();
                if !hashes.is_empty() {
                    self.found.hashes.insert(name.clone(), hashes.join(" "));
                }
                self.found.packages.insert(name, what);
            }
            Line::Other => {}
        }
    }
}

fn small(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if !file.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Lines without their comments, those that end in `\` joined with the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut joined = String::new();
    for line in text.trim_start_matches('\u{feff}').lines() {
        let line = line.trim_end();
        if let Some(part) = line.strip_suffix('\\') {
            joined.push_str(part);
            continue;
        }
        joined.push_str(line);
        let whole = std::mem::take(&mut joined);
        let end = whole.find(" #").or(whole.trim_start().starts_with('#').then_some(0));
        let whole = whole[..end.unwrap_or(whole.len())].trim().to_owned();
        if !whole.is_empty() {
            lines.push(whole);
        }
    }
    lines
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Package { name: String, what: String },
    Includes(String),
    Local(String),
    EditableRepository(String),
    Index,
    Other,
}

fn read_line(line: &str) -> Line {
    for option in ["-r", "--requirement", "-c", "--constraint"] {
        if let Some(value) = option_value(line, option) {
            return Line::Includes(value);
        }
    }
    for option in ["-e", "--editable"] {
        if let Some(value) = option_value(line, option) {
            let repository = ["git+", "hg+", "svn+", "bzr+"].iter().any(|v| value.starts_with(v));
            return if repository { Line::EditableRepository(value) } else { Line::Local(value) };
        }
    }
    if ["-i", "--index-url"].iter().any(|option| option_value(line, option).is_some()) {
        return Line::Index;
    }
    let first = line.split_whitespace().next().unwrap_or_default();
    let local = first == "."
        || ["./", "../", "/", "file:"].iter().any(|start| first.starts_with(start))
        || line.contains("@ file:");
    if local {
        Line::Local(first.to_owned())
    } else if line.starts_with('-') {
        Line::Other
    } else {
        package(line)
    }
}

/// `Django[argon2]>=5.2,<6 ; python_version > "3.8" --hash=…`
fn package(line: &str) -> Line {
    let line = line.split(" --").next().unwrap_or_default();
    let end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    let (name, what) = line.split_at(end.unwrap_or(line.len()));
    let what: String = what.split_whitespace().collect::<Vec<_>>().join(" ");
    Line::Package { name: normalized(name), what }
}

/// As package indexes compare names.
pub(crate) fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

fn option_value(line: &str, option: &str) -> Option<String> {
    let rest = line.strip_prefix(option)?;
    let value = rest.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    let separated = rest.len() > value.len() || option.len() == 2;
    (separated && !value.is_empty()).then(|| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_packages_files_or_directories() {
        let check = |line: &str, expect: Line| assert_eq!(read_line(line), expect, "{line}");
        let package =
            |name: &str, what: &str| Line::Package { name: name.into(), what: what.into() };
        check("Django>=5.2,<6 --hash=sha256:ab", package("django", ">=5.2,<6"));
        check("ruamel.yaml_x [a]  == 1", package("ruamel-yaml-x", "[a] == 1"));
        check("-r base.txt", Line::Includes("base.txt".into()));
        check("-rbase.txt", Line::Includes("base.txt".into()));
        check("--requirement=base.txt", Line::Includes("base.txt".into()));
        check("--constraint c.txt", Line::Includes("c.txt".into()));
        check("-e .", Line::Local(".".into()));
        check("-e git+file:///x#egg=y", Line::EditableRepository("git+file:///x#egg=y".into()));
        check("./vendor/thing", Line::Local("./vendor/thing".into()));
        check("thing @ file:///x", Line::Local("thing".into()));
        check("--extra-index-url x", Line::Other);
        check("-i https://index.example/simple", Line::Index);
        check("--index-url=https://index.example/simple", Line::Index);
    }

    #[test]
    fn comments_and_broken_lines_are_put_in_order() {
        let text =
            "# all\nsix==1 # why\na==2 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n\n";
        let lines = logical_lines(text);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "six==1");
        assert!(lines[1].starts_with("a==2 ") && lines[1].ends_with("sha256:11"));
    }

    #[test]
    fn an_included_file_is_part_of_the_fingerprint() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.path().join(name), text).unwrap();
        write("requirements.txt", "-r base.txt\n");
        write("base.txt", "a==1\n-r requirements.txt\n");
        let before = read(root.path(), "requirements.txt");
        assert_eq!(before.packages, [("a".to_owned(), "==1".to_owned())].into());
        write("base.txt", "a==2 --hash=sha256:00\n");
        let after = read(root.path(), "requirements.txt");
        assert_ne!(before.fingerprint, after.fingerprint);
        assert_eq!(after.hashes["a"], "sha256:00");
        assert!(before.hashes.is_empty());
        write("base.txt", "-e .\n");
        let local = read(root.path(), "requirements.txt").uncacheable;
        assert_eq!(local.as_deref(), Some("base.txt installs the directory ."));
    }
    #[test]
    fn what_is_no_small_file_of_the_app_is_not_read() {
        let all = tempfile::tempdir().unwrap();
        let root = all.path().join("app");
        fs_err::create_dir_all(root.join("requirements")).unwrap();
        let write = |name: &str, text: &str| fs_err::write(root.join(name), text).unwrap();
        fs_err::write(all.path().join("outside.txt"), "secret==1\n").unwrap();
        fs_err::os::unix::fs::symlink("../outside.txt", root.join("link.txt")).unwrap();
        fs_err::os::unix::fs::symlink("requirements/base.txt", root.join("inside.txt")).unwrap();
        write("requirements/base.txt", "a==1\n-r more.txt\n");
        write("more.txt", "b==1\n-r requirements/../more.txt\n");
        write("huge.txt", &"six==1\n".repeat(200_000));
        let pipe = std::process::Command::new("mkfifo").arg(root.join("pipe.txt")).status();
        assert!(pipe.unwrap().success());
        let outside = all.path().join("outside.txt");
        let paths = ["../outside.txt", "link.txt", "huge.txt", "pipe.txt", "requirements"];
        for path in paths.into_iter().chain(["/dev/zero", outside.to_str().unwrap()]) {
            write("requirements.txt", &format!("-r {path}\nc==1\n-r inside.txt\n"));
            let found = read(&root, "requirements.txt");
            let name = Path::new(path).file_name().unwrap().to_str().unwrap();
            assert_eq!(found.uncacheable, Some(format!("{name} cannot be read")));
            assert_eq!(found.packages.into_keys().collect::<Vec<_>>(), ["a", "b", "c"], "{path}");
        }
    }

    #[test]
    fn files_that_include_each_other_without_end_come_to_one() {
        let root = tempfile::tempdir().unwrap();
        for number in 0..2 * FILES {
            let text = format!("package-{number}==1\n-r {}.txt\n", number + 1);
            fs_err::write(root.path().join(format!("{number}.txt")), text).unwrap();
        }
        let found = read(root.path(), "0.txt");
        assert_eq!(found.packages.len(), FILES);
        assert_eq!(found.uncacheable, Some(format!("{FILES}.txt cannot be read")));
    }
}
