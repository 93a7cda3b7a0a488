//! A `.slugignore` means what git makes of the same lines, as long as nothing is negated.

use std::fs;
use std::process::Command;

use slugline_model::slugignore::Slugignore;

const PATTERNS: [&str; 24] = [
    "*.psd", "/docs", "docs/", "a/b", "a/**", "**/t", "a/**/z", "[a-c]x", "[!a]x", "?x", "\\#x",
    "#x", "a\\*", "[x", "x ", "*", "/*.x", "a/*", "**", "b", "/a/b/", "*x*", "**/b/**", "a*z",
];

const PATHS: [&str; 22] = [
    "a.psd", "b/c.psd", "docs", "a/docs", "a/b", "c/a/b", "a/b/c", "t", "a/t", "a/z", "a/b/z",
    "a/b/c/z", "ax", "bx", "dx", "#x", "a*", "[x", "x", "y.x", "abz", "b/q",
];

/// What git ignores of paths that are files.
fn by_git(pattern: &str) -> Vec<String> {
    let directory = std::env::temp_dir().join(format!("slugignore-{}", std::process::id()));
    fs::create_dir_all(&directory).expect("a directory for git");
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", "core.excludesFile=/dev/null"]).args(arguments);
        command.current_dir(&directory).env_remove("GIT_DIR").output().expect("git runs").stdout
    };
    git(&["init", "-q"]);
    fs::write(directory.join(".gitignore"), pattern).expect("a .gitignore");
    let ignored = git(&[&["check-ignore", "--no-index"], PATHS.as_slice()].concat());
    fs::remove_dir_all(&directory).expect("the directory is removed");
    String::from_utf8_lossy(&ignored)
        .lines()
        .map(|line| line.trim_matches('"').to_owned())
        .collect()
}

/// What a walk over the tree leaves out: a path, or a directory above it.
fn by_us(pattern: &str) -> Vec<String> {
    let slugignore = Slugignore::parse(pattern);
    let above =
        |path: &str| path.match_indices('/').any(|(at, _)| slugignore.ignores(&path[..at], true));
    let ignored = |path: &&str| slugignore.ignores(path, false) || above(path);
    PATHS.into_iter().filter(ignored).map(str::to_owned).collect()
}

#[test]
fn git_ignores_the_same_paths() {
    for pattern in PATTERNS {
        assert_eq!(by_us(pattern), by_git(pattern), "{pattern}");
    }
}
