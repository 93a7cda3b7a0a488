//! The exact environment that buildpacks' scripts and hooks get, for whoever wonders.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Command;

use crate::buildpack::{Environment, parse_env};
use crate::{env_dir, log};

/// Where a build takes place.
#[derive(Debug, Clone)]
pub struct PrintEnv {
    /// `BUILD_DIR`.
    pub build_dir: PathBuf,
    /// `CACHE_DIR`.
    pub cache_dir: PathBuf,
    /// `ENV_DIR`.
    pub env_dir: PathBuf,
    /// `HOME`.
    pub app_dir: PathBuf,
    /// `STACK`.
    pub stack: String,
    /// Whether values of config vars, and passwords in URLs, are shown.
    pub values: bool,
}

/// The phase of a built-in buildpack that prints what its hooks get.
pub(crate) const HOOK_ENVIRONMENT: &str = "hook-environment";

/// Prints the environments.
pub fn print_env(request: &PrintEnv) -> io::Result<()> {
    let vars = env_dir::read(&request.env_dir).unwrap_or_default();
    let secret: BTreeSet<String> = vars.keys().cloned().collect();
    let base = Environment::base(std::env::vars_os(), &request.app_dir, &request.stack);
    log::line(
        "# bin/detect, bin/compile, bin/report and bin/release of buildpacks, where config vars",
    );
    log::line("# are files in ENV_DIR, the third argument of bin/compile");
    print(base.pairs(), &BTreeSet::new(), request.values);
    log::line("");
    log::line("# bin/pre_compile and bin/post_compile, as heroku/python runs them");
    print(hook_environment(request, &base)?.iter(), &secret, request.values);
    Ok(())
}

/// Asks a process that has a buildpack's environment, as the buildpack itself would be asked.
fn hook_environment(
    request: &PrintEnv,
    base: &Environment,
) -> io::Result<std::collections::BTreeMap<OsString, OsString>> {
    let mut command = Command::new(crate::files::own_program()?);
    command.args(["buildpack", "python", HOOK_ENVIRONMENT, "--app-dir"]).arg(&request.app_dir);
    command.arg("--").args([&request.build_dir, &request.cache_dir, &request.env_dir]);
    base.apply(&mut command);
    let output = command.output()?;
    if !output.status.success() {
        return Err(io::Error::other("heroku/python did not tell the environment of hooks"));
    }
    Ok(parse_env(&output.stdout))
}

/// Prints variables as `env -0` does.
pub(crate) fn write(variables: &[(OsString, OsString)]) {
    use std::os::unix::ffi::OsStrExt as _;
    let mut out = Vec::new();
    for (name, value) in variables {
        out.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
    }
    let _ = io::stdout().write_all(&out);
}

fn print<'a>(
    variables: impl Iterator<Item = (&'a OsString, &'a OsString)>,
    secret: &BTreeSet<String>,
    values: bool,
) {
    for (name, value) in variables {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        let shown = if values {
            value.into_owned()
        } else if secret.contains(name.as_ref()) {
            "(a config var; --print-env=values shows it)".to_owned()
        } else {
            without_password(&value)
        };
        log::line(&format!("{name}={shown}"));
    }
}

/// Indexes and proxies may hold a password in their URL.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => {
            let name = user.split(':').next().unwrap_or_default();
            format!("{scheme}://{name}:****{}", &rest[user.len()..])
        }
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_of_urls_are_not_shown() {
        assert_eq!(without_password("https://me:p@ss@host/x@y"), "https://me:****@host/x@y");
        assert_eq!(without_password("https://token@host/"), "https://token:****@host/");
        assert_eq!(without_password("https://host/a@b"), "https://host/a@b");
        assert_eq!(without_password("/usr/bin"), "/usr/bin");
    }
}
