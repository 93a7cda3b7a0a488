//! Test runs: where one stands, the one command that sets up and tests, and what its lines tell.

use std::fmt;
use std::str::FromStr;

/// Where the build of a test run leaves a buildpack that has `bin/test`, below the app.
pub const BUILDPACK: &str = ".slugline-test";

/// Where a test run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Asked for.
    Pending,
    /// Its source is built.
    Building,
    /// Its dyno sets up, or tests.
    Running,
    /// All tests passed.
    Succeeded,
    /// Tests failed.
    Failed,
    /// It came to no verdict.
    Errored,
    /// Somebody no longer wanted it.
    Cancelled,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::Pending,
        Self::Building,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Errored,
        Self::Cancelled,
    ];

    /// As the API spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Errored => "errored",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Building | Self::Running)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no status of a test run")]
pub struct StatusError(String);

impl FromStr for Status {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|status| status.as_str() == text);
        found.ok_or_else(|| StatusError(text.to_owned()))
    }
}

/// What the dyno of a test run runs: the setup, then the tests, on one disk. `marker` is a word that
/// nothing else writes. Without a script the buildpack's `bin/test` runs, where the build left one.
pub fn command(setup: Option<&str>, test: Option<&str>, marker: &str) -> String {
    let setup =
        setup.map_or_else(|| "true".to_owned(), |script| format!("bash -c {}", quoted(script)));
    let test = test.map_or_else(
        || {
            format!(
                "if [ -x /app/{BUILDPACK}/bin/test ]; then env_dir=$(mktemp -d); \
                 for name in $(compgen -e); do printf %s \"${{!name}}\" > \"$env_dir/$name\"; done; \
                 exec /app/{BUILDPACK}/bin/test /app \"$env_dir\"; fi; echo {marker} none; exit 1"
            )
        },
        |script| format!("exec bash -c {}", quoted(script)),
    );
    format!("exec 2>&1; {setup}; code=$?; echo {marker} $code; [ $code = 0 ] || exit $code; {test}")
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', r"'\''"))
}

/// What a line of such a dyno is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<'a> {
    /// Of the setup.
    Setup(&'a str),
    /// Of the tests.
    Tests(&'a str),
    /// The setup is over; before that it wrote this without ending its line.
    SetUp(&'a str),
    /// There is nothing that tests.
    Nothing,
}

/// Tells the lines of the setup from those of the tests.
#[derive(Debug)]
pub struct Reader {
    marker: String,
    setup: Option<i32>,
    is_without_tests: bool,
}

impl Reader {
    /// Of a dyno that got this marker.
    pub fn new(marker: &str) -> Self {
        Self { marker: marker.to_owned(), setup: None, is_without_tests: false }
    }

    /// The next line.
    pub fn read<'a>(&mut self, line: &'a str) -> Told<'a> {
        let Some((before, after)) = line.split_once(self.marker.as_str()) else {
            return if self.setup.is_some() { Told::Tests(line) } else { Told::Setup(line) };
        };
        if self.setup.is_none() {
            self.setup = Some(after.trim().parse().unwrap_or(1));
            return Told::SetUp(before);
        }
        self.is_without_tests = true;
        Told::Nothing
    }

    /// What it came to, by the dyno's exit code: the status, and why where there is no verdict.
    pub fn verdict(&self, exit_code: i32) -> (Status, Option<String>) {
        match self.setup {
            _ if self.is_without_tests => (
                Status::Errored,
                Some(
                    "There is nothing that tests: app.json has no \
                     `environments.test.scripts.test`, and no buildpack of the app has `bin/test`."
                        .to_owned(),
                ),
            ),
            None => (
                Status::Errored,
                Some(format!("The dyno ended before its setup did, with exit code {exit_code}.")),
            ),
            Some(0) if exit_code == 0 => (Status::Succeeded, None),
            Some(0) => (Status::Failed, None),
            Some(code) => (
                Status::Errored,
                Some(format!("`test-setup` failed with exit code {code}: no test was run.")),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What a run of these scripts tells, and comes to.
    fn run(setup: Option<&str>, test: Option<&str>) -> (Vec<String>, Vec<String>, Status) {
        let command = command(setup, test, "mark-1");
        let output = Command::new("bash").args(["-c", &command]).output().unwrap();
        let (mut reader, mut of_setup, mut of_tests) = (Reader::new("mark-1"), vec![], vec![]);
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            match reader.read(line) {
                Told::Setup(line) | Told::SetUp(line) if !line.is_empty() => {
                    of_setup.push(line.to_owned());
                }
                Told::Tests(line) => of_tests.push(line.to_owned()),
                _ => {}
            }
        }
        (of_setup, of_tests, reader.verdict(output.status.code().unwrap()).0)
    }

    #[test]
    fn a_dyno_sets_up_and_tests_on_one_disk() {
        let (setup, tests, status) =
            run(Some("echo \"it's set up\"; printf rest >&2"), Some("echo 'one' && echo two >&2"));
        assert_eq!(setup, ["it's set up", "rest"]);
        assert_eq!((tests, status), (vec!["one".into(), "two".into()], Status::Succeeded));
        assert_eq!(run(None, Some("exit 3")).2, Status::Failed);
        let (_, tests, status) = run(Some("exit 4"), Some("echo never"));
        assert_eq!((tests, status), (vec![], Status::Errored));
        assert_eq!(run(None, None).2, Status::Errored);
    }

    #[test]
    fn what_comes_to_no_verdict_says_why() {
        let mut reader = Reader::new("mark");
        assert!(reader.verdict(137).1.unwrap().contains("exit code 137"));
        reader.read("mark 5");
        assert!(reader.verdict(5).1.unwrap().contains("`test-setup` failed with exit code 5"));
        assert_eq!(reader.read("mark none"), Told::Nothing);
        assert!(reader.verdict(1).1.unwrap().contains("nothing that tests"));
    }

    #[test]
    fn statuses_are_spelled_as_the_api_does() {
        for status in Status::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
        assert!("debugging".parse::<Status>().is_err());
    }
}
