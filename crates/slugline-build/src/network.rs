//! The operator's network variables, which a build gets on top of Heroku's short list.

/// Variables of the operator's environment that reach a build: proxies and certificates.
pub const NETWORK_VARIABLES: &[&str] = &[
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODEJS_ORG_MIRROR",
];

/// Variables with these prefixes reach a build too: the settings of pip, uv and npm.
pub const NETWORK_PREFIXES: &[&str] = &["PIP_", "UV_", "NPM_CONFIG_", "npm_config_"];

/// Whether a variable of the operator's environment is one that a build may see.
pub fn is_network_variable(name: &str) -> bool {
    NETWORK_VARIABLES.contains(&name) || NETWORK_PREFIXES.iter().any(|p| name.starts_with(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_certificates_and_mirrors_pass_and_nothing_else() {
        for name in ["https_proxy", "SSL_CERT_FILE", "UV_PYTHON_INSTALL_MIRROR", "PIP_INDEX_URL"] {
            assert!(is_network_variable(name), "{name}");
        }
        for name in ["SECRET_KEY", "PATH", "PIPENV", "AWS_SECRET_ACCESS_KEY"] {
            assert!(!is_network_variable(name), "{name}");
        }
    }
}
