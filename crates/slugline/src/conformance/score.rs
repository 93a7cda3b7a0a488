//! What came of the tests: a line each, the total, and the same as JSON.

use serde::Serialize;

/// What came of one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// Everything that was looked at is as it has to be.
    Passed,
    /// Something is not.
    Failed,
    /// Nothing could be looked at: it counts as neither.
    NotJudged,
}

/// One test's result.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Scored {
    pub(super) name: String,
    pub(super) verdict: Verdict,
    /// How many times something was looked at.
    pub(super) checks: usize,
    pub(super) builds: usize,
    /// What is not as it has to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// What was not carried out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) left_out: Vec<String>,
}

/// All results.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Score {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) not_judged: usize,
    pub(super) tests: Vec<Scored>,
}

impl Scored {
    /// `passed      pip_spec: … (2 builds, 4 checks; left out: what a dyno prints)`
    pub(super) fn line(&self) -> String {
        let mut notes = vec![];
        if self.builds > 0 {
            notes.push(format!("{}, {}", count(self.builds, "build"), count(self.checks, "check")));
        }
        if !self.left_out.is_empty() {
            notes.push(format!("left out: {}", self.left_out.join(", ")));
        }
        let notes =
            if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
        let reason = self.reason.as_ref().map(|reason| format!("\n            {reason}"));
        let verdict = match self.verdict {
            Verdict::Passed => "passed",
            Verdict::Failed => "failed",
            Verdict::NotJudged => "not judged",
        };
        format!("{verdict:<12}{}{notes}{}", self.name, reason.unwrap_or_default())
    }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

impl Score {
    pub(super) fn new(tests: Vec<Scored>) -> Self {
        let number = |verdict| tests.iter().filter(|test| test.verdict == verdict).count();
        Self {
            passed: number(Verdict::Passed),
            failed: number(Verdict::Failed),
            not_judged: number(Verdict::NotJudged),
            tests,
        }
    }

    /// `12 of 15 passed; 3 more not judged`
    pub(super) fn total(&self) -> String {
        let judged = self.passed + self.failed;
        format!("{} of {judged} passed; {} more not judged", self.passed, self.not_judged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_judged_counts_as_neither() {
        let scored = |verdict| Scored {
            name: "a: b".to_owned(),
            verdict,
            checks: 1,
            builds: 2,
            reason: Some("the build succeeds".to_owned()),
            left_out: vec!["what a dyno prints".to_owned()],
        };
        let score = Score::new(
            [Verdict::Passed, Verdict::Failed, Verdict::NotJudged, Verdict::NotJudged]
                .map(scored)
                .into(),
        );
        assert_eq!(score.total(), "1 of 2 passed; 2 more not judged");
        assert_eq!(
            score.tests[1].line(),
            "failed      a: b (2 builds, 1 check; left out: what a dyno prints)\n            \
             the build succeeds"
        );
    }
}
