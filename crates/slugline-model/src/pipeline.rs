//! Pipelines: apps in stages, of which one promotes its slug to the next.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a pipeline: `^[a-z][a-z0-9-]{2,29}$`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PipelineName(String);

/// Why a text names no pipeline, or no stage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PipelineError {
    /// Not a name.
    #[error(
        "`{0}` is not a pipeline's name: it must start with a lowercase letter, and hold only a-z, \
         0-9 and dashes (3 to 30 characters)"
    )]
    Name(String),
    /// Not a stage.
    #[error("`{0}` is not a stage: it must be test, review, development, staging or production")]
    Stage(String),
}

impl PipelineName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PipelineName {
    type Err = PipelineError;

    fn from_str(text: &str) -> Result<Self, PipelineError> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts = text.starts_with(|c: char| c.is_ascii_lowercase());
        if starts && (3..=30).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(PipelineError::Name(text.to_owned()))
        }
    }
}

impl fmt::Display for PipelineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where in a pipeline an app stands, in the order of the flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Where tests run.
    Test,
    /// An app a branch, which comes and goes.
    Review,
    /// Where developers try.
    Development,
    /// Where a release is tried.
    Staging,
    /// What users see.
    Production,
}

impl Stage {
    const ALL: [(Self, &'static str); 5] = [
        (Stage::Test, "test"),
        (Stage::Review, "review"),
        (Stage::Development, "development"),
        (Stage::Staging, "staging"),
        (Stage::Production, "production"),
    ];

    /// Whether its apps come and go, and begin with config vars of the pipeline's.
    pub fn is_passing(self) -> bool {
        matches!(self, Stage::Test | Stage::Review)
    }
}

impl FromStr for Stage {
    type Err = PipelineError;

    fn from_str(text: &str) -> Result<Self, PipelineError> {
        let found = Self::ALL.into_iter().find(|(_, name)| *name == text);
        found.map(|(stage, _)| stage).ok_or_else(|| PipelineError::Stage(text.to_owned()))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.into_iter().find(|(stage, _)| stage == self);
        f.write_str(found.map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_stages_are_herokus() {
        for good in ["owl", "my-pipeline-", "a11"] {
            assert_eq!(good.parse::<PipelineName>().unwrap().to_string(), good);
        }
        for bad in ["", "ow", "1owl", "Owl", "o_l", &"o".repeat(31)] {
            assert!(bad.parse::<PipelineName>().is_err(), "{bad}");
        }
        for (stage, name) in Stage::ALL {
            assert_eq!((name.parse(), stage.to_string().as_str()), (Ok(stage), name));
        }
        assert!("live".parse::<Stage>().is_err());
        assert!(Stage::Review < Stage::Production && Stage::Test.is_passing());
    }
}
