//! `ENV_DIR`: one file a config var. Buildpacks read them there; hooks find them in the environment.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Config vars by name.
pub(crate) type ConfigVars = BTreeMap<String, String>;

/// Config vars that never enter the environment of a Python build: they would break its programs.
/// Heroku's list; a config var named `BUILD_DIR` does get through to the hooks there, and so here.
pub(crate) const DENIED_BY_PYTHON: &[&str] =
    &["PATH", "CPATH", "CPPATH", "LD_PRELOAD", "LIBRARY_PATH", "LD_LIBRARY_PATH", "PYTHONHOME"];

/// The same for a Node.js build.
pub(crate) const DENIED_BY_NODEJS: &[&str] = &[
    "PATH",
    "GIT_DIR",
    "CPATH",
    "CPPATH",
    "LD_PRELOAD",
    "LIBRARY_PATH",
    "LD_LIBRARY_PATH",
    "LANG",
    "BUILD_DIR",
];

/// Reads the config vars. No directory is no config vars, as when a buildpack is run by hand.
pub(crate) fn read(env_dir: &Path) -> io::Result<ConfigVars> {
    let mut vars = ConfigVars::new();
    if !env_dir.is_dir() {
        return Ok(vars);
    }
    for entry in fs_err::read_dir(env_dir)? {
        let entry = entry?;
        if let (Ok(name), true) = (entry.file_name().into_string(), entry.path().is_file()) {
            let value = fs_err::read(entry.path())?;
            vars.insert(name, String::from_utf8_lossy(&value).into_owned());
        }
    }
    Ok(vars)
}

/// The config vars that may enter the environment.
pub(crate) fn allowed<'a>(
    vars: &'a ConfigVars,
    denied: &'a [&str],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pairs = vars.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    pairs.filter(move |(name, value)| {
        !denied.contains(name) && !name.contains('=') && !value.contains('\0')
    })
}

/// Whether a switch such as `DISABLE_COLLECTSTATIC` is on: set, and neither empty nor `0`.
pub(crate) fn switched_on(vars: &ConfigVars, name: &str) -> bool {
    vars.get(name).is_some_and(|value| !matches!(value.trim(), "" | "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_a_config_var() {
        let dir = tempfile::tempdir().unwrap();
        fs_err::write(dir.path().join("SECRET"), "a\nb=c").unwrap();
        fs_err::write(dir.path().join("PATH"), "/bad").unwrap();
        let vars = read(dir.path()).unwrap();
        let allowed: Vec<_> = allowed(&vars, DENIED_BY_PYTHON).collect();
        assert_eq!(allowed, [("SECRET", "a\nb=c")]);
    }

    #[test]
    fn a_switch_is_off_when_it_is_zero_or_empty() {
        let on = |value: &str| switched_on(&[("X".to_owned(), value.to_owned())].into(), "X");
        assert!(on("1") && on("true"));
        assert!(!on("0") && !on(""));
        assert!(!switched_on(&ConfigVars::new(), "X"));
    }
}
