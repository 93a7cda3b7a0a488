//! Paths into `BUILD_DIR`, which is gone when the app runs, replaced by where the app will be.

use std::io;
use std::path::Path;

use super::error::PythonError;
use crate::builtin::Call;

/// An editable install leaves the app's own path behind, in a handful of small files.
const LARGEST: u64 = 1 << 20;

/// Rewrites `BUILD_DIR` to the app's directory in scripts, `.pth` files and editable installs.
pub(crate) fn name_the_app_dir(call: &Call) -> Result<(), PythonError> {
    let (from, to) = (path_bytes(&call.build_dir), path_bytes(&call.app_dir));
    if from == to {
        return Ok(());
    }
    let home = call.build_dir.join(".heroku/python");
    rewrite_below(&home, from, to).map_err(PythonError::io("rewrite paths in .heroku/python"))
}

fn rewrite_below(directory: &Path, from: &[u8], to: &[u8]) -> io::Result<()> {
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            rewrite_below(&entry.path(), from, to)?;
        } else if kind.is_file() && may_hold_paths(&entry.path()) {
            rewrite_file(&entry.path(), from, to)?;
        }
    }
    Ok(())
}

fn may_hold_paths(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let in_bin = path.parent().is_some_and(|parent| parent.ends_with(".heroku/python/bin"));
    in_bin
        || name.starts_with("__editable__")
        || name.starts_with("_sysconfigdata")
        || [".pth", ".egg-link", "direct_url.json", ".cfg", ".pc"]
            .iter()
            .any(|end| name.ends_with(end))
}

fn rewrite_file(path: &Path, from: &[u8], to: &[u8]) -> io::Result<()> {
    if path.metadata()?.len() > LARGEST {
        return Ok(());
    }
    let bytes = fs_err::read(path)?;
    let is_text = !bytes.contains(&0);
    match is_text.then(|| replaced(&bytes, from, to)).flatten() {
        // Not in place: the file may be one with the one that is kept for the next build.
        Some(rewritten) => {
            let permissions = path.metadata()?.permissions();
            fs_err::remove_file(path)?;
            fs_err::write(path, rewritten)?;
            fs_err::set_permissions(path, permissions)
        }
        None => Ok(()),
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    if out.is_empty() && rest.len() == bytes.len() {
        return None;
    }
    out.extend_from_slice(rest);
    Some(out)
}

fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editable_install_names_the_app_dir() {
        let dir = tempfile::tempdir().unwrap();
        let build_dir = dir.path().join("build");
        let site = build_dir.join(".heroku/python/lib");
        fs_err::create_dir_all(&site).unwrap();
        let text = format!("{0}\n{0}/src\n", build_dir.display());
        fs_err::write(site.join("__editable__.app.pth"), &text).unwrap();
        fs_err::write(site.join("other.py"), &text).unwrap();
        let call = Call { build_dir, app_dir: "/app".into(), ..Call::default() };
        name_the_app_dir(&call).unwrap();
        let pth = fs_err::read_to_string(site.join("__editable__.app.pth")).unwrap();
        assert_eq!(pth, "/app\n/app/src\n");
        assert_eq!(fs_err::read_to_string(site.join("other.py")).unwrap(), text);
    }
}
