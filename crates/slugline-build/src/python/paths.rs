//! Paths into `BUILD_DIR`, which is gone when the app runs, replaced by where the app will be.

use std::io;
use std::path::Path;

use crate::builtin::Call;

/// An editable install leaves the app's own path behind, in a handful of small files.
const LARGEST: u64 = 1 << 20;

/// The two names of the app's directory.
pub(crate) struct Names<'a> {
    build_dir: &'a [u8],
    app_dir: &'a [u8],
}

impl<'a> Names<'a> {
    pub(crate) fn of(call: &'a Call) -> Self {
        Self { build_dir: path_bytes(&call.build_dir), app_dir: path_bytes(&call.app_dir) }
    }

    /// Rewrites `BUILD_DIR` to the app's directory in a file.
    pub(crate) fn rewrite(&self, path: &Path) -> io::Result<()> {
        if self.build_dir == self.app_dir {
            return Ok(());
        }
        rewrite_file(path, self.build_dir, self.app_dir)
    }
}

/// Scripts, `.pth` files, editable installs and what else names directories.
pub(crate) fn may_hold_paths(path: &Path) -> bool {
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
