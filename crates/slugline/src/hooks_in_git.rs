//! Hooks that are on the disk and not in the source, because git ignores them: on the server they
//! would be silently missing.

use std::path::Path;

use crate::source::{git, git_paths};

const HOOKS: [&str; 2] = ["bin/pre_compile", "bin/post_compile"];

/// A line about each hook that is left out, with the rule that leaves it out.
pub(crate) fn warnings(directory: &Path) -> Vec<String> {
    let Some(paths) = git_paths(directory) else { return Vec::new() };
    let left_out = |hook: &&str| {
        directory.join(hook).is_file() && !paths.iter().any(|path| path == Path::new(hook))
    };
    HOOKS.into_iter().filter(left_out).map(|hook| warning(directory, hook)).collect()
}

fn warning(directory: &Path, hook: &str) -> String {
    let rule = git(directory, &["check-ignore", "--verbose", hook]).and_then(|told| {
        let told = String::from_utf8(told).ok()?;
        let (place, _) = told.split_once('\t')?;
        let mut parts = place.splitn(3, ':');
        let (file, line, pattern) = (parts.next()?, parts.next()?, parts.next()?);
        Some(format!(" by `{pattern}`, line {line} of {file}"))
    });
    format!(
        "{hook} is left out of the source{}: it will not run. To add it: git add -f {hook}",
        rule.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_git_ignores_is_named_with_the_rule() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("bin")).unwrap();
        for name in ["a.py", "bin/pre_compile", "bin/post_compile"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(warnings(dir.path()), [""; 0], "there is no git");
        git(dir.path(), &["init", "-q"]).unwrap();
        assert_eq!(warnings(dir.path()), [""; 0], "git would add them");
        std::fs::write(dir.path().join(".gitignore"), "*.log\nbin/post*\n").unwrap();
        assert_eq!(
            warnings(dir.path()),
            [
                "bin/post_compile is left out of the source by `bin/post*`, line 2 of .gitignore: it \
              will not run. To add it: git add -f bin/post_compile"
            ]
        );
        git(dir.path(), &["add", "-f", "bin/post_compile"]).unwrap();
        assert_eq!(warnings(dir.path()), [""; 0]);
    }
}
