//! What a dyno sources at boot, and what the next buildpack gets.

use super::error::PythonError;
use super::runtime::Runtime;
use crate::builtin::Call;
use crate::web_memory::MEMORY_FUNCTION;

const PYTHON_SH: &str = r#"export PATH="$HOME/.heroku/python/bin:$PATH"
export LANG="${LANG:-en_US.UTF-8}"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-true}"
export PYTHONPATH="${PYTHONPATH:-$HOME}"
export LIBRARY_PATH="$HOME/.heroku/python/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
export LD_LIBRARY_PATH="$HOME/.heroku/python/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
"#;

const PYTHON_HOME: &str = "export PYTHONHOME=\"$HOME/.heroku/python\"\n";

/// Gunicorn believes the router about the client, and logs requests to where the dyno's log is.
const GUNICORN_SH: &str = r#"export FORWARDED_ALLOW_IPS='*'
export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"
"#;

/// As many workers as the cores keep busy and the memory holds, at 256 MB each.
const WEB_CONCURRENCY_SH: &str = r#"slugline_web_concurrency() {
  local cores by_cores by_memory by
  DYNO_RAM=$(slugline_memory_megabytes)
  export DYNO_RAM
  cores=$(nproc)
  slugline_say "Detected ${DYNO_RAM} MB available memory and ${cores} CPU cores."
  if [[ -n "${WEB_CONCURRENCY:-}" ]]; then
    slugline_say "WEB_CONCURRENCY is already set: ${WEB_CONCURRENCY}."
    return
  fi
  by_cores=$(( cores * 2 + 1 ))
  by_memory=$(( DYNO_RAM / 256 > 0 ? DYNO_RAM / 256 : 1 ))
  by='number of CPU cores'
  (( by_memory < by_cores )) && by='available memory'
  export WEB_CONCURRENCY=$(( by_cores < by_memory ? by_cores : by_memory ))
  export WEB_CONCURRENCY_SET_BY=heroku/python
  slugline_say "Defaulting WEB_CONCURRENCY to ${WEB_CONCURRENCY} based on the ${by}."
}
slugline_say() {
  [[ "${DYNO:-}" != web.* ]] || echo "Python buildpack: $*" >&2
}
slugline_web_concurrency
unset -f slugline_web_concurrency slugline_memory_megabytes slugline_say
"#;

/// Writes `.profile.d` and `export`.
pub(crate) fn write(call: &Call, runtime: &Runtime) -> Result<(), PythonError> {
    let directory = call.build_dir.join(".profile.d");
    let home = if matches!(runtime, Runtime::Standalone { .. }) { PYTHON_HOME } else { "" };
    let write = || {
        fs_err::create_dir_all(&directory)?;
        fs_err::write(directory.join("python.sh"), format!("{PYTHON_SH}{home}"))?;
        fs_err::write(directory.join("python.gunicorn.sh"), GUNICORN_SH)?;
        let concurrency = format!("{MEMORY_FUNCTION}{WEB_CONCURRENCY_SH}");
        fs_err::write(directory.join("WEB_CONCURRENCY.sh"), concurrency)?;
        if call.buildpack_dir.as_os_str().is_empty() {
            return Ok(());
        }
        // The next buildpack runs with the same HOME, so the same lines are right for it.
        fs_err::write(call.buildpack_dir.join("export"), format!("{PYTHON_SH}{home}"))
    };
    write().map_err(PythonError::io("write .profile.d"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// What bash says after sourcing everything, in a dyno of this name and with 512 MB.
    fn sourced(environment: &[(&str, &str)], print: &str) -> (String, String) {
        let limit = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(limit.path(), "536870912\n").unwrap();
        let scripts = [PYTHON_SH, GUNICORN_SH, MEMORY_FUNCTION, WEB_CONCURRENCY_SH].concat();
        let mut command = Command::new("/bin/bash");
        command.arg("-c").arg(format!("{scripts}\necho {print}"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/app");
        command.env("SLUGLINE_MEMORY_LIMIT_FILE", limit.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        (text(output.stdout), text(output.stderr))
    }

    fn cores() -> usize {
        std::thread::available_parallelism().unwrap().get()
    }

    #[test]
    fn a_dyno_finds_python_and_as_many_workers_as_fit() {
        let (path, errors) = sourced(&[], "$PATH:$LD_LIBRARY_PATH");
        assert_eq!(path, "/app/.heroku/python/bin:/usr/bin:/bin:/app/.heroku/python/lib");
        assert_eq!(errors, "", "only a web dyno hears of its workers");
        let print = "$WEB_CONCURRENCY $WEB_CONCURRENCY_SET_BY $DYNO_RAM $FORWARDED_ALLOW_IPS";
        let (values, errors) = sourced(&[("DYNO", "web.1")], &format!("\"{print}\""));
        assert_eq!(values, "2 heroku/python 512 *");
        let expect = format!(
            "Python buildpack: Detected 512 MB available memory and {} CPU cores.\n\
             Python buildpack: Defaulting WEB_CONCURRENCY to 2 based on the available memory.",
            cores()
        );
        assert_eq!(errors, expect);
    }

    #[test]
    fn config_vars_win() {
        let set = [("WEB_CONCURRENCY", "7"), ("GUNICORN_CMD_ARGS", "-w 1")];
        let (values, errors) = sourced(&set, "$WEB_CONCURRENCY $GUNICORN_CMD_ARGS");
        assert_eq!((values.as_str(), errors.as_str()), ("7 -w 1", ""));
        let (values, _) = sourced(&[], "$GUNICORN_CMD_ARGS");
        assert_eq!(values, "--access-logfile -");
    }
}
