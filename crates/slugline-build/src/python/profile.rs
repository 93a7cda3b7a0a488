//! What a dyno sources at boot, and what the next buildpack gets.

use super::error::PythonError;
use super::runtime::Runtime;
use crate::builtin::Call;

const PYTHON_SH: &str = r#"export PATH="$HOME/.heroku/python/bin:$PATH"
export LANG="${LANG:-en_US.UTF-8}"
export PYTHONUNBUFFERED="${PYTHONUNBUFFERED:-true}"
export PYTHONPATH="${PYTHONPATH:-$HOME}"
export LIBRARY_PATH="$HOME/.heroku/python/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
export LD_LIBRARY_PATH="$HOME/.heroku/python/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
"#;

const PYTHON_HOME: &str = "export PYTHONHOME=\"$HOME/.heroku/python\"\n";

const GUNICORN_SH: &str = r#"export GUNICORN_CMD_ARGS="${GUNICORN_CMD_ARGS:---access-logfile -}"
"#;

/// As many workers as the cores keep busy and the memory holds, at 256 MB each.
const WEB_CONCURRENCY_SH: &str = r#"slugline_web_concurrency() {
  local bytes megabytes cores by_cores by_memory
  for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
    [[ -r "$file" ]] && read -r bytes < "$file" && break
  done
  # No limit is written as `max`, or as a number that no machine has.
  if [[ "$bytes" =~ ^[0-9]{1,13}$ ]]; then
    megabytes=$(( bytes / 1048576 ))
  else
    local name kilobytes
    while read -r name kilobytes _; do
      [[ "$name" == MemTotal: ]] && megabytes=$(( kilobytes / 1024 ))
    done < /proc/meminfo
  fi
  cores=$(nproc)
  by_cores=$(( cores * 2 + 1 ))
  by_memory=$(( megabytes / 256 > 0 ? megabytes / 256 : 1 ))
  export WEB_CONCURRENCY=$(( by_cores < by_memory ? by_cores : by_memory ))
  if [[ "$DYNO" == web.* ]]; then
    echo "Python buildpack: Detected ${megabytes} MB available memory and ${cores} CPU cores." >&2
    echo "Python buildpack: Defaulting WEB_CONCURRENCY to ${WEB_CONCURRENCY}." >&2
  fi
}
if [[ -z "$WEB_CONCURRENCY" ]]; then
  slugline_web_concurrency
fi
unset -f slugline_web_concurrency
"#;

/// Writes `.profile.d` and `export`.
pub(crate) fn write(call: &Call, runtime: &Runtime) -> Result<(), PythonError> {
    let directory = call.build_dir.join(".profile.d");
    let home = if matches!(runtime, Runtime::Standalone { .. }) { PYTHON_HOME } else { "" };
    let write = || {
        fs_err::create_dir_all(&directory)?;
        fs_err::write(directory.join("python.sh"), format!("{PYTHON_SH}{home}"))?;
        fs_err::write(directory.join("python.gunicorn.sh"), GUNICORN_SH)?;
        fs_err::write(directory.join("WEB_CONCURRENCY.sh"), WEB_CONCURRENCY_SH)?;
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

    /// What bash says after sourcing everything, in a dyno of this name.
    fn sourced(environment: &[(&str, &str)], print: &str) -> (String, String) {
        let script = format!("{PYTHON_SH}{GUNICORN_SH}{WEB_CONCURRENCY_SH}\necho {print}");
        let mut command = Command::new("/bin/bash");
        command.args(["-c", &script]).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/app");
        let output = command.envs(environment.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        (text(output.stdout), text(output.stderr))
    }

    #[test]
    fn a_dyno_finds_python_and_as_many_workers_as_fit() {
        let (path, errors) = sourced(&[], "$PATH:$LD_LIBRARY_PATH");
        assert_eq!(path, "/app/.heroku/python/bin:/usr/bin:/bin:/app/.heroku/python/lib");
        assert_eq!(errors, "", "only a web dyno hears of its workers");
        let (workers, errors) = sourced(&[("DYNO", "web.1")], "$WEB_CONCURRENCY");
        assert!(workers.parse::<u32>().unwrap() > 0);
        assert!(errors.contains(&format!("Defaulting WEB_CONCURRENCY to {workers}.")), "{errors}");
    }

    #[test]
    fn config_vars_win() {
        let set = [("WEB_CONCURRENCY", "7"), ("GUNICORN_CMD_ARGS", "-w 1"), ("DYNO", "web.1")];
        let (values, errors) = sourced(&set, "$WEB_CONCURRENCY $GUNICORN_CMD_ARGS");
        assert_eq!((values.as_str(), errors.as_str()), ("7 -w 1", ""));
    }
}
