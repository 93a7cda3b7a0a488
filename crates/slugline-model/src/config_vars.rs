//! Config vars: an app's secrets and settings, and which names they may have.

use std::collections::BTreeMap;

use crate::limits::Limits;

/// Names and values. Values are secrets: no message and no log line may hold one.
pub type ConfigVars = BTreeMap<String, String>;

/// Why config vars are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigVarError {
    /// A name that no shell or file could carry.
    #[error(
        "`{0}` is not a config var's name: it must be letters, digits and `_`, and not start with a digit"
    )]
    Name(String),
    /// A name that the platform keeps to itself.
    #[error("`{0}` is reserved: names that start with `__` or `HEROKU_` cannot be set")]
    Reserved(String),
    /// A value that no environment could carry.
    #[error("the value of `{0}` holds a NUL byte")]
    Nul(String),
    /// All of them together are too much.
    #[error("config vars would take {found} bytes; at most {allowed} are allowed")]
    TooLarge {
        /// Names and values together (bytes).
        found: usize,
        /// The limit (bytes).
        allowed: usize,
    },
}

/// Applies a change, where `None` removes a var, and checks the whole.
pub fn change(
    vars: &ConfigVars,
    change: &BTreeMap<String, Option<String>>,
    limits: &Limits,
) -> Result<ConfigVars, ConfigVarError> {
    let mut vars = vars.clone();
    for (name, value) in change {
        match value {
            Some(value) => {
                check(name, value)?;
                vars.insert(name.clone(), value.clone());
            }
            None => {
                vars.remove(name);
            }
        }
    }
    let found = vars.iter().map(|(name, value)| name.len() + value.len()).sum();
    if found > limits.config_vars {
        return Err(ConfigVarError::TooLarge { found, allowed: limits.config_vars });
    }
    Ok(vars)
}

fn check(name: &str, value: &str) -> Result<(), ConfigVarError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if name.is_empty() || name.as_bytes()[0].is_ascii_digit() || !name.bytes().all(allowed) {
        return Err(ConfigVarError::Name(name.to_owned()));
    }
    if name.starts_with("__") || name.starts_with("HEROKU_") {
        return Err(ConfigVarError::Reserved(name.to_owned()));
    }
    if value.contains('\0') {
        return Err(ConfigVarError::Nul(name.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: Option<&str>) -> Result<ConfigVars, ConfigVarError> {
        let vars = ConfigVars::from([("A".into(), "1".into())]);
        let wanted = BTreeMap::from([(name.to_owned(), value.map(str::to_owned))]);
        change(&vars, &wanted, &Limits::default())
    }

    #[test]
    fn a_var_is_set_replaced_and_removed() {
        assert_eq!(set("B", Some("2")).unwrap().len(), 2);
        assert_eq!(set("A", Some("2")).unwrap()["A"], "2");
        assert!(set("A", None).unwrap().is_empty());
    }

    #[test]
    fn names_and_sizes_are_checked() {
        assert_eq!(set("1A", Some("")), Err(ConfigVarError::Name("1A".into())));
        assert_eq!(set("A-B", Some("")), Err(ConfigVarError::Name("A-B".into())));
        assert_eq!(set("HEROKU_X", Some("")), Err(ConfigVarError::Reserved("HEROKU_X".into())));
        assert_eq!(set("X", Some("\0")), Err(ConfigVarError::Nul("X".into())));
        let big = "x".repeat(40_000);
        assert!(matches!(set("X", Some(&big)), Err(ConfigVarError::TooLarge { .. })));
    }
}
