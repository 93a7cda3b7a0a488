//! Logins: what a registry asks for, and where one may be written down.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// The largest file of logins that is read (bytes).
const LARGEST: u64 = 1 << 20;

/// What a registry asks for in `WWW-Authenticate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token, which is given elsewhere.
    Bearer {
        /// Where.
        realm: String,
        /// For whom.
        service: Option<String>,
        /// For what.
        scope: Option<String>,
    },
}

/// Reads a challenge; none for one that is unknown or makes no sense.
pub fn parse_challenge(header: &str) -> Option<Challenge> {
    let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut values = parameters(rest)?;
    let realm = values.remove("realm")?;
    Some(Challenge::Bearer {
        realm,
        service: values.remove("service"),
        scope: values.remove("scope"),
    })
}

/// `name="value",name=value`.
fn parameters(text: &str) -> Option<BTreeMap<String, String>> {
    let mut rest = text.trim_start_matches([' ', ',']);
    let mut values = BTreeMap::new();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        values.insert(name.trim().to_ascii_lowercase(), value.to_owned());
        rest = after.trim_start_matches([' ', ',']);
    }
    Some(values)
}

/// The logins that docker's and podman's file has.
#[derive(Debug, Default, Deserialize)]
struct Logins {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
}

#[derive(Debug, Default, Deserialize)]
struct Login {
    #[serde(default)]
    auth: String,
}

/// User name and password for a host, from the text of such a file.
pub fn parse_logins(text: &[u8], host: &str) -> Option<(String, String)> {
    let logins: Logins = serde_json::from_slice(text).ok()?;
    let of_host = |key: &&String| {
        let bare = key.split_once("://").map_or(key.as_str(), |(_, rest)| rest);
        let bare = bare.split('/').next().unwrap_or_default();
        bare == host || (host == "docker.io" && bare == "index.docker.io")
    };
    let key = logins.auths.keys().find(of_host)?;
    let pair = String::from_utf8(STANDARD.decode(&logins.auths[key].auth).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// User name and password for a host, where docker or podman have written one down for this user.
pub(crate) fn written_down(host: &str) -> Option<(String, String)> {
    files().iter().find_map(|path| {
        let small = path.metadata().is_ok_and(|metadata| metadata.len() <= LARGEST);
        parse_logins(&fs_err::read(path).ok().filter(|_| small)?, host)
    })
}

fn files() -> Vec<PathBuf> {
    let directory = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let home = directory("HOME");
    let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let candidates = [
        directory("REGISTRY_AUTH_FILE"),
        directory("DOCKER_CONFIG").map(|path| path.join("config.json")),
        directory("XDG_RUNTIME_DIR").map(|path| path.join("containers/auth.json")),
        below_home(".config/containers/auth.json"),
        below_home(".docker/config.json"),
    ];
    candidates.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_of_real_registries_are_understood() {
        let docker = "Bearer realm=\"https://auth.example/token\",service=\"registry.example\",\
                      scope=\"repository:a/b:pull,push\"";
        let Some(Challenge::Bearer { realm, service, scope }) = parse_challenge(docker) else {
            panic!("it is one")
        };
        assert_eq!(realm, "https://auth.example/token");
        assert_eq!(service.as_deref(), Some("registry.example"));
        assert_eq!(scope.as_deref(), Some("repository:a/b:pull,push"));
        assert_eq!(parse_challenge("basic realm=\"x\""), Some(Challenge::Basic));
        assert_eq!(parse_challenge("Basic"), Some(Challenge::Basic));
        for junk in ["", "Bearer", "Bearer realm", "Bearer realm=\"x", "Negotiate", "Bearer a=b"] {
            assert_eq!(parse_challenge(junk), None, "{junk}");
        }
    }

    #[test]
    fn a_login_is_found_by_its_host_however_it_is_written() {
        let auth = STANDARD.encode("user:pass:word");
        for key in ["registry.example:5000", "https://registry.example:5000/v1/"] {
            let text = format!("{{\"auths\":{{\"{key}\":{{\"auth\":\"{auth}\"}}}}}}");
            let found = parse_logins(text.as_bytes(), "registry.example:5000").unwrap();
            assert_eq!(found, ("user".to_owned(), "pass:word".to_owned()));
            assert_eq!(parse_logins(text.as_bytes(), "registry.example"), None);
        }
        for junk in
            ["", "{}", "[]", "{\"auths\":{\"h\":{}}}", "{\"auths\":{\"h\":{\"auth\":\"?\"}}}"]
        {
            assert_eq!(parse_logins(junk.as_bytes(), "h"), None, "{junk}");
        }
    }
}
