//! What a dyno sources at boot, and what the next buildpack gets.

use super::client::Client;
use super::environment::BuildEnvironment;
use super::error::NodejsError;
use super::package_client::PackageClient;
use crate::builtin::Call;
use crate::web_memory::MEMORY_FUNCTION;

const NODEJS_SH: &str = r#"export PATH="$HOME/.heroku/npm/bin:$HOME/.heroku/node/bin:$HOME/.heroku/yarn/bin:$HOME/.heroku/pnpm/bin:$PATH:$HOME/bin:$HOME/node_modules/.bin"
export NODE_HOME="$HOME/.heroku/node"
export NODE_ENV="${NODE_ENV:-production}"
"#;

/// pnpm notes the path that it installed in, and finds the app elsewhere when it runs: it may say so,
/// but is not to install again.
const PNPM_SH: &str = r#"export pnpm_config_verify_deps_before_run="${pnpm_config_verify_deps_before_run:-warn}"
"#;

/// One process for each `WEB_MEMORY` megabytes, and one if that makes more than a machine can have.
const WEB_CONCURRENCY_SH: &str = r#"slugline_web_concurrency() {
  local most=129024 megabytes
  megabytes=$(slugline_memory_megabytes)
  export MEMORY_AVAILABLE="${MEMORY_AVAILABLE:-$(( megabytes > most ? most : megabytes ))}"
  export WEB_MEMORY="${WEB_MEMORY:-$(( MEMORY_AVAILABLE > 16384 ? 2048 : 512 ))}"
  if [[ -z "${WEB_CONCURRENCY:-}" ]]; then
    local processes=$(( MEMORY_AVAILABLE / WEB_MEMORY ))
    (( processes < 1 || processes > 200 )) && processes=1
    export WEB_CONCURRENCY="$processes"
    export WEB_CONCURRENCY_SET_BY=heroku/nodejs
  fi
  if [[ "${LOG_CONCURRENCY:-}" == true ]]; then
    echo "Detected $MEMORY_AVAILABLE MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)"
    echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY"
  fi
}
slugline_web_concurrency
unset -f slugline_web_concurrency slugline_memory_megabytes
"#;

/// Writes `.profile.d` and `export`.
pub(crate) fn write(
    call: &Call,
    environment: &BuildEnvironment,
    client: &Client,
) -> Result<(), NodejsError> {
    let directory = call.build_dir.join(".profile.d");
    let write = || {
        fs_err::create_dir_all(&directory)?;
        fs_err::write(directory.join("nodejs.sh"), NODEJS_SH)?;
        let concurrency = format!("{MEMORY_FUNCTION}{WEB_CONCURRENCY_SH}");
        fs_err::write(directory.join("WEB_CONCURRENCY.sh"), concurrency)?;
        if client.kind == PackageClient::Pnpm {
            fs_err::write(directory.join("pnpm.sh"), PNPM_SH)?;
        }
        if call.buildpack_dir.as_os_str().is_empty() {
            return Ok(());
        }
        // The next buildpack works in BUILD_DIR, where the Node.js of this one is.
        let path = environment.get("PATH").unwrap_or_default().replace('\'', r"'\''");
        fs_err::write(call.buildpack_dir.join("export"), format!("export PATH='{path}'\n"))
    };
    write().map_err(NodejsError::io("write .profile.d"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn sourced(limit: &str, environment: &[(&str, &str)]) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs_err::write(file.path(), limit).unwrap();
        let scripts = [NODEJS_SH, MEMORY_FUNCTION, WEB_CONCURRENCY_SH].concat();
        let print = "echo \"$WEB_CONCURRENCY $WEB_MEMORY $MEMORY_AVAILABLE $NODE_ENV $PATH\"";
        let mut command = Command::new("/bin/bash");
        command.arg("-c").arg(format!("{scripts}\n{print}"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/app");
        command.env("SLUGLINE_MEMORY_LIMIT_FILE", file.path());
        let output = command.envs(environment.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn a_dyno_gets_a_process_for_each_half_gigabyte() {
        let path = "/app/.heroku/npm/bin:/app/.heroku/node/bin:/app/.heroku/yarn/bin:/app/.heroku/pnpm/bin:/usr/bin:/bin\
                    :/app/bin:/app/node_modules/.bin";
        let gigabyte = "1073741824";
        assert_eq!(sourced(gigabyte, &[]), format!("2 512 1024 production {path}"));
        let set = [("WEB_CONCURRENCY", "7"), ("NODE_ENV", "test")];
        assert_eq!(sourced(gigabyte, &set), format!("7 512 1024 test {path}"));
        let large = sourced("34359738368", &[]);
        assert!(large.starts_with("16 2048 32768 "), "{large}");
        let small = sourced("268435456", &[]);
        assert!(small.starts_with("1 512 256 "), "{small}");
    }
}
