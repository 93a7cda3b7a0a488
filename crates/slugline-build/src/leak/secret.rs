//! Which values of config vars are secrets, and in which shapes they may leak.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use slugline_model::config_vars::ConfigVars;

/// Config vars with these names are meant for browsers: the conventions of the front-end tools.
pub(crate) const PUBLIC_PREFIXES: [&str; 8] = [
    "PUBLIC_",
    "REACT_APP_",
    "VITE_",
    "NEXT_PUBLIC_",
    "NUXT_PUBLIC_",
    "VUE_APP_",
    "GATSBY_",
    "EXPO_PUBLIC_",
];

/// Parts of names that say that a value is a secret.
const SECRET_WORDS: [&str; 13] = [
    "KEY",
    "KEYS",
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASS",
    "PWD",
    "CREDENTIAL",
    "CREDENTIALS",
    "PRIVATE",
    "SALT",
];

/// Values that a secret has while nobody has set it, and that a slug may well hold.
const COMMON: [&str; 8] = [
    "changeme",
    "production",
    "development",
    "disabled",
    "password",
    "insecure",
    "undefined",
    "placeholder",
];

/// A secret shorter than this would be found where it is not (bytes).
const SHORTEST: usize = 8;

/// One of letters or of digits alone must be longer (bytes).
const SHORTEST_SIMPLE: usize = 12;

/// A value whose name says nothing must be as long as a generated one (bytes).
const SHORTEST_NAMELESS: usize = 20;

/// So much of the beginning of a long secret is looked for (bytes): the header of a private key, and
/// enough of what follows.
const LOOKED_FOR: usize = 160;

/// Bits that tell a generated value from words and numbers.
const ENTROPY: f64 = 20.0;
const ENTROPY_NAMELESS: f64 = 60.0;

/// One text to look for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    /// The config vars that have it, by name.
    pub(crate) config_vars: Vec<String>,
    /// What to look for. Never printed.
    pub(crate) text: Vec<u8>,
    /// Whether it is part of the value in base64.
    pub(crate) base64: bool,
}

/// What to look for.
pub(crate) fn secrets(vars: &ConfigVars) -> Vec<Secret> {
    let mut shapes: BTreeMap<(Vec<u8>, bool), Vec<String>> = BTreeMap::new();
    for (name, value) in vars {
        for secret in secret_parts(name, value.trim()) {
            for shape in shapes_of(&secret) {
                let names = shapes.entry(shape).or_default();
                if names.last() != Some(name) {
                    names.push(name.clone());
                }
            }
        }
    }
    let secret = |((mut text, base64), config_vars): ((Vec<u8>, bool), Vec<String>)| {
        text.truncate(LOOKED_FOR);
        Secret { config_vars, text, base64 }
    };
    shapes.into_iter().map(secret).collect()
}

/// What of a value is secret: all of it, the password of a URL, or nothing.
fn secret_parts(name: &str, value: &str) -> Vec<String> {
    if PUBLIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name.contains("PUBLIC") {
        return Vec::new();
    }
    if let Some(password) = password_of_url(value) {
        let known = COMMON.contains(&password) || entropy(password) < ENTROPY;
        let password = (password.len() >= SHORTEST && !known).then(|| password.to_owned());
        return password.into_iter().chain([value.to_owned()]).collect();
    }
    let says_so = name.split('_').any(|word| SECRET_WORDS.contains(&word));
    let worth = if says_so { is_worth_it(value) } else { looks_generated(value) };
    if worth { vec![value.to_owned()] } else { Vec::new() }
}

