//! What a dyno sources at boot, and what the next buildpack gets.

use super::environment::BuildEnvironment;
use super::error::NodejsError;
use crate::builtin::Call;

const NODEJS_SH: &str = r#"export PATH="$HOME/.heroku/node/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"
"#;

/// One process for each `WEB_MEMORY` megabytes, and one if that makes more than a machine can have.
const WEB_CONCURRENCY_SH: &str = r#"slugline_web_concurrency() {
  local bytes megabytes
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
  export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$megabytes}"
  export WEB_MEMORY="${WEB_MEMORY:-$(( megabytes > 16384 ? 2048 : 512 ))}"
  local processes=$(( MEMORY_AVAILABLE / WEB_MEMORY ))
  (( processes < 1 || processes > 200 )) && processes=1
  export WEB_CONCURRENCY="${WEB_CONCURRENCY:-$processes}"
}
slugline_web_concurrency
unset -f slugline_web_concurrency
"#;

/// Writes `.profile.d` and `export`.
pub(crate) fn write(call: &Call, environment: &BuildEnvironment) -> Result<(), NodejsError> {
    let directory = call.build_dir.join(".profile.d");
    let write = || {
        fs_err::create_dir_all(&directory)?;
        fs_err::write(directory.join("nodejs.sh"), NODEJS_SH)?;
        fs_err::write(directory.join("WEB_CONCURRENCY.sh"), WEB_CONCURRENCY_SH)?;
        if call.buildpack_dir.as_os_str().is_empty() {
            return Ok(());
        }
        // The next buildpack works in BUILD_DIR, where the Node.js of this one is.
        let path = environment.get("PATH").unwrap_or_default().replace('\'', r"'\''");
        fs_err::write(call.buildpack_dir.join("export"), format!("export PATH='{path}'\n"))
    };
    write().map_err(NodejsError::io("write .profile.d"))
}
