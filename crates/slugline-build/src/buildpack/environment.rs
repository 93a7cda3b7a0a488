//! The environment of a buildpack: Heroku's short list, the operator's network, what the buildpacks
//! before it export, and nothing else.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;

use crate::network::is_network_variable;

/// What Heroku gives a buildpack's scripts, beside what bash sets by itself.
/// `TMPDIR` is not set in a build's dyno, whose `/tmp` is its own; it is for compiles by hand.
const BASE: &[&str] =
    &["DYNO", "HOME", "LANG", "PATH", "REQUEST_ID", "SOURCE_VERSION", "STACK", "TMPDIR"];

/// Set by bash, never by an `export`.
const OF_BASH: &[&str] = &["PWD", "OLDPWD", "SHLVL", "_"];

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Environment variables by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment(BTreeMap<OsString, OsString>);

impl Environment {
    /// Filters the surrounding environment, and completes it: a build that is started by hand gets
    /// the same variables as one in a dyno.
    pub(crate) fn base(
        surrounding: impl Iterator<Item = (OsString, OsString)>,
        app_dir: &Path,
        stack: &str,
    ) -> Self {
        let passes = |name: &OsStr| {
            name.to_str().is_some_and(|name| BASE.contains(&name) || is_network_variable(name))
        };
        let mut variables: BTreeMap<_, _> = surrounding.filter(|(name, _)| passes(name)).collect();
        for (name, value) in [("LANG", "en_US.UTF-8"), ("PATH", PATH)] {
            variables.entry(name.into()).or_insert_with(|| value.into());
        }
        variables.insert("HOME".into(), app_dir.into());
        variables.insert("STACK".into(), stack.into());
        variables.insert("BUILDPACK_LOG_FILE".into(), "/dev/fd/3".into());
        Self(variables)
    }

    /// Names and values, by name.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&OsString, &OsString)> {
        self.0.iter()
    }

    /// Makes this the whole environment of a command.
    pub(crate) fn apply(&self, command: &mut Command) {
        command.env_clear().envs(&self.0);
    }

    /// What `source export` leaves in the environment, for the next buildpack.
    pub(crate) fn after_sourcing(&self, export: &Path) -> std::io::Result<Self> {
        let mut command = Command::new("/bin/bash");
        command.args(["-c", "source \"$0\" >&2; exec env -0"]).arg(export);
        self.apply(&mut command);
        let output = command.stderr(std::process::Stdio::inherit()).output()?;
        Ok(Self(parse_env(&output.stdout)))
    }
}

/// Reads what `env -0` prints.
pub(crate) fn parse_env(output: &[u8]) -> BTreeMap<OsString, OsString> {
    use std::os::unix::ffi::OsStrExt as _;
    let pairs = output.split(|&b| b == 0).filter_map(|pair| {
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (name, value) = (&pair[..equals], &pair[equals + 1..]);
        Some((OsStr::from_bytes(name).to_owned(), OsStr::from_bytes(value).to_owned()))
    });
    pairs.filter(|(name, _)| !OF_BASH.iter().any(|own| name == own)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Environment {
        let surrounding = [("SECRET", "x"), ("https_proxy", "p"), ("PATH", "/usr/bin:/bin")];
        let pairs = surrounding.map(|(n, v)| (OsString::from(n), OsString::from(v)));
        Environment::base(pairs.into_iter(), Path::new("/app"), "host")
    }

    #[test]
    fn a_buildpack_sees_the_short_list_only() {
        let names: Vec<_> = base().0.into_keys().collect();
        assert_eq!(names, ["BUILDPACK_LOG_FILE", "HOME", "LANG", "PATH", "STACK", "https_proxy"]);
    }

    #[test]
    fn export_changes_the_environment_of_the_next_buildpack() {
        let dir = tempfile::tempdir().unwrap();
        let export = dir.path().join("export");
        fs_err::write(&export, "export PATH=/new:$PATH\nexport M='a\nb'\nlocal_only=1\necho hi\n")
            .unwrap();
        let after = base().after_sourcing(&export).unwrap();
        let value = |name: &str| after.0.get(OsStr::new(name)).and_then(|v| v.to_str());
        assert_eq!(value("PATH"), Some("/new:/usr/bin:/bin"));
        assert_eq!(value("M"), Some("a\nb"));
        assert_eq!(value("local_only"), None);
        assert_eq!(value("SHLVL"), None);
    }
}
