//! Bytecode that stays valid in a slug, so that no dyno compiles and writes it again.
//!
//! A slug keeps no modification times, and Python compares them by default. Packages get bytecode
//! that is never compared with its source; the app's own code, which a person may edit in a one-off
//! dyno, gets bytecode that is compared by content, and is kept by content from build to build.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use super::version::Version;
use crate::builtin::Call;
use crate::{files, program};

/// Bytes 4 to 8 of a `.pyc` say how it is compared (PEP 552): 0 by time, 1 never, 3 by content.
const NEVER_COMPARED: [u8; 4] = [1, 0, 0, 0];
const BY_TIME: [u8; 4] = [0; 4];

/// Packages that no app imports as it runs.
const OF_INSTALLERS: [&str; 4] = ["pip", "setuptools", "pkg_resources", "_distutils_hack"];

/// Directories of an app that hold no code of its own.
const NOT_OWN: [&str; 3] = [".heroku", "node_modules", ".git"];

/// Compiles the app's own code, after the last thing that may have run it.
pub(crate) fn compile_own(
    call: &Call,
    environment: &BuildEnvironment,
    version: Version,
) -> Result<(), PythonError> {
    OwnCode { call, environment, version }
        .compile()
        .map_err(PythonError::io("compile the app's bytecode"))
}

/// What installers and hooks imported has bytecode that is compared by time.
pub(crate) fn settle_file(path: &Path) -> io::Result<()> {
    let mut bytes = fs_err::read(path)?;
    match bytes.get_mut(4..8) {
        Some(flags) if *flags == BY_TIME => flags.copy_from_slice(&NEVER_COMPARED),
        _ => return Ok(()),
    }
    // Not in place: the file may be one with the one that is kept for the next build.
    files::remove(path)?;
    fs_err::write(path, bytes)
}

/// Compiles the packages that came without bytecode into an environment that is otherwise compiled:
/// a package client would compile all of them again.
pub(crate) fn compile_new_packages(
    call: &Call,
    environment: &BuildEnvironment,
    version: Version,
) -> Result<(), PythonError> {
    let mut missing = Vec::new();
    let mut compile = || {
        let library = python_home(call).join("lib").join(format!("python{}", version.series()));
        find_missing(&library.join("site-packages"), version, &mut missing)?;
        compile_files(call, environment, &missing, &["unchecked-hash".as_ref()])
    };
    compile().map_err(PythonError::io("compile the bytecode of packages"))
}

fn find_missing(directory: &Path, version: Version, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            if !OF_INSTALLERS.iter().any(|name| entry.file_name() == *name) {
                find_missing(&path, version, out)?;
            }
        } else if kind.is_file() && is_source(&path) && !bytecode_of(&path, version).exists() {
            out.push(path);
        }
    }
    Ok(())
}

fn is_source(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "py")
}

/// `a/__pycache__/b.cpython-311.pyc` of `a/b.py`.
fn bytecode_of(source: &Path, version: Version) -> PathBuf {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let name = format!("{stem}.cpython-{}{}.pyc", version.major, version.minor);
    source.with_file_name("__pycache__").join(name)
}

/// A file that does not compile is the app's own affair: it may never be imported.
fn compile_files(
    call: &Call,
    environment: &BuildEnvironment,
    sources: &[PathBuf],
    mode: &[&OsStr],
) -> io::Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for source in sources {
        let _ = writeln!(list, "{}", source.display());
    }
    let path = call.cache_dir.join("python/to-compile");
    fs_err::create_dir_all(call.cache_dir.join("python"))?;
    fs_err::write(&path, list)?;
    let mut command = Command::new(python_home(call).join("bin/python"));
    environment.apply(&mut command);
    command.args(["-m", "compileall", "-q", "-q", "-f", "--invalidation-mode"]);
    command.args(mode).arg("-i").arg(&path);
    program::run_quietly(&mut command)?;
    fs_err::remove_file(path)
}

/// The app's own code, and the bytecode that is kept of it.
struct OwnCode<'a> {
    call: &'a Call,
    environment: &'a BuildEnvironment,
    version: Version,
}

impl OwnCode<'_> {
    fn compile(&self) -> io::Result<()> {
        let mut sources = Vec::new();
        find_own(&self.call.build_dir, &mut sources)?;
        fs_err::create_dir_all(self.kept(""))?;
        let mut missing = Vec::new();
        let mut used = BTreeSet::new();
        for source in sources {
            let key = self.key(&source)?;
            let bytecode = bytecode_of(&source, self.version);
            match fs_err::read(self.kept(&key)) {
                // It did not compile the last time.
                Ok(bytes) if bytes.is_empty() => files::remove(&bytecode)?,
                Ok(bytes) => write_new(&bytecode, &bytes)?,
                Err(_) => {
                    files::remove(&bytecode)?;
                    missing.push((source, key.clone()));
                }
            }
            used.insert(key);
        }
        let to_compile: Vec<_> = missing.iter().map(|(source, _)| source.clone()).collect();
        // Named after the place where it will run.
        let (from, to) = (self.call.build_dir.as_os_str(), self.call.app_dir.as_os_str());
        let mode = ["checked-hash".as_ref(), "-s".as_ref(), from, "-p".as_ref(), to];
        compile_files(self.call, self.environment, &to_compile, &mode)?;
        for (source, key) in missing {
            let bytes = fs_err::read(bytecode_of(&source, self.version)).unwrap_or_default();
            files::write_atomically(&self.kept(&key), &bytes)?;
        }
        self.forget_all_but(&used)
    }

    /// Bytecode depends on the interpreter, and names the path of its source.
    fn key(&self, source: &Path) -> io::Result<String> {
        let below = source.strip_prefix(&self.call.build_dir).unwrap_or(source);
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{} {}\0", self.version, self.call.app_dir.display()).as_bytes());
        hasher.update(below.as_os_str().as_encoded_bytes()).update(b"\0");
        hasher.update(&fs_err::read(source)?);
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn kept(&self, key: &str) -> PathBuf {
        self.call.cache_dir.join("python/bytecode").join(key)
    }

    fn forget_all_but(&self, used: &BTreeSet<String>) -> io::Result<()> {
        for entry in fs_err::read_dir(self.kept(""))? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| used.contains(name)) {
                files::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn find_own(directory: &Path, out: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            if !NOT_OWN.iter().any(|name| entry.file_name() == *name) {
                find_own(&path, out)?;
            }
        } else if kind.is_file() && is_source(&path) {
            out.push(path);
        }
    }
    Ok(())
}

/// In the place of whatever is there, which the source may have brought.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs_err::create_dir_all(directory)?;
    }
    files::remove(path)?;
    fs_err::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_stands_where_python_looks_for_it() {
        let version = super::super::version::parse("3.11.2").unwrap();
        let path = bytecode_of(Path::new("a/b.py"), version);
        assert_eq!(path, Path::new("a/__pycache__/b.cpython-311.pyc"));
    }
}
