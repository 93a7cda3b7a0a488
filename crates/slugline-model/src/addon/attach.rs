//! What an attachment does to an app's config vars.

use std::collections::BTreeSet;

use crate::config_vars::{ConfigVarError, ConfigVars};
use crate::limits::Limits;

use super::naming::{AttachmentName, var_name};

/// Told apart by people, when an app has several of a service. Heroku's.
const COLOURS: [&str; 32] = [
    "AMBER", "AQUA", "BLACK", "BLUE", "BRONZE", "BROWN", "CHARCOAL", "COBALT", "COPPER", "CRIMSON",
    "CYAN", "GOLD", "GRAY", "GREEN", "IVORY", "JADE", "MAROON", "MAUVE", "NAVY", "OLIVE", "ONYX",
    "ORANGE", "PINK", "PUCE", "PURPLE", "RED", "ROSE", "SILVER", "TEAL", "VIOLET", "WHITE",
    "YELLOW",
];

/// What an attachment gives to an app: under which name, and the values as its service names them.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The service's prefix.
    pub prefix: &'a AttachmentName,
    /// The attachment's name.
    pub name: &'a AttachmentName,
    /// Values under the names that the service gives them.
    pub values: &'a ConfigVars,
}

impl Held<'_> {
    /// The config vars that it sets.
    pub fn vars(&self) -> ConfigVars {
        let vars = self.values.iter();
        vars.map(|(name, value)| (var_name(self.prefix, self.name, name), value.clone())).collect()
    }

    /// Their names.
    pub fn names(&self) -> BTreeSet<String> {
        self.values.keys().map(|name| var_name(self.prefix, self.name, name)).collect()
    }
}

/// Why an add-on cannot be attached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// Somebody has set such a config var.
    #[error("{} already set: unset it, or attach the add-on under another name", told(.0))]
    Taken(Vec<String>),
    /// All together are too much.
    #[error(transparent)]
    Vars(#[from] ConfigVarError),
}

fn told(names: &[String]) -> String {
    let verb = if names.len() == 1 { "config var is" } else { "config vars are" };
    format!("the {} {verb}", names.join(", "))
}

/// An app's config vars with those of a new attachment.
pub fn attach(
    vars: &ConfigVars,
    new: &Held<'_>,
    limits: &Limits,
) -> Result<ConfigVars, AttachError> {
    let added = new.vars();
    let taken: Vec<String> =
        added.keys().filter(|name| vars.contains_key(*name)).cloned().collect();
    if !taken.is_empty() {
        return Err(AttachError::Taken(taken));
    }
    let mut vars = vars.clone();
    vars.extend(added);
    let found = vars.iter().map(|(name, value)| name.len() + value.len()).sum();
    if found > limits.config_vars {
        let allowed = limits.config_vars;
        return Err(ConfigVarError::TooLarge { found, allowed }.into());
    }
    Ok(vars)
}

/// An app's config vars without those of an attachment.
pub fn detach(vars: &ConfigVars, old: &Held<'_>) -> ConfigVars {
    let names = old.names();
    vars.iter()
        .filter(|(name, _)| !names.contains(*name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The name for an attachment for which nobody chose one: the service's prefix, else that and a
/// colour, such that nothing which is there is touched.
pub fn free_name(
    prefix: &AttachmentName,
    values: &ConfigVars,
    attached: &BTreeSet<AttachmentName>,
    vars: &ConfigVars,
) -> AttachmentName {
    let is_free = |name: &AttachmentName| {
        let names = Held { prefix, name, values }.names();
        !attached.contains(name) && !names.iter().any(|name| vars.contains_key(name))
    };
    let coloured = COLOURS.iter().map(|colour| prefix.with(colour));
    // A set of names is finite, and numbers are not.
    let numbered = (1_u64..).map(|number| prefix.with(&number.to_string()));
    let mut names = std::iter::once(prefix.clone()).chain(coloured).chain(numbered);
    names.find(is_free).unwrap_or_else(|| prefix.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AttachmentName {
        text.parse().unwrap()
    }

    fn vars(names: &[&str]) -> ConfigVars {
        names.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect()
    }

    #[test]
    fn an_attachment_adds_its_vars_and_takes_them_away_again() {
        let (prefix, values) = (name("DATABASE"), vars(&["DATABASE_URL"]));
        let held = Held { prefix: &prefix, name: &name("PINK"), values: &values };
        let before = vars(&["A", "DATABASE_URL"]);
        let after = attach(&before, &held, &Limits::default()).unwrap();
        assert_eq!(after, vars(&["A", "DATABASE_URL", "PINK_URL"]));
        assert_eq!(detach(&after, &held), before);
        let taken = attach(&after, &held, &Limits::default()).unwrap_err();
        assert_eq!(taken, AttachError::Taken(vec!["PINK_URL".into()]));
        assert!(taken.to_string().starts_with("the PINK_URL config var is already set"));
        let values = ConfigVars::from([("DATABASE_URL".into(), "x".repeat(40_000))]);
        let held = Held { values: &values, ..held };
        assert!(matches!(attach(&before, &held, &Limits::default()), Err(AttachError::Vars(_))));
    }

    #[test]
    fn a_name_is_free_when_it_touches_nothing() {
        let (prefix, values) = (name("DATABASE"), vars(&["DATABASE_URL"]));
        let free = |attached: &[&str], set: &[&str]| {
            let attached = attached.iter().map(|text| name(text)).collect();
            free_name(&prefix, &values, &attached, &vars(set)).to_string()
        };
        assert_eq!(free(&[], &[]), "DATABASE");
        assert_eq!(free(&["DATABASE"], &[]), "DATABASE_AMBER");
        assert_eq!(free(&[], &["DATABASE_URL"]), "DATABASE_AMBER");
        assert_eq!(free(&["DATABASE"], &["DATABASE_AMBER_URL"]), "DATABASE_AQUA");
        let all: Vec<String> = COLOURS.iter().map(|colour| format!("DATABASE_{colour}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).chain(["DATABASE"]).collect();
        assert_eq!(free(&all, &[]), "DATABASE_1");
    }
}
