//! What this build wrote into the Python environment, made fit for a slug: bytecode that stays valid
//! without times, and the app's directory in the place of `BUILD_DIR`.
//!
//! Everything else came from the last build and is fit already, so one walk that looks at times is
//! all that most builds need.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::PythonError;
use super::{bytecode, paths};
use crate::builtin::Call;

/// Settles what was written since a moment. By the change time, since tools that unpack and copy set
/// the other one.
pub(crate) fn settle(call: &Call, since: SystemTime) -> Result<(), PythonError> {
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos().into());
    let home = call.build_dir.join(".heroku/python");
    settle_below(&home, since, &paths::Names::of(call))
        .map_err(PythonError::io("settle what was written into .heroku/python"))
}

/// `std::fs` and not `fs_err`: this is done for each of thousands of files, and the paths are only
/// wanted when it fails.
fn settle_below(directory: &Path, since: (i64, i64), names: &paths::Names) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            settle_below(&entry.path(), since, names)?;
        } else if kind.is_file() {
            let metadata = entry.metadata()?;
            if (metadata.ctime(), metadata.ctime_nsec()) >= since {
                settle_file(&entry.path(), names)?;
            }
        }
    }
    Ok(())
}

fn settle_file(path: &Path, names: &paths::Names) -> io::Result<()> {
    if path.extension().is_some_and(|end| end == "pyc") {
        bytecode::settle_file(path)
    } else if paths::may_hold_paths(path) {
        names.rewrite(path)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(root: &Path) -> Call {
        Call { build_dir: root.join("build"), app_dir: "/app".into(), ..Call::default() }
    }

    #[test]
    fn bytecode_compared_by_time_is_settled_and_other_bytecode_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let call = call(dir.path());
        let home = call.build_dir.join(".heroku/python/lib");
        fs_err::create_dir_all(&home).unwrap();
        let settled = |flags: u8, since| {
            let path = home.join("x.pyc");
            fs_err::write(&path, [7, 7, 7, 7, flags, 0, 0, 0, 9, 9]).unwrap();
            settle(&call, since).unwrap();
            fs_err::read(&path).unwrap()[4]
        };
        assert_eq!([0, 1, 3].map(|flags| settled(flags, UNIX_EPOCH)), [1, 1, 3]);
        let later = SystemTime::now() + std::time::Duration::from_mins(1);
        assert_eq!(settled(0, later), 0, "it is not this build's");
        fs_err::write(home.join("short.pyc"), [1]).unwrap();
        settle(&call, UNIX_EPOCH).unwrap();
    }

    #[test]
    fn an_editable_install_names_the_app_dir() {
        let dir = tempfile::tempdir().unwrap();
        let call = call(dir.path());
        let site = call.build_dir.join(".heroku/python/lib");
        fs_err::create_dir_all(&site).unwrap();
        let text = format!("{0}\n{0}/src\n", call.build_dir.display());
        fs_err::write(site.join("__editable__.app.pth"), &text).unwrap();
        fs_err::write(site.join("other.py"), &text).unwrap();
        settle(&call, UNIX_EPOCH).unwrap();
        let pth = fs_err::read_to_string(site.join("__editable__.app.pth")).unwrap();
        assert_eq!(pth, "/app\n/app/src\n");
        assert_eq!(fs_err::read_to_string(site.join("other.py")).unwrap(), text);
    }
}
