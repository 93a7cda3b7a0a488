//! Config vars whose values got into the slug: a secret that webpack put into what browsers fetch,
//! a `.env` that a hook wrote, the bytecode of a settings file.
//!
//! Said with the config var's name and the place, never with the value. The app's config var
//! `SLUGLINE_LEAKS` says what follows: `warn`, which is the default, `fail`, or `off`.

mod scan;
mod secret;

use std::path::Path;

use slugline_model::build::Leak;
use slugline_model::config_vars::ConfigVars;
use slugline_model::message::Message;
use slugline_model::size;

use crate::snapshot::Snapshot;
use crate::{env_dir, log};

/// The config var by which an app says what follows from a leak.
const SWITCH: &str = "SLUGLINE_LEAKS";

/// How many places are named in a build's output.
const SHOWN: usize = 10;

/// What follows from a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Policy {
    Off,
    Warn,
    Fail,
}

/// Looks for leaks and warns of them. `source` is the tree before anything was built in it.
///
/// The error is what was found, where the app asks for that to end its build.
pub(crate) fn check(
    root: &Path,
    env_dir: &Path,
    source: &Snapshot,
    built: &Snapshot,
) -> Result<Vec<Leak>, Vec<Leak>> {
    let vars = env_dir::read(env_dir).unwrap_or_default();
    let policy = policy(&vars);
    let secrets = secret::secrets(&vars);
    if policy == Policy::Off || secrets.is_empty() {
        return Ok(Vec::new());
    }
    let leaks = scan::scan(root, &built.regular_files(source), &secrets);
    if leaks.is_empty() {
        return Ok(leaks);
    }
    if policy == Policy::Fail {
        return Err(leaks);
    }
    for line in warning(&leaks) {
        log::warning(line);
    }
    Ok(leaks)
}

fn policy(vars: &ConfigVars) -> Policy {
    match vars.get(SWITCH).map(|value| value.trim()) {
        None | Some("warn" | "") => Policy::Warn,
        Some("off") => Policy::Off,
        Some("fail") => Policy::Fail,
        Some(_) => {
            log::warning(format!("{SWITCH} has no such value: it can be `warn`, `fail` or `off`"));
            Policy::Warn
        }
    }
}

/// The names of the config vars, each once.
fn names(leaks: &[Leak]) -> String {
    let mut names: Vec<&str> = leaks.iter().map(|leak| leak.config_var.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(", ")
}

fn places(leaks: &[Leak]) -> Vec<String> {
    let mut lines: Vec<String> = leaks.iter().take(SHOWN).map(place).collect();
    if leaks.len() > SHOWN {
        let more = size::count((leaks.len() - SHOWN) as u64);
        lines.push(format!("… and {more} more: slugline builds:info --json"));
    }
    lines
}

fn place(leak: &Leak) -> String {
    format!("{}: {}", leak.config_var, leak.place())
}

fn warning(leaks: &[Leak]) -> Vec<String> {
    let mut lines = vec![format!("The slug holds values of config vars: {}", names(leaks))];
    lines.extend(places(leaks).into_iter().map(|place| format!("  {place}")));
    lines.push(advice(leaks));
    lines.push(format!("To let such a build fail: heroku config:set {SWITCH}=fail"));
    lines
}

fn advice(leaks: &[Leak]) -> String {
    let (in_source, built): (Vec<&Leak>, Vec<&Leak>) =
        leaks.iter().partition(|leak| leak.in_source);
    let mut advice = Vec::new();
    if !built.is_empty() {
        advice.push("Whoever gets these files has the values, a browser too if they are served.");
    }
    if !in_source.is_empty() {
        advice.push("What came in the source is in its history too: change those values.");
    }
    advice.join("\n")
}

/// What to tell the app's author, where leaks end a build.
pub(crate) fn explain(leaks: &[Leak]) -> Message {
    Message {
        what: format!("The slug holds values of config vars: {}", names(leaks)),
        found: places(leaks).join("\n"),
        allowed: format!(
            "{}\nConfig vars belong into the environment of dynos. Those meant for browsers are \
             not looked for: their names start with {}.",
            advice(leaks),
            secret::PUBLIC_PREFIXES.join(", ")
        ),
        next: format!(
            "keep them out of what the build writes, then build again: slugline up; or heroku \
             config:set {SWITCH}=warn"
        ),
        state: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leak(path: &str, line: Option<u64>, base64: bool, in_source: bool) -> Leak {
        let config_var = "SECRET_KEY".to_owned();
        Leak { config_var, path: path.to_owned(), line, offset: 1_234, base64, in_source }
    }

    #[test]
    fn a_leak_is_told_by_its_place() {
        assert_eq!(
            place(&leak("build/main.js", Some(3), false, false)),
            "SECRET_KEY: build/main.js, line 3"
        );
        assert_eq!(
            place(&leak("a\u{1b}.pyc", None, true, true)),
            "SECRET_KEY: a?.pyc, byte 1,234, in base64, as it came in the source"
        );
        let many: Vec<Leak> =
            (0..12).map(|n| leak(&n.to_string(), Some(1), false, false)).collect();
        assert_eq!(places(&many).len(), SHOWN + 1);
        assert_eq!(places(&many)[SHOWN], "… and 2 more: slugline builds:info --json");
    }

    #[test]
    fn the_message_has_all_its_parts() {
        let message = explain(&[leak("main.js", Some(3), false, false)]);
        assert_eq!(message.silent_parts(), ["state"], "the platform adds that one");
        insta::assert_snapshot!(message.gutter());
    }

    #[test]
    fn the_switch_is_a_config_var() {
        let policy = |value: &str| policy(&ConfigVars::from([(SWITCH.into(), value.into())]));
        assert_eq!(policy("fail"), Policy::Fail);
        assert_eq!(policy("off"), Policy::Off);
        assert_eq!(policy("what"), Policy::Warn);
    }
}
