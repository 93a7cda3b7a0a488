//! What the stock clients need to reach and trust a server: variables, printed and set nowhere.

use std::path::Path;

use serde_json::{Map, Value};
use slugline_model::build::exit_code;
use slugline_model::domain::{LOCAL, api_host};

use super::Options;
use crate::errors::CommandError;

/// A name, and a value; none where the name is in the way.
type Variable = (String, Option<String>);

/// Prints the variables.
pub(super) fn trust(options: &Options) -> Result<i32, CommandError> {
    let data_dir = options.data_dir()?;
    let authority = data_dir.join("tls/ca.pem");
    if let Err(source) = authority.metadata() {
        return Err(CommandError::Source { path: authority, source });
    }
    let program = std::env::current_exe().unwrap_or_else(|_| "slugline".into());
    // What git trusts beside: the variable would outdo what is said of this server alone.
    let trusted = std::env::var("GIT_SSL_CAINFO").ok().filter(|path| !path.is_empty());
    let server = (options.domain.as_str(), options.api_port);
    let variables = variables(server, (&authority, &data_dir), &program, trusted);
    let object: Map<String, Value> =
        variables.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
    options.tell(&Value::Object(object), |_| variables.iter().map(line).collect());
    Ok(exit_code::OK)
}

fn line((name, value): &Variable) -> String {
    match value {
        Some(value) => format!("export {name}={}", quoted(value)),
        None => format!("unset {name}"),
    }
}

/// In the order in which they are printed.
fn variables(
    (domain, port): (&str, u16),
    (authority, data_dir): (&Path, &Path),
    program: &Path,
    trusted: Option<String>,
) -> Vec<Variable> {
    let host = api_host(domain);
    let url = format!("https://{host}:{port}");
    let authority = authority.display().to_string();
    let mut helper = format!(
        "!{} git:credentials --api-port {port} --data-dir {}",
        quoted(&program.display().to_string()),
        quoted(&data_dir.display().to_string())
    );
    if domain != LOCAL {
        helper = format!("{helper} --domain {domain}");
    }
    // For this server alone: GIT_SSL_CAINFO would have git trust nobody else.
    let mut git = vec![
        (format!("http.{url}/.sslCAInfo"), authority.clone()),
        (format!("credential.{url}.helper"), helper),
    ];
    let is_in_the_way = trusted.is_some();
    git.extend(trusted.map(|path| ("http.sslCAInfo".to_owned(), path)));
    let plain = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
    let mut all = vec![
        plain("HEROKU_HOST", &url),
        plain("NODE_EXTRA_CA_CERTS", &authority),
        // What clients would ask of Heroku's own hosts.
        plain("HEROKU_PARTICLEBOARD_URL", &url),
        plain("HEROKU_LOGIN_HOST", &url),
        plain("HEROKU_BUILDPACK_REGISTRY_URL", &url),
        plain("HEROKU_STATUS_HOST", &url),
        plain("HEROKU_DATA_HOST", &host),
        plain("DISABLE_TELEMETRY", "true"),
        plain("HEROKU_SKIP_NEW_VERSION_CHECK", "1"),
        plain("HEROKU_DISABLE_AUTOUPDATE", "1"),
        plain("GIT_CONFIG_COUNT", &git.len().to_string()),
    ];
    for (number, (key, value)) in git.into_iter().enumerate() {
        all.push((format!("GIT_CONFIG_KEY_{number}"), Some(key)));
        all.push((format!("GIT_CONFIG_VALUE_{number}"), Some(value)));
    }
    if is_in_the_way {
        all.push(("GIT_SSL_CAINFO".to_owned(), None));
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
        let place = (Path::new("/d/tls/ca.pem"), Path::new("/d"));
        let lines = |trusted: Option<&str>| -> Vec<String> {
            let program = Path::new("/bin/slugline");
            variables(("localhost", 5055), place, program, trusted.map(str::to_owned))
                .iter()
                .map(line)
                .collect()
        };
        let with = |lines: &[String], expected: &[&str]| {
            for expected in expected {
                assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
            }
        };
        let usual = lines(None);
        with(
            &usual,
            &[
                "export HEROKU_HOST=https://localhost:5055",
                "export GIT_CONFIG_COUNT=2",
                "export GIT_CONFIG_KEY_0=http.https://localhost:5055/.sslCAInfo",
                "export GIT_CONFIG_VALUE_0=/d/tls/ca.pem",
                "export GIT_CONFIG_VALUE_1='!/bin/slugline git:credentials --api-port 5055 \
                 --data-dir /d'",
            ],
        );
        assert!(!usual.iter().any(|line| line.contains("GIT_SSL_CAINFO")), "{usual:?}");
        with(
            &lines(Some("/etc/ca")),
            &[
                "export GIT_CONFIG_COUNT=3",
                "export GIT_CONFIG_KEY_2=http.sslCAInfo",
                "export GIT_CONFIG_VALUE_2=/etc/ca",
                "unset GIT_SSL_CAINFO",
            ],
        );
    }
}
