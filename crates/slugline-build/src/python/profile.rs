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
    megabytes=$(( $(awk '/^MemTotal:/ { print $2 }' /proc/meminfo) / 1024 ))
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
