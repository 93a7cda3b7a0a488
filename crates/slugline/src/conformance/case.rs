//! A published test of a buildpack, as far as it can be carried out by building.

use std::path::PathBuf;

use regex_lite::Regex;

/// One test: what is done in which order, and what has to come of it.
#[derive(Debug, Default)]
pub(super) struct Case {
    /// `pip_spec.rb: installs successfully`
    pub(super) name: String,
    /// What is done and looked at, in order.
    pub(super) steps: Vec<Step>,
    /// What of it is not carried out here, and why.
    pub(super) left_out: Vec<String>,
}

/// One step of a test.
#[derive(Debug)]
pub(super) enum Step {
    /// Another app, with another cache, builds from here on; one of the same name goes on.
    App(String),
    /// The app's source becomes this directory's.
    Source(PathBuf),
    /// The config vars become these.
    ConfigVars(Vec<(String, String)>),
    /// The buildpacks become these.
    Buildpacks(Vec<Asked>),
    /// A file of the source is written, or added to.
    Write { path: String, text: String, append: bool },
    /// A file is copied into the source.
    Copy { from: PathBuf, to: String },
    /// A file of the source is removed.
    Remove(String),
    /// The app is built.
    Build,
    /// The last build is looked at.
    Check(Check),
}

/// A buildpack that a test asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The one that is tested.
    Tested,
    /// Another one, by its name.
    Other(String),
}

/// What has to be true of a build.
#[derive(Debug)]
pub(super) enum Check {
    Succeeds,
    Fails,
    Says(String),
    SaysNot(String),
    SaysTimes(usize, String),
    Matches(Box<Regex>),
    /// A field of what `bin/report` says.
    Reports {
        field: String,
        value: serde_json::Value,
    },
}

impl Check {
    /// What has to be, for people.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Succeeds => "the build succeeds".to_owned(),
            Self::Fails => "the build fails".to_owned(),
            Self::Says(text) => format!("the output holds what begins with {:?}", first_line(text)),
            Self::SaysNot(text) => format!("the output does not hold {:?}", first_line(text)),
            Self::SaysTimes(times, text) => {
                format!("the output holds {:?} {times} times", first_line(text))
            }
            Self::Matches(pattern) => {
                format!("the output matches what begins with {:?}", first_line(pattern.as_str()))
            }
            Self::Reports { field, value } => format!("bin/report says {field}: {value}"),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

impl Case {
    /// Whether anything of it can be judged here.
    pub(super) fn is_judged(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Check(_)))
    }
}
