//! Sessions in files.

use crate::advice::{self, Framework};

use super::code::Line;
use super::{Cause, Finding, Said, Source};

/// Of files with these endings: whether a line is it, and of which framework.
type Rule = (&'static [&'static str], fn(&Line) -> bool, Framework);

pub(super) fn find(source: &Source) -> Vec<Finding> {
    let rules: [Rule; 4] = [
        (&[".py"], of_django, Framework::Django),
        (&[".py"], of_flask, Framework::Flask),
        (&[".js", ".mjs", ".cjs", ".ts", ".mts"], of_express, Framework::Node),
        (&[".php", ".ini"], of_php, Framework::Laravel),
    ];
    let mut findings = Vec::new();
    for (endings, is_it, framework) in rules {
        for file in source.ending(endings) {
            let lines = file.unconditional().filter(|line| is_it(line));
            findings.extend(lines.map(|line| said(framework).at(file, line)));
        }
    }
    findings
}

fn said(framework: Framework) -> Said {
    Said {
        cause: Cause::Sessions,
        why: "Sessions are files on the dyno's disk: whoever is signed in is signed out at each \
              restart, and whenever the next request goes to another dyno."
            .to_owned(),
        advice: advice::sessions(framework),
    }
}

fn of_django(line: &Line) -> bool {
    let value = line.value_of("SESSION_ENGINE");
    value.is_some_and(|value| value.contains("django.contrib.sessions.backends.file"))
}

fn of_flask(line: &Line) -> bool {
    let text = &line.text;
    let Some((key, value)) = text.split_once('=') else { return false };
    key.contains("SESSION_TYPE") && value.trim().trim_matches(['"', '\'']) == "filesystem"
}

fn of_express(line: &Line) -> bool {
    let loads = line.names("require(").is_some() || line.bare.trim_start().starts_with("import ");
    loads
        && ["\"session-file-store\"", "'session-file-store'"].iter().any(|s| line.text.contains(s))
}

/// A place of its own, or Laravel's files. PHP's default is not told here: it stands nowhere.
fn of_php(line: &Line) -> bool {
    let text = line.text.trim_start();
    let saves = line.names("session_save_path(").is_some_and(|at| !line.text[at..].contains("()"));
    let set = line.names("ini_set(").is_some() && text.contains("session.save_path");
    let in_ini = text.starts_with("session.save_path") && text.contains('/');
    saves || set || in_ini
}
