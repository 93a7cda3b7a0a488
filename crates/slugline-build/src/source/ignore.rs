//! What of the source, and of the built tree, is no part of a slug.

use std::io;
use std::path::Path;

use slugline_model::slugignore::Slugignore;

use crate::{files, log};

/// Removes what `.slugignore` names, and `.git`, before any buildpack looks.
pub(crate) fn remove_ignored(root: &Path) -> io::Result<()> {
    files::remove(&root.join(".git"))?;
    let path = root.join(".slugignore");
    if !path.is_file() {
        return Ok(());
    }
    let slugignore = Slugignore::parse(&String::from_utf8_lossy(&fs_err::read(path)?));
    for line in slugignore.negations() {
        log::warning(format!(".slugignore: `{line}` has no effect: there is no `!` negation"));
    }
    let removed = remove_below(&slugignore, root, "")?;
    if removed > 0 {
        let plural = if removed == 1 { "y" } else { "ies" };
        log::detail(format!("Left out {removed} entr{plural} of the source, as .slugignore says"));
    }
    Ok(())
}

fn remove_below(slugignore: &Slugignore, directory: &Path, prefix: &str) -> io::Result<u64> {
    let mut removed = 0;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let is_directory = entry.file_type()?.is_dir();
        if slugignore.ignores(&name, is_directory) {
            files::remove(&entry.path())?;
            removed += 1;
        } else if is_directory {
            removed += remove_below(slugignore, &entry.path(), &format!("{name}/"))?;
        }
    }
    Ok(removed)
}

/// Empties the app's `tmp` after the build, as Heroku does when it packs. The directory stays: apps
/// put their pid files there.
pub(crate) fn empty_tmp(root: &Path) -> io::Result<()> {
    let tmp = root.join("tmp");
    if !tmp.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    for entry in fs_err::read_dir(&tmp)? {
        files::remove(&entry?.path())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_files_are_gone_before_detection() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs_err::create_dir_all(path("docs/deep")).unwrap();
        fs_err::create_dir_all(path(".git")).unwrap();
        fs_err::create_dir_all(path("src")).unwrap();
        for name in ["docs/deep/a", "src/a.psd", "src/b"] {
            fs_err::write(path(name), "").unwrap();
        }
        fs_err::write(path(".slugignore"), "/docs\n*.psd\n").unwrap();
        remove_ignored(root.path()).unwrap();
        assert!(!path("docs").exists() && !path("src/a.psd").exists() && !path(".git").exists());
        assert!(path("src/b").exists());
    }

    #[test]
    fn tmp_is_emptied_and_stays() {
        let root = tempfile::tempdir().unwrap();
        fs_err::create_dir_all(root.path().join("tmp/pids")).unwrap();
        empty_tmp(root.path()).unwrap();
        assert_eq!(fs_err::read_dir(root.path().join("tmp")).unwrap().count(), 0);
    }
}
