//! What the stock clients need to reach and trust a server: variables, printed and set nowhere.

use std::path::Path;

use serde_json::{Map, Value};
use slugline_model::build::exit_code;

use super::Options;
use crate::errors::CommandError;

/// Prints the variables.
pub(super) fn trust(options: &Options) -> Result<i32, CommandError> {
    let authority = options.data_dir()?.join("tls/ca.pem");
    if let Err(source) = authority.metadata() {
        return Err(CommandError::Source { path: authority, source });
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "slugline".into());
    let variables = variables(options.api_port, &authority, &options.data_dir()?, &program);
    let object: Map<String, Value> =
        variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    options.tell(&Value::Object(object), |_| {
        variables.iter().map(|(name, value)| format!("export {name}={}", quoted(value))).collect()
    });
    Ok(exit_code::OK)
}

/// Names and values, in the order in which they are printed.
fn variables(
    port: u16,
    authority: &Path,
    data_dir: &Path,
    program: &Path,
) -> Vec<(String, String)> {
    let url = format!("https://localhost:{port}");
    let authority = authority.display().to_string();
    let helper = format!(
        "!{} git:credentials --api-port {port} --data-dir {}",
        quoted(&program.display().to_string()),
        quoted(&data_dir.display().to_string())
    );
    // For this server alone: GIT_SSL_CAINFO would have git trust nobody else.
    let git = [
        (format!("http.{url}/.sslCAInfo"), authority.clone()),
        (format!("credential.{url}.helper"), helper),
    ];
    let plain = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut all = vec![
        plain("HEROKU_HOST", &url),
        plain("NODE_EXTRA_CA_CERTS", &authority),
        // What clients would ask of Heroku's own hosts.
        plain("HEROKU_PARTICLEBOARD_URL", &url),
        plain("HEROKU_LOGIN_HOST", &url),
        plain("HEROKU_BUILDPACK_REGISTRY_URL", &url),
        plain("HEROKU_STATUS_HOST", &url),
        plain("HEROKU_DATA_HOST", "localhost"),
        plain("DISABLE_TELEMETRY", "true"),
        plain("HEROKU_SKIP_NEW_VERSION_CHECK", "1"),
        plain("HEROKU_DISABLE_AUTOUPDATE", "1"),
        plain("GIT_CONFIG_COUNT", &git.len().to_string()),
    ];
    for (number, (key, value)) in git.into_iter().enumerate() {
        all.push((format!("GIT_CONFIG_KEY_{number}"), key));
        all.push((format!("GIT_CONFIG_VALUE_{number}"), value));
    }
    all
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:@=,".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_what_is_printed() {
        assert_eq!(quoted("https://localhost:5055"), "https://localhost:5055");
        assert_eq!(quoted("!a b"), "'!a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn git_trusts_this_server_and_goes_on_trusting_others() {
        let all = variables(
            5055,
            Path::new("/d/tls/ca.pem"),
            Path::new("/d"),
            Path::new("/bin/slugline"),
        );
        let value = |name: &str| &all.iter().find(|(known, _)| known == name).unwrap().1;
        assert_eq!(value("HEROKU_HOST"), "https://localhost:5055");
        assert_eq!(value("GIT_CONFIG_COUNT"), "2");
        assert_eq!(value("GIT_CONFIG_KEY_0"), "http.https://localhost:5055/.sslCAInfo");
        assert_eq!(
            value("GIT_CONFIG_VALUE_1"),
            "!/bin/slugline git:credentials --api-port 5055 --data-dir /d"
        );
        assert!(!all.iter().any(|(name, _)| name == "GIT_SSL_CAINFO"));
    }
}
