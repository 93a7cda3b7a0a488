//! What a rule finds, and how it is told.

use std::fmt;

/// A line that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// From the root of the repository.
    pub(crate) path: String,
    /// Counts from 1; 0 for the file as a whole.
    pub(crate) line: usize,
    /// The rule, with what was found.
    pub(crate) rule: String,
    /// What to do.
    pub(crate) advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, rule, advice } = self;
        match line {
            0 => write!(f, "{path}: {rule}: {advice}"),
            _ => write!(f, "{path}:{line}: {rule}: {advice}"),
        }
    }
}

/// Fails with every finding, one a line.
pub(crate) fn expect_none(findings: impl IntoIterator<Item = Finding>) {
    let lines: Vec<String> = findings.into_iter().map(|f| f.to_string()).collect();
    assert!(lines.is_empty(), "{} to tidy up:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn a_finding_says_where_and_what_to_do() {
    let mut finding = Finding {
        path: "a/b.rs".into(),
        line: 3,
        rule: "too long".into(),
        advice: "split it".into(),
    };
    assert_eq!(finding.to_string(), "a/b.rs:3: too long: split it");
    finding.line = 0;
    assert_eq!(finding.to_string(), "a/b.rs: too long: split it");
    let caught = std::panic::catch_unwind(|| expect_none([finding]));
    assert!(caught.is_err());
}
