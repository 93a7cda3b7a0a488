//! Which buildpacks an app is built with: the first of these that says so.

use std::path::Path;

use serde::Deserialize;

use super::reference::{Reference, ReferenceError};

/// The buildpacks, and who chose them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// These, in this order, because somebody asked for them.
    Asked(Vec<Reference>),
    /// Whichever recognises the app.
    Detect,
}

/// What `app.json` says, as far as a build reads it.
#[derive(Debug, Default, Deserialize)]
struct AppJson {
    #[serde(default)]
    buildpacks: Vec<AppJsonBuildpack>,
}

#[derive(Debug, Deserialize)]
struct AppJsonBuildpack {
    url: String,
}

/// Why no choice could be read.
#[derive(Debug, thiserror::Error)]
pub enum ChooseError {
    /// A name that names no buildpack.
    #[error("choose buildpacks")]
    Reference {
        /// Where it stands.
        origin: &'static str,
        /// What is wrong with it.
        #[source]
        source: ReferenceError,
    },
    /// app.json is no JSON, or of another shape.
    #[error("read app.json")]
    AppJson(#[source] serde_json::Error),
}

/// Chooses: what was asked for with the build, else `.buildpacks`, else `app.json`, else detection.
pub(crate) fn choose(asked: &[String], root: &Path) -> Result<Choice, ChooseError> {
    if !asked.is_empty() {
        return references("the build's --buildpack", asked);
    }
    if let Ok(text) = fs_err::read_to_string(root.join(".buildpacks")) {
        let names = listed(&text);
        if !names.is_empty() {
            return references(".buildpacks", &names);
        }
    }
    if let Ok(text) = fs_err::read_to_string(root.join("app.json")) {
        let app_json: AppJson = serde_json::from_str(&text).map_err(ChooseError::AppJson)?;
        let names: Vec<String> = app_json.buildpacks.into_iter().map(|b| b.url).collect();
        if !names.is_empty() {
            return references("app.json", &names);
        }
    }
    Ok(Choice::Detect)
}

/// The lines of `.buildpacks`.
fn listed(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn references(origin: &'static str, names: &[String]) -> Result<Choice, ChooseError> {
    let references: Result<_, _> = names.iter().map(|name| Reference::parse(name)).collect();
    references.map(Choice::Asked).map_err(|source| ChooseError::Reference { origin, source })
}

/// Whether the app brings a buildpack of its own, at its own root.
pub(crate) fn app_has_inline_buildpack(root: &Path) -> bool {
    ["bin/detect", "bin/compile"].iter().all(|script| root.join(script).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::Builtin;

    fn chosen(asked: &[&str], files: &[(&str, &str)]) -> Result<Choice, ChooseError> {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs_err::write(root.path().join(name), text).unwrap();
        }
        let asked: Vec<String> = asked.iter().map(|&name| name.to_owned()).collect();
        choose(&asked, root.path())
    }

    const APP_JSON: (&str, &str) = ("app.json", r#"{"buildpacks": [{"url": "heroku/python"}]}"#);

    #[test]
    fn what_was_asked_comes_before_files_and_files_before_detection() {
        let nodejs = Choice::Asked(vec![Reference::Builtin(Builtin::Nodejs)]);
        let python = Choice::Asked(vec![Reference::Builtin(Builtin::Python)]);
        let list = (".buildpacks", "# first\nheroku/nodejs\n");
        assert_eq!(chosen(&["heroku/python"], &[list]).unwrap(), python);
        assert_eq!(chosen(&[], &[list, APP_JSON]).unwrap(), nodejs);
        assert_eq!(chosen(&[], &[APP_JSON]).unwrap(), python);
        assert_eq!(chosen(&[], &[("app.json", "{}")]).unwrap(), Choice::Detect);
        assert_eq!(chosen(&[], &[]).unwrap(), Choice::Detect);
    }

    #[test]
    fn a_choice_that_cannot_be_read_is_no_detection() {
        assert!(matches!(chosen(&[], &[("app.json", "{")]), Err(ChooseError::AppJson(_))));
        let unknown = chosen(&[], &[(".buildpacks", "heroku/cobol")]);
        assert!(matches!(unknown, Err(ChooseError::Reference { origin: ".buildpacks", .. })));
    }
}
