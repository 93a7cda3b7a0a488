//! Writes a built-in buildpack as what every buildpack is: a directory with four scripts.

use std::io;
use std::path::Path;

use super::Builtin;
use crate::files;

/// What the scripts have to know beside their arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scripts<'a> {
    /// Where the slug will be when it runs.
    pub(crate) app_dir: &'a Path,
    /// The tree of the app's last build, if it is kept.
    pub(crate) last_tree: Option<&'a Path>,
    /// Where measures and the failure are recorded.
    pub(crate) record: &'a Path,
}

impl Scripts<'_> {
    /// Writes the four scripts, which call the program that is running now.
    pub(crate) fn write(&self, builtin: Builtin, directory: &Path) -> io::Result<()> {
        let program = files::own_program()?;
        let bin = directory.join("bin");
        fs_err::create_dir_all(&bin)?;
        let last_tree = self.last_tree.map(|path| format!("--last-tree {} ", quote(path)));
        for phase in ["detect", "compile", "release", "report"] {
            let script = format!(
                "#!/bin/bash\nexec {} buildpack {} {phase} --app-dir {} {}--record {} \
                 --buildpack-dir {} -- \"$@\"\n",
                quote(&program),
                builtin.name(),
                quote(self.app_dir),
                last_tree.as_deref().unwrap_or_default(),
                quote(self.record),
                quote(directory),
            );
            let path = bin.join(phase);
            fs_err::write(&path, script)?;
            files::make_executable(&path)?;
        }
        Ok(())
    }
}

/// A word that bash takes as it is.
fn quote(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_is_one_word() {
        assert_eq!(quote(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
