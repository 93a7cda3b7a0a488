//! Bytecode that stays valid in a slug, so that no dyno compiles and writes it again.
//!
//! A slug keeps no modification times, and Python compares them by default. Packages get bytecode
//! that is never compared with its source; the app's own code, which a person may edit in a one-off
//! dyno, gets bytecode that is compared by content.

use std::io;
use std::path::Path;
use std::process::Command;

use super::environment::{BuildEnvironment, python_home};
use super::error::PythonError;
use crate::builtin::Call;
use crate::program;

/// Bytes 4 to 8 of a `.pyc` say how it is compared (PEP 552): 0 by time, 1 never, 3 by content.
const NEVER_COMPARED: [u8; 4] = [1, 0, 0, 0];
const BY_TIME: [u8; 4] = [0; 4];

/// Settles all bytecode of the app, after the last thing that may have run it.
pub(crate) fn settle(call: &Call, environment: &BuildEnvironment) -> Result<(), PythonError> {
    settle_packages(&call.build_dir.join(".heroku/python"))
        .map_err(PythonError::io("settle the bytecode of packages"))?;
    compile_own_code(call, environment).map_err(PythonError::io("compile the app's bytecode"))
}

/// What hooks imported or installed has bytecode that is compared by time.
fn settle_packages(directory: &Path) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            settle_packages(&path)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "pyc") {
            settle_file(&path)?;
        }
    }
    Ok(())
}

fn settle_file(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileExt as _;
    let mut flags = [0; 4];
    let file = fs_err::File::open(path)?;
    if file.file().read_at(&mut flags, 4)? < 4 || flags != BY_TIME {
        return Ok(());
    }
    let file = fs_err::OpenOptions::new().write(true).open(path)?;
    file.file().write_all_at(&NEVER_COMPARED, 4)
}

/// A file that does not compile is the app's own affair: it may never be imported.
fn compile_own_code(call: &Call, environment: &BuildEnvironment) -> io::Result<()> {
    let mut command = Command::new(python_home(call).join("bin/python"));
    environment.apply(&mut command);
    command.args(["-m", "compileall", "-q", "-q", "-f", "--invalidation-mode", "checked-hash"]);
    command.args(["-x", r"/(\.heroku|node_modules|\.git)/", "-s"]).arg(&call.build_dir);
    command.arg("-p").arg(&call.app_dir).arg(&call.build_dir);
    program::run_quietly(&mut command).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytecode_compared_by_time_is_settled_and_other_bytecode_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let settled = |flags: u8| {
            let path = dir.path().join("x.pyc");
            fs_err::write(&path, [7, 7, 7, 7, flags, 0, 0, 0, 9, 9]).unwrap();
            settle_packages(dir.path()).unwrap();
            fs_err::read(&path).unwrap()[4]
        };
        assert_eq!([settled(0), settled(1), settled(3)], [1, 1, 3]);
        fs_err::write(dir.path().join("short.pyc"), [1]).unwrap();
        settle_packages(dir.path()).unwrap();
    }
}