/// `postgres://user:password@host/db`
fn password_of_url(value: &str) -> Option<&str> {
    let rest = value.split_once("://")?.1;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (_, password) = authority.rsplit_once('@')?.0.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

fn is_worth_it(value: &str) -> bool {
    let is_path_or_url = value.starts_with('/') || value.starts_with("./") || value.contains("://");
    // A word or a number stands in many a file that knows nothing of the secret.
    let is_simple =
        value.bytes().all(|b| b.is_ascii_lowercase()) || value.bytes().all(|b| b.is_ascii_digit());
    value.len() >= if is_simple { SHORTEST_SIMPLE } else { SHORTEST }
        && !is_path_or_url
        && !COMMON.contains(&value.to_ascii_lowercase().as_str())
        && entropy(value) >= ENTROPY
}

/// Letters and digits as no person writes them.
fn looks_generated(value: &str) -> bool {
    let of_a_token = |b: u8| b.is_ascii_alphanumeric() || b"+/=_-".contains(&b);
    let has = |kind: fn(&u8) -> bool| value.bytes().any(|b| kind(&b));
    value.len() >= SHORTEST_NAMELESS
        && value.bytes().all(of_a_token)
        && has(u8::is_ascii_alphabetic)
        && has(u8::is_ascii_digit)
        && !value.starts_with('/')
        && entropy(value) >= ENTROPY_NAMELESS
}

/// Shannon's, over the whole value (bits).
#[expect(clippy::cast_precision_loss, reason = "a value has fewer than 2^52 bytes")]
fn entropy(value: &str) -> f64 {
    let mut counts = [0_usize; 256];
    for byte in value.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = value.len() as f64;
    let bits = |count: usize| count as f64 * (length / count as f64).log2();
    counts.into_iter().filter(|count| *count > 0).map(bits).sum()
}

/// As it is, as a text in JSON or JavaScript, and in base64 at each of the three places where a
/// value may begin in what was encoded.
fn shapes_of(secret: &str) -> Vec<(Vec<u8>, bool)> {
    let mut shapes = vec![(secret.as_bytes().to_vec(), false)];
    let escaped = serde_json::to_string(secret).unwrap_or_default();
    let escaped = escaped.trim_matches('"');
    if escaped != secret {
        shapes.push((escaped.as_bytes().to_vec(), false));
    }
    for shift in 0..3 {
        let encoded = STANDARD.encode([&vec![0; shift], secret.as_bytes()].concat());
        // What its neighbours have a share in is left out.
        let start = (shift * 8).div_ceil(6);
        let end = (shift + secret.len()) * 8 / 6;
        let inner = &encoded.as_bytes()[start..end];
        if inner.len() >= SHORTEST + 2 {
            shapes.push((inner.to_vec(), true));
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked_for(name: &str, value: &str) -> Vec<String> {
        secret_parts(name, value)
    }

    #[test]
    fn secrets_are_looked_for() {
        for (name, value) in [
            ("SECRET_KEY", "dj4ngo-s3cret"),
            ("STRIPE_KEY", "sk_live_abcdef"),
            ("DB_PASSWORD", "correct horse"),
            ("ANYTHING", "9f86d081884c7d659a2feaa0c55ad015"),
        ] {
            assert_eq!(looked_for(name, value), [value], "{name}");
        }
        let url = "postgres://library:pa55w0rd-x9@db.example:5432/library";
        assert_eq!(looked_for("DATABASE_URL", url), ["pa55w0rd-x9", url]);
    }

    #[test]
    fn what_is_no_secret_is_not_looked_for() {
        for (name, value) in [
            ("NODE_ENV", "production"),
            ("HOME_DIR", "/app/some/path/1234567890abc"),
            ("ALLOWED_HOSTS", "library.example.com"),
            ("SECRET_KEY", "changeme"),
            ("SECRET_KEY", "short"),
            ("SECRET_KEY", "elephant"),
            ("PASSWORD", "1234567890"),
            ("API_KEY", "1111111111111"),
            ("KEY_FILE", "/etc/ssl/private/key.pem"),
            ("PASSWORD_RESET_URL", "https://example.com/reset"),
            ("REACT_APP_API_KEY", "9f86d081884c7d659a2feaa0c55ad015"),
            ("STRIPE_PUBLIC_KEY", "pk_live_9f86d081884c7d65"),
            ("DJANGO_SETTINGS_MODULE", "library.settings"),
            ("GREETING", "hello_to_everyone_out_there"),
            ("DATABASE", "sqlite:///library.db"),
        ] {
            assert_eq!(looked_for(name, value), [""; 0], "{name}={value}");
        }
    }

    #[test]
    fn base64_is_found_wherever_the_value_begins() {
        let secret = "dj4ngo-s3cret!";
        let shapes = shapes_of(secret);
        for before in ["", "a", "ab", "abc", "user:"] {
            let encoded = STANDARD.encode(format!("{before}{secret} and more"));
            let found = shapes.iter().any(|(text, base64)| {
                *base64 && encoded.as_bytes().windows(text.len()).any(|at| at == text)
            });
            assert!(found, "{before}");
        }
    }

    #[test]
    fn a_long_secret_is_known_by_its_beginning() {
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n", "MIIEvQIBADANBg9x".repeat(100));
        let secrets = secrets(&ConfigVars::from([("PRIVATE_KEY".into(), pem)]));
        assert_eq!(secrets.len(), 5, "as it is, with escaped line ends, and thrice in base64");
        assert!(secrets.iter().all(|secret| secret.text.len() == LOOKED_FOR));
    }

    #[test]
    fn one_value_of_two_config_vars_is_one_text() {
        let value = "9f86d081884c7d65".to_owned();
        let vars = ConfigVars::from([("A_KEY".into(), value.clone()), ("B_KEY".into(), value)]);
        assert!(secrets(&vars).iter().all(|secret| secret.config_vars == ["A_KEY", "B_KEY"]));
    }
}
