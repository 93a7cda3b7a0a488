//! Rules of what people and package clients read: links, commands, the change log, lock files.

use std::path::{Component, Path, PathBuf};

use crate::files::File;
use crate::finding::Finding;

/// How every README's reader starts: a line of a code block with this in it.
const START: &str = "up examples/library";

fn finding(file: &File, line: usize, rule: String, advice: &str) -> Finding {
    Finding { path: file.path.clone(), line, rule, advice: advice.to_owned() }
}

/// Addresses of packages in a lock file: whoever builds chooses where packages come from.
pub(crate) fn registries(file: &File) -> Vec<Finding> {
    let locks = ["package-lock.json", "npm-shrinkwrap.json", "yarn.lock"];
    if !locks.contains(&file.name()) {
        return vec![];
    }
    let advice = "make the lock file anew without addresses (npm: omit-lockfile-registry-resolved)";
    let names_host = |line: &str| {
        line.trim_start().trim_start_matches('"').starts_with("resolved") && line.contains("://")
    };
    file.lines()
        .filter(|(_, line)| names_host(line))
        .map(|(number, _)| finding(file, number, "names a registry's host".into(), advice))
        .collect()
}

/// Relative links of a document to what does not exist.
pub(crate) fn dead_links(file: &File, exists: &dyn Fn(&Path) -> bool) -> Vec<Finding> {
    if !file.has_extension(&["md"]) {
        return vec![];
    }
    let folder = Path::new(&file.path).parent().unwrap_or(Path::new(""));
    let mut findings = vec![];
    for (number, line) in prose(file) {
        for link in links(line) {
            let target = normal(&folder.join(link.split('#').next().unwrap_or_default()));
            if !target.is_some_and(|path| exists(&path)) {
                let rule = format!("the link `{link}` leads nowhere");
                findings.push(finding(file, number, rule, "correct the link, or remove it"));
            }
        }
    }
    findings
}

/// Targets of `[text](target)` that lie in the repository.
fn links(line: &str) -> impl Iterator<Item = &str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    targets.filter(|target| {
        let outside = target.contains("://") || target.starts_with("mailto:");
        !outside && !target.starts_with('#') && !target.is_empty()
    })
}

/// Without `.` and `..`; nothing where it leaves the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => normal.push(name),
            Component::CurDir => {}
            Component::ParentDir if normal.pop() => {}
            _ => return None,
        }
    }
    Some(normal)
}

/// Lines outside code blocks.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    parted(file).filter(|(_, _, is_code)| !is_code).map(|(number, line, _)| (number, line))
}

/// Lines of code blocks, without indentation and prompts.
fn commands(file: &File) -> impl Iterator<Item = &str> {
    let lines = parted(file).filter(|(_, _, is_code)| *is_code);
    lines.map(|(_, line, _)| line.trim().trim_start_matches("$ "))
}

fn parted(file: &File) -> impl Iterator<Item = (usize, &str, bool)> {
    let mut inside = false;
    file.lines().map(move |(number, line)| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        (number, line, inside || fence)
    })
}

/// The README's command that runs all tests.
pub(crate) fn test_command(readme: &File) -> Option<String> {
    commands(readme).find(|line| line.starts_with("cargo test")).map(str::to_owned)
}

/// The two commands that a README has to have.
pub(crate) fn missing_commands(readme: &File) -> Vec<Finding> {
    let mut findings = vec![];
    if !commands(readme).any(|line| line.contains(START)) {
        let advice = format!("show in a code block how to start: a line with `{START}`");
        findings.push(finding(readme, 0, "no command that starts the example".into(), &advice));
    }
    if test_command(readme).is_none() {
        let advice = "show in a code block how to test: a line that begins with `cargo test`";
        findings.push(finding(readme, 0, "no command that runs the tests".into(), advice));
    }
    findings
}

/// Whether CI runs exactly the command that strangers are told to run.
pub(crate) fn ci_without(script: &File, command: &str) -> Option<Finding> {
    let runs = script.lines().any(|(_, line)| line.trim() == command);
    let advice = "make it a line of its own, exactly as README.md has it";
    (!runs).then(|| finding(script, 0, format!("does not run `{command}`"), advice))
}

pub(crate) fn no_unreleased(changelog: &File) -> Option<Finding> {
    let has = changelog.lines().any(|(_, line)| {
        line.strip_prefix("## ").is_some_and(|title| title.trim_matches(['[', ']']) == "Unreleased")
    });
    let advice = "add `## Unreleased` above the releases, and what changed below it";
    (!has).then(|| finding(changelog, 0, "no Unreleased section".into(), advice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::file;

    #[test]
    fn an_address_in_a_lock_file_is_found() {
        let text = "{\n  \"resolved\": \"https://registry.example/react.tgz\",\n  \"x\": 1\n}";
        assert_eq!(registries(&file("a/package-lock.json", text))[0].line, 2);
        assert!(registries(&file("a/package.json", text)).is_empty());
        let funding = "  \"funding\": {\n    \"url\": \"https://react.example\"\n  }";
        assert!(registries(&file("package-lock.json", funding)).is_empty());
    }

    #[test]
    fn a_link_is_followed_from_where_its_document_lies() {
        let exists = |path: &Path| path == Path::new("docs/a.md") || path == Path::new("README.md");
        let dead = |text| {
            let found = dead_links(&file("docs/b.md", text), &exists);
            found.into_iter().map(|f| (f.line, f.rule)).collect::<Vec<_>>()
        };
        assert_eq!(dead("[a](a.md) [r](../README.md#top) [w](https://x.example) [t](#x)"), []);
        assert_eq!(dead("```\n[a](b.md)\n```\n"), []);
        assert_eq!(dead("\n[a](b.md)"), [(2, "the link `b.md` leads nowhere".to_owned())]);
        assert_eq!(dead("[a](../../outside.md)").len(), 1);
    }

    #[test]
    fn a_readme_without_its_commands_is_found() {
        let good = "```sh\ncargo run -- up examples/library\n```\n```sh\n$ cargo test --all\n```\n";
        assert!(missing_commands(&file("README.md", good)).is_empty());
        assert_eq!(test_command(&file("README.md", good)).unwrap(), "cargo test --all");
        let prose = "cargo test, then up examples/library";
        assert_eq!(missing_commands(&file("README.md", prose)).len(), 2);
    }

    #[test]
    fn ci_has_to_run_what_the_readme_says() {
        let script = file(".ci/run", "set -e\n  cargo test --workspace\n");
        assert_eq!(ci_without(&script, "cargo test --workspace"), None);
        assert!(ci_without(&script, "cargo test").is_some());
    }

    #[test]
    fn a_changelog_without_an_unreleased_section_is_found() {
        assert_eq!(no_unreleased(&file("CHANGELOG.md", "# Changes\n## [Unreleased]\n")), None);
        assert!(no_unreleased(&file("CHANGELOG.md", "# Unreleased\n## 1.0\n")).is_some());
    }
}
