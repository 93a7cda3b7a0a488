//! What the app runs: its Procfile, completed by the buildpacks' defaults.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use slugline_model::name::ProcessType;
use slugline_model::procfile::{self, ProcessTypes};

use crate::error::CompileError;
use crate::heroku_yml::HerokuYml;
use crate::log;

/// What a buildpack's `bin/release` prints, as far as it matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReleaseOutput {
    defaults: ProcessTypes,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ReleaseYaml {
    default_process_types: Option<BTreeMap<String, String>>,
    addons: Option<Vec<String>>,
    config_vars: Option<BTreeMap<String, String>>,
}

/// Why the output of a `bin/release` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseYamlError {
    /// It is no YAML, or of another shape.
    #[error("read its YAML: {0}")]
    Yaml(String),
    /// A default process type with an impossible name.
    #[error("{0}")]
    ProcessType(String),
}

impl ReleaseOutput {
    /// Reads the YAML. Old buildpacks also name add-ons and config vars, which Heroku applied to new
    /// apps only: they are said to be ignored, not silently so.
    pub(crate) fn parse(buildpack: &str, yaml: &str) -> Result<Self, ReleaseYamlError> {
        let trimmed = yaml.trim().trim_start_matches("---").trim();
        if trimmed.is_empty() || trimmed == "{}" {
            return Ok(Self::default());
        }
        let parsed: ReleaseYaml = serde_saphyr::from_str(yaml)
            .map_err(|error| ReleaseYamlError::Yaml(error.to_string()))?;
        let config_vars = parsed.config_vars.unwrap_or_default().into_keys();
        let ignored: Vec<_> =
            parsed.addons.unwrap_or_default().into_iter().chain(config_vars).collect();
        if !ignored.is_empty() {
            let names = ignored.join(", ");
            log::detail(format!("{buildpack} suggests {names}: set up by hand if needed"));
        }
        let defaults = parsed.default_process_types.unwrap_or_default();
        let typed = |(name, command): (String, String)| {
            let name: ProcessType =
                name.parse().map_err(|error| ReleaseYamlError::ProcessType(format!("{error}")))?;
            Ok((name, command))
        };
        Ok(Self { defaults: defaults.into_iter().map(typed).collect::<Result<_, _>>()? })
    }
}

/// Reads the Procfile, adds the defaults, and prints both.
pub(crate) fn discover(
    root: &Path,
    heroku_yml: &HerokuYml,
    releases: &[ReleaseOutput],
) -> Result<ProcessTypes, CompileError> {
    let declared = declared(root, heroku_yml)?;
    // The last buildpack decides, as its default is the one that Heroku takes.
    let mut defaults = ProcessTypes::new();
    for release in releases {
        defaults.extend(release.defaults.clone());
    }
    defaults.retain(|process_type, _| !declared.contains_key(process_type));
    if !defaults.is_empty() {
        log::detail(format!("Default types for buildpack -> {}", names(&defaults)));
    }
    defaults.extend(declared);
    if defaults.is_empty() {
        return Err(CompileError::NoProcessTypes { misnamed: misnamed_procfile(root) });
    }
    Ok(defaults)
}

/// heroku.yml's `run` stands in the Procfile's place, its `release` in that of the one line.
fn declared(root: &Path, heroku_yml: &HerokuYml) -> Result<ProcessTypes, CompileError> {
    let mut ours = heroku_yml.run.clone().unwrap_or_default();
    if let Some(command) = &heroku_yml.release {
        ours.insert(ProcessType::release(), command.clone());
    }
    if heroku_yml.run.is_some() || !ours.is_empty() {
        log::detail(format!("heroku.yml declares types   -> {}", names(&ours)));
    }
    if heroku_yml.run.is_some() {
        if root.join("Procfile").is_file() {
            log::detail("Procfile is not read: heroku.yml has a `run`");
        }
        return Ok(ours);
    }
    let mut declared = read_procfile(root)?;
    log::detail(format!("Procfile declares types     -> {}", names(&declared)));
    declared.extend(ours);
    Ok(declared)
}

fn read_procfile(root: &Path) -> Result<ProcessTypes, CompileError> {
    let path = root.join("Procfile");
    if !path.is_file() {
        return Ok(ProcessTypes::new());
    }
    let bytes = fs_err::read(&path)
        .map_err(|source| CompileError::Workplace { path: path.clone(), source })?;
    procfile::parse(&String::from_utf8_lossy(&bytes)).map_err(CompileError::Procfile)
}

fn names(types: &ProcessTypes) -> String {
    if types.is_empty() {
        return "(none)".to_owned();
    }
    types.keys().map(ProcessType::as_str).collect::<Vec<_>>().join(", ")
}

/// A file whose author may have meant it to be the Procfile.
fn misnamed_procfile(root: &Path) -> Option<String> {
    let entries = fs_err::read_dir(root).ok()?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.into_iter().find(|name| {
        let name = name.to_ascii_lowercase();
        name == "procfile" || name == "procfile.txt"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(procfile: &str, yaml: &str, expect: &[(&str, &str)]) {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("Procfile"), procfile).unwrap();
        let release = ReleaseOutput::parse("bp", yaml).unwrap();
        let types = discover(root.path(), &HerokuYml::default(), &[release]).unwrap();
        let types: Vec<_> = types.iter().map(|(t, c)| (t.as_str(), c.as_str())).collect();
        assert_eq!(types, expect);
    }

    #[test]
    fn defaults_complete_the_procfile_and_never_replace_it() {
        check("web: a", "---\naddons: []\ndefault_process_types:\n  web: b\n", &[("web", "a")]);
        check(
            "worker: a",
            "default_process_types:\n  web: 'b: c'\n  rake: >\n    bundle exec\n    rake\n",
            &[("rake", "bundle exec rake\n"), ("web", "b: c"), ("worker", "a")],
        );
        check("web: a", "--- {}\n", &[("web", "a")]);
        check("web: a", "", &[("web", "a")]);
        check("web: a", "addons:\ndefault_process_types:\n", &[("web", "a")]);
    }

    #[test]
    fn yaml_of_another_shape_is_an_error() {
        assert!(ReleaseOutput::parse("bp", "default_process_types: [web]").is_err());
        assert!(ReleaseOutput::parse("bp", "default_process_types: {'a b': c}").is_err());
    }

    #[test]
    fn nothing_to_run_names_the_file_that_was_probably_meant() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("procfile"), "web: a").unwrap();
        let error = discover(root.path(), &HerokuYml::default(), &[]).unwrap_err();
        let CompileError::NoProcessTypes { misnamed } = error else { panic!("{error}") };
        assert_eq!(misnamed.as_deref(), Some("procfile"));
    }

    #[test]
    fn heroku_yml_stands_in_the_procfiles_place() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("Procfile"), "web: old\nrelease: old\n").unwrap();
        let discovered = |yml: &HerokuYml| -> Vec<String> {
            let types = discover(root.path(), yml, &[]).unwrap();
            types.into_iter().map(|(name, command)| format!("{name}: {command}")).collect()
        };
        let release = Some("migrate".to_owned());
        let yml = HerokuYml { release, ..HerokuYml::default() };
        assert_eq!(discovered(&yml), ["release: migrate", "web: old"]);
        let run = Some(ProcessTypes::from([("worker".parse().unwrap(), "work".to_owned())]));
        assert_eq!(discovered(&HerokuYml { run, ..yml }), ["release: migrate", "worker: work"]);
    }
}
