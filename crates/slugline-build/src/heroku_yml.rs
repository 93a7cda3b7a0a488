//! `heroku.yml`: what of it concerns builds with buildpacks. Its Docker part is refused.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use slugline_model::name::ProcessType;
use slugline_model::procfile::ProcessTypes;

use crate::log;

/// What heroku.yml says, as far as it is obeyed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HerokuYml {
    /// Config vars of the build alone, from `build.config`.
    pub(crate) config: BTreeMap<String, String>,
    /// The process types of `run`; none where it has no such section, and the Procfile counts.
    pub(crate) run: Option<ProcessTypes>,
    /// The release phase's command.
    pub(crate) release: Option<String>,
}

/// Why a heroku.yml cannot be obeyed.
#[derive(Debug, thiserror::Error)]
pub enum HerokuYmlError {
    /// It is no YAML, or of another shape.
    #[error("it is no YAML of the expected shape: {0}")]
    Yaml(String),
    /// It asks for Docker images.
    #[error("its section build.docker names {}", .0.join(", "))]
    Docker(Vec<String>),
    /// A process type with an impossible name.
    #[error("{0}")]
    ProcessType(String),
    /// A config var whose name cannot be that of a file or a variable.
    #[error("`{0}` under build.config names no config var")]
    ConfigVar(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Yaml {
    build: Option<Build>,
    release: Option<Process>,
    run: Option<BTreeMap<String, Process>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Build {
    docker: Option<BTreeMap<String, serde_json::Value>>,
    config: Option<BTreeMap<String, Scalar>>,
}

/// A command by itself, or with what runs it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Process {
    Command(String),
    Detailed { command: Option<Command>, image: Option<String> },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Command {
    One(String),
    Several(Vec<String>),
}

/// YAML reads `1` and `true` as other things than text; a config var is text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Whole(i64),
    Flag(bool),
    Number(f64),
}

impl Scalar {
    fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Number(number) => number.to_string(),
        }
    }
}

impl Process {
    /// The command for a shell: several are run one after another until one fails.
    fn command(self, name: &str) -> Option<String> {
        match self {
            Self::Command(command) => Some(command),
            Self::Detailed { command, image } => {
                if let Some(image) = image {
                    log::warning(format!(
                        "heroku.yml: `image: {image}` of {name} has no effect: \
                         every process type runs from the same slug"
                    ));
                }
                command.map(|command| match command {
                    Command::One(command) => command,
                    Command::Several(commands) => commands.join(" && "),
                })
            }
        }
    }
}

/// Reads the app's heroku.yml; empty where there is none.
pub(crate) fn read(root: &Path) -> Result<HerokuYml, HerokuYmlError> {
    let path = root.join("heroku.yml");
    if !path.is_file() {
        return Ok(HerokuYml::default());
    }
    let bytes = fs_err::read(&path).map_err(|error| HerokuYmlError::Yaml(error.to_string()))?;
    parse(&String::from_utf8_lossy(&bytes))
}

/// Reads its text.
pub(crate) fn parse(text: &str) -> Result<HerokuYml, HerokuYmlError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(HerokuYml::default());
    }
    let yaml: Yaml =
        serde_saphyr::from_str(text).map_err(|error| HerokuYmlError::Yaml(error.to_string()))?;
    let build = yaml.build.unwrap_or_default();
    if let Some(images) = build.docker.filter(|images| !images.is_empty()) {
        return Err(HerokuYmlError::Docker(images.into_keys().collect()));
    }
    let run = yaml.run.map(process_types).transpose()?;
    let release = yaml.release.and_then(|process| process.command("release"));
    let config = build.config.unwrap_or_default().into_iter();
    let config: BTreeMap<_, _> = config.map(|(name, value)| (name, value.into_text())).collect();
    match config.keys().find(|name| !names_a_config_var(name)) {
        Some(name) => Err(HerokuYmlError::ConfigVar(name.clone())),
        None => Ok(HerokuYml { config, run, release }),
    }
}

fn process_types(run: BTreeMap<String, Process>) -> Result<ProcessTypes, HerokuYmlError> {
    let mut types = ProcessTypes::new();
    for (name, process) in run {
        let process_type: ProcessType =
            name.parse().map_err(|error| HerokuYmlError::ProcessType(format!("{error}")))?;
        if let Some(command) = process.command(&name) {
            types.insert(process_type, command);
        }
    }
    Ok(types)
}

fn names_a_config_var(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_release_and_config_are_obeyed() {
        let text = "setup:\n  addons:\n  - plan: x\nbuild:\n  config:\n    NODE_ENV: production\n    \
                    DEBUG: 1\nrelease:\n  command:\n  - ./one\n  - ./two\nrun:\n  web: serve -p \
                    $PORT\n  worker:\n    command:\n    - work\n";
        let yml = parse(text).unwrap();
        assert_eq!(yml.release.as_deref(), Some("./one && ./two"));
        let run: Vec<_> =
            yml.run.unwrap().into_iter().map(|(name, c)| format!("{name}: {c}")).collect();
        assert_eq!(run, ["web: serve -p $PORT", "worker: work"]);
        let config: Vec<_> = yml.config.into_iter().collect();
        assert_eq!(
            config,
            [("DEBUG".into(), "1".into()), ("NODE_ENV".into(), "production".into())]
        );
    }

    #[test]
    fn docker_is_refused_and_nothing_is_guessed() {
        let docker = parse("build:\n  docker:\n    web: Dockerfile\n    worker: w/Dockerfile\n");
        assert!(matches!(docker, Err(HerokuYmlError::Docker(names)) if names == ["web", "worker"]));
        assert!(matches!(parse("run: [a"), Err(HerokuYmlError::Yaml(_))));
        assert!(matches!(parse("run:\n  'a b': x\n"), Err(HerokuYmlError::ProcessType(_))));
        let config = parse("build:\n  config:\n    ../x: y\n");
        assert!(matches!(config, Err(HerokuYmlError::ConfigVar(name)) if name == "../x"));
        assert_eq!(parse("# nothing\n").unwrap(), HerokuYml::default());
    }
}
