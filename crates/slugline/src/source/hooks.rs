//! Hooks that are on the disk and not in the source, because git ignores them: on the server they
//! would be silently missing.

use std::path::{Path, PathBuf};

use super::git;

const HOOKS: [&str; 2] = ["bin/pre_compile", "bin/post_compile"];

/// A line about each hook that is left out of these paths, with the rule that leaves it out.
/// `directory` is the source's, and the app is in `root` of it.
pub(super) fn warnings(directory: &Path, root: &Path, paths: &[PathBuf]) -> Vec<String> {
    let hooks = HOOKS.into_iter().map(|hook| root.join(hook));
    let left_out = |hook: &PathBuf| directory.join(hook).is_file() && !paths.contains(hook);
    hooks.filter(left_out).map(|hook| warning(directory, &hook.display().to_string())).collect()
}

fn warning(directory: &Path, hook: &str) -> String {
    let rule = git::run(directory, &["check-ignore", "--verbose", hook]).and_then(|told| {
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

    fn told(directory: &Path, root: &str) -> Vec<String> {
        let tracked = git::paths(directory).unwrap();
        warnings(directory, Path::new(root), &tracked.paths)
    }

    #[test]
    fn a_hook_that_git_ignores_is_named_with_the_rule() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("web/bin")).unwrap();
        for name in ["a.py", "web/bin/pre_compile", "web/bin/post_compile"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        git::run(dir.path(), &["init", "-q"]).unwrap();
        assert_eq!(told(dir.path(), "web"), [""; 0], "git would add them");
        std::fs::write(dir.path().join(".gitignore"), "*.log\npost*\n").unwrap();
        assert_eq!(
            told(dir.path(), "web"),
            ["web/bin/post_compile is left out of the source by `post*`, line 2 of .gitignore: \
              it will not run. To add it: git add -f web/bin/post_compile"]
        );
        assert_eq!(told(dir.path(), ""), [""; 0], "the app is elsewhere");
        git::run(dir.path(), &["add", "-f", "web/bin/post_compile"]).unwrap();
        assert_eq!(told(dir.path(), "web"), [""; 0]);
    }
}
