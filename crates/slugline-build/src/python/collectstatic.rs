//! Django's static files, collected at build time as on Heroku.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::environment::BuildEnvironment;
use super::error::PythonError;
use super::modules;
use crate::builtin::Call;
use crate::{env_dir, log, program};

/// `manage.py` is looked for this deep.
const DEPTH: usize = 3;

/// Runs `collectstatic`, unless there is a reason not to.
pub(crate) fn run(call: &Call, environment: &BuildEnvironment) -> Result<(), PythonError> {
    if call.build_dir.join(".heroku/collectstatic_disabled").is_file() {
        log::heading("Skipping Django collectstatic since .heroku/collectstatic_disabled exists");
        log::warning(
            "The file .heroku/collectstatic_disabled is deprecated: use the config var \
             DISABLE_COLLECTSTATIC=1",
        );
        return Ok(());
    }
    if env_dir::switched_on(&environment.config_vars, "DISABLE_COLLECTSTATIC") {
        log::heading("Skipping Django collectstatic since DISABLE_COLLECTSTATIC is set");
        return Ok(());
    }
    if !django_is_installed(call, environment) {
        return Ok(());
    }
    let Some(manage_py) = find_manage_py(&call.build_dir) else {
        log::heading("Skipping Django collectstatic since no manage.py file was found");
        return Ok(());
    };
    collect(call, environment, &manage_py)
}

fn collect(
    call: &Call,
    environment: &BuildEnvironment,
    manage_py: &Path,
) -> Result<(), PythonError> {
    log::heading(format!("$ python {} collectstatic --noinput", manage_py.display()));
    let mut command = python(call, environment);
    command.arg(manage_py).args(["collectstatic", "--noinput", "--traceback"]);
    if environment.get("PYTHONPATH").is_none() {
        command.env("PYTHONPATH", ".");
    }
    let status =
        program::run_indented(&mut command).map_err(PythonError::io("run collectstatic"))?.status;
    if status.success() {
        return Ok(());
    }
    if environment.config_vars.get("DEBUG_COLLECTSTATIC").is_some_and(|value| value == "1") {
        show_environment(environment);
    }
    Err(PythonError::Collectstatic { manage_py: manage_py.to_owned(), status })
}

fn python(call: &Call, environment: &BuildEnvironment) -> Command {
    let mut command = Command::new(super::environment::python_home(call).join("bin/python"));
    command.current_dir(&call.build_dir).env_clear().envs(environment.with_config_vars());
    command
}

/// Heroku prints the values of config vars too. They are secrets, and a build's output is not.
fn show_environment(environment: &BuildEnvironment) {
    log::line("");
    log::line("****** Collectstatic environment variables:");
    log::line("");
    for (name, value) in environment.with_config_vars() {
        let (name, value) = (name.to_string_lossy(), value.to_string_lossy());
        if environment.config_vars.contains_key(name.as_ref()) {
            log::detail(format!("{name}=(a config var of {} characters)", value.chars().count()));
        } else {
            log::detail(format!("{name}={value}"));
        }
    }
}

/// The interpreter takes longer to answer than the file system, so it is asked only where Django may
/// be in an unusual place.
fn django_is_installed(call: &Call, environment: &BuildEnvironment) -> bool {
    if modules::is_installed(call, "django") {
        return true;
    }
    if environment.get("PYTHONPATH").is_none() && !modules::has_path_files(call) {
        return call.build_dir.join("django/__init__.py").is_file();
    }
    let find = "import importlib.util as u, sys; sys.exit(u.find_spec('django') is None)";
    let mut command = python(call, environment);
    program::answer(command.args(["-c", find])).is_some()
}

/// The shallowest one, relative to the root; the first by name if there are several.
fn find_manage_py(root: &Path) -> Option<PathBuf> {
    let mut directories = vec![PathBuf::new()];
    for _ in 0..DEPTH {
        let mut found: Vec<_> = directories.iter().map(|d| d.join("manage.py")).collect();
        found.retain(|path| root.join(path).is_file());
        found.sort();
        if let Some(first) = found.into_iter().next() {
            return Some(first);
        }
        directories = directories.iter().flat_map(|d| subdirectories(root, d)).collect();
    }
    None
}

fn subdirectories(root: &Path, directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs_err::read_dir(root.join(directory)) else { return Vec::new() };
    let real = |entry: &fs_err::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.flatten().filter(real).map(|entry| directory.join(entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[&str], expect: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        for name in files {
            let path = root.path().join(name);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, "").unwrap();
        }
        assert_eq!(find_manage_py(root.path()), expect.map(PathBuf::from));
    }

    #[test]
    fn the_shallowest_manage_py_within_three_levels_wins() {
        check(&["a/b/manage.py", "z/manage.py"], Some("z/manage.py"));
        check(&["manage.py", "a/manage.py"], Some("manage.py"));
        check(&["b/manage.py", "a/manage.py"], Some("a/manage.py"));
        check(&["a/b/manage.py"], Some("a/b/manage.py"));
        check(&["a/b/c/manage.py"], None);
    }
}
