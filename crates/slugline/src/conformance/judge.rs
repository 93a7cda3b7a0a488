//! What was built, held against what has to come of it.

use std::collections::BTreeSet;

use super::case::Check;

/// A build that has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Built {
    pub(super) succeeded: bool,
    /// What it printed, as Heroku's git client would show it, see [`as_pushed`].
    pub(super) output: String,
    /// What `bin/report` said.
    pub(super) reports: Vec<serde_json::Value>,
}

/// The output as a push shows it, for tests that compare it: `remote: ` before each line. Colours
/// are left out, and so are the lines that only our builds have, which say what a buildpack did to
/// the tree.
pub(super) fn as_pushed(output: &str, buildpacks: &[String]) -> String {
    let ours: Vec<String> = buildpacks
        .iter()
        .map(String::as_str)
        .chain(["bin/pre_compile", "bin/post_compile"])
        .map(|step| format!("       {step}: "))
        .collect();
    let is_ours = |line: &&str| ours.iter().any(|start| line.starts_with(start));
    let plain = without_colours(output);
    let lines = plain.lines().filter(|line| !is_ours(line));
    lines.flat_map(|line| ["remote: ", line, "\n"]).collect()
}

/// Without `ESC [ … m`.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';');
        rest = match end {
            Some(end) if after[end..].starts_with('m') => &after[end + 1..],
            _ => after,
        };
    }
    plain + rest
}

/// The lines that have to be printed and are not, where a check is about several lines.
pub(super) fn missing<'a>(check: &'a Check, built: &Built) -> Vec<&'a str> {
    let absent = |line: &&str| !built.output.lines().any(|printed| printed == *line);
    let matches_none = |line: &&str| {
        let line = regex_lite::Regex::new(&format!("^(?:{line})$"));
        line.is_ok_and(|line| !built.output.lines().any(|printed| line.is_match(printed)))
    };
    match check {
        Check::Says(text) if text.ends_with('\n') => text.lines().filter(absent).collect(),
        Check::Matches(pattern) => pattern.as_str().lines().filter(matches_none).collect(),
        _ => vec![],
    }
}

/// Hosts that the build says it could not find, as curl, git, pip and uv say it.
pub(super) fn unreachable(built: &Built) -> BTreeSet<&str> {
    let phrases = ["Could not resolve host: ", "getaddrinfo EAI_AGAIN ", "getaddrinfo ENOTFOUND "];
    let name = |rest: &'_ str| rest.find(|c: char| !is_of_a_host(c)).unwrap_or(rest.len());
    let after = |phrase: &str| {
        let rests = built.output.split(phrase).skip(1);
        rests.map(|rest| rest[..name(rest)].trim_end_matches('.')).collect::<Vec<_>>()
    };
    phrases.into_iter().flat_map(after).filter(|host| !host.is_empty()).collect()
}

fn is_of_a_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-')
}

/// Whether it is as it has to be.
pub(super) fn holds(check: &Check, built: &Built) -> bool {
    match check {
        Check::Succeeds => built.succeeded,
        Check::Fails => !built.succeeded,
        Check::Says(text) => built.output.contains(text),
        Check::SaysNot(text) => !built.output.contains(text),
        Check::SaysTimes(times, text) => built.output.matches(text).count() == *times,
        Check::Matches(pattern) => pattern.is_match(&built.output),
        Check::Reports { field, value } => {
            built.reports.iter().any(|report| report.get(field) == Some(value))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_heroku_prints_too_is_compared() {
        let output = "-----> A\n\u{1b}[1;34m !     Note\u{1b}[0m\n       https://bp: 1 file\n\n       x: y\n";
        assert_eq!(
            as_pushed(output, &["https://bp".to_owned()]),
            "remote: -----> A\nremote:  !     Note\nremote: \nremote:        x: y\n"
        );
    }

    #[test]
    fn the_lines_that_are_missing_are_named() {
        let built = Built { output: "a\nb 1\n".to_owned(), ..Built::default() };
        let says = Check::Says("a\nc\n".to_owned());
        assert_eq!(missing(&says, &built), ["c"]);
        let matches = |pattern| Check::Matches(Box::new(regex_lite::Regex::new(pattern).unwrap()));
        assert_eq!(missing(&matches("a\nb [0-9]\n"), &built), [""; 0]);
        assert_eq!(missing(&matches("a\nb [a-z]\n"), &built), ["b [a-z]"]);
    }

    #[test]
    fn hosts_that_were_not_found_are_named() {
        let output = "curl: (6) Could not resolve host: a.example\nfatal: Could not resolve host: \
                      b.example.\n";
        let built = Built { output: output.to_owned(), ..Built::default() };
        assert!(unreachable(&built).into_iter().eq(["a.example", "b.example"]));
    }

    #[test]
    fn a_report_is_looked_up_by_its_field() {
        let built =
            Built { reports: vec![serde_json::json!({"use_npm_ci": true})], ..Built::default() };
        let check = |value| Check::Reports { field: "use_npm_ci".into(), value };
        assert!(holds(&check(true.into()), &built));
        assert!(!holds(&check("true".into()), &built));
    }
}
