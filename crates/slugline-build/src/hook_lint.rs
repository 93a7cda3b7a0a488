//! What will go wrong with an app's hooks, said before anything runs.
//!
//! A hook that is silently missing, or that fails halfway and goes on, costs its author a release
//! with half of its files. Nothing here ends a build but a first line that no kernel can run.

use std::path::Path;

use slugline_model::slugignore::Slugignore;

use crate::hook::{self, HookError};
use crate::log;
use crate::shell_script::{self, Worry};

/// The hooks there are.
const HOOKS: [&str; 2] = ["bin/pre_compile", "bin/post_compile"];

/// Larger files are programs, not scripts (bytes).
const SCRIPT_LIMIT: u64 = 256 * 1024;

/// The hooks of a source before `.slugignore` takes effect.
#[derive(Debug)]
pub(crate) struct HooksOfSource(Vec<&'static str>);

impl HooksOfSource {
    /// Looks for them.
    pub(crate) fn of(root: &Path) -> Self {
        Self(HOOKS.into_iter().filter(|hook| root.join(hook).is_file()).collect())
    }

    /// Says what is wrong with them, once `.slugignore` has taken effect. An error where a hook that
    /// is going to run cannot be run.
    pub(crate) fn lint(&self, root: &Path, hooks_run: bool) -> Result<(), HookError> {
        for hook in &self.0 {
            if !root.join(hook).is_file() {
                log::warning(ignored(root, hook));
            }
        }
        for line in misnamed(root) {
            log::warning(line);
        }
        for hook in HOOKS {
            lint(root, hook, hooks_run)?;
        }
        Ok(())
    }
}

fn ignored(root: &Path, hook: &str) -> String {
    let text = fs_err::read_to_string(root.join(".slugignore")).unwrap_or_default();
    let names_it = |line: &&str| {
        let one = Slugignore::parse(line);
        one.ignores(hook, false) || one.ignores("bin", true)
    };
    let by = text.lines().find(names_it).map_or_else(String::new, |line| format!(" by `{line}`"));
    format!("{hook} is left out{by} in .slugignore: it will not run")
}

/// Files in `bin` whose names are almost those of hooks, where the hook itself is missing.
fn misnamed(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs_err::read_dir(root.join("bin")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(hook) = meant(&name) else { continue };
        if entry.path().is_file() && !root.join(hook).exists() {
            lines.push(format!("bin/{name} is not run: the hook's name is {hook}"));
        }
    }
    lines.sort();
    lines
}

/// `post-compile.sh` was meant as `bin/post_compile`.
fn meant(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let stem = ["sh", "bash", "py", "rb", "js"]
        .iter()
        .find_map(|end| lower.strip_suffix(end)?.strip_suffix('.'))
        .unwrap_or(&lower);
    let letters: String = stem.chars().filter(|c| !matches!(c, '-' | '_' | ' ')).collect();
    let hook = match letters.as_str() {
        "precompile" => HOOKS[0],
        "postcompile" => HOOKS[1],
        _ => return None,
    };
    (hook.strip_prefix("bin/") != Some(name)).then_some(hook)
}

fn lint(root: &Path, hook: &str, hooks_run: bool) -> Result<(), HookError> {
    let path = root.join(hook);
    let is_script = path.metadata().is_ok_and(|found| found.len() <= SCRIPT_LIMIT);
    let Some(text) = fs_err::read(&path).ok().filter(|_| is_script && path.is_file()) else {
        return Ok(());
    };
    let Ok(text) = String::from_utf8(text) else { return Ok(()) };
    if let Some(shebang) = hook::windows_shebang(&text) {
        if hooks_run {
            return Err(HookError::WindowsLineEndings { hook: hook.to_owned(), shebang });
        }
        log::warning(format!("{hook} has Windows line endings in `{shebang}`: it could not run"));
    }
    for worry in shell_script::worries(&text) {
        log::warning(said(hook, &worry));
    }
    Ok(())
}

fn said(hook: &str, worry: &Worry) -> String {
    match worry {
        Worry::GoesOn { line, command } => format!(
            "{hook}: a command that fails does not fail the build, such as line {line}, `{command}`\n\
             Add `set -e` as its second line."
        ),
        Worry::Sudo { line } => format!(
            "{hook}, line {line}: there is no `sudo` in a build, and nothing to be root for"
        ),
        Worry::OtherSystem { line, path } => {
            format!("{hook}, line {line}: `{path}` is a path of macOS; a build runs on Linux")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_meant_as_hooks_are_known() {
        for name in
            ["post-compile", "postcompile", "post_compile.sh", "Post_Compile", "post.compile"]
        {
            let expected = (name != "post.compile").then_some("bin/post_compile");
            assert_eq!(meant(name), expected, "{name}");
        }
        assert_eq!(meant("pre-compile.bash"), Some("bin/pre_compile"));
        for name in ["post_compile", "pre_compile", "compile", "deploy", ".sh"] {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn the_rule_that_leaves_a_hook_out_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join(".slugignore"), "# hm\n*.md\nbin/\n").unwrap();
        assert_eq!(
            ignored(root.path(), "bin/post_compile"),
            "bin/post_compile is left out by `bin/` in .slugignore: it will not run"
        );
    }
}
