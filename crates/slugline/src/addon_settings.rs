//! Tables `[addons.NAME]` of the operator's configuration: services that exist already, and that
//! apps may have.

use std::collections::BTreeMap;

use serde::Deserialize;
use slugline_model::addon::{AttachmentName, Plan, Service};
use slugline_model::config_vars;
use slugline_model::limits::Limits;
use slugline_platform::{Declared, DeclaredPlan};
use toml::Spanned;

/// What the tables may hold, for people.
pub(crate) const ALLOWED: &str = "[addons.NAME] has `name`, `prefix`, `url`, `default` and `plans`; \
    [addons.NAME.plans.PLAN] has `name`, `description` and `config`, a table of config vars: \
    DATABASE_URL = \"postgres://…\".";

/// One service.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AddonTable {
    /// For people.
    name: Option<String>,
    /// What its attachments are called: `DATABASE`.
    prefix: Option<Spanned<String>>,
    /// Where a browser sees it.
    url: Option<String>,
    /// The plan that is taken where none is named.
    default: Option<Spanned<String>>,
    plans: BTreeMap<Spanned<String>, PlanTable>,
}

/// What one plan of it gives.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PlanTable {
    name: Option<String>,
    description: String,
    config: BTreeMap<Spanned<String>, String>,
}

/// What cannot be used, and why.
#[derive(Debug)]
pub(crate) struct WrongAddon {
    pub(crate) place: std::ops::Range<usize>,
    pub(crate) value: String,
    pub(crate) found: String,
}

fn wrong(at: &Spanned<String>, found: impl Into<String>) -> WrongAddon {
    WrongAddon { place: at.span(), value: at.get_ref().clone(), found: found.into() }
}

/// The services that the operator declares.
pub(crate) fn declared(
    tables: &BTreeMap<Spanned<String>, AddonTable>,
) -> Result<Vec<Declared>, WrongAddon> {
    tables.iter().map(|(name, table)| service(name, table)).collect()
}

fn service(name: &Spanned<String>, table: &AddonTable) -> Result<Declared, WrongAddon> {
    if !is_name(name.get_ref()) {
        return Err(wrong(name, "It holds other characters than a-z, 0-9 and dashes."));
    }
    if table.plans.is_empty() {
        return Err(wrong(name, "It has no plan."));
    }
    let prefix = match &table.prefix {
        Some(prefix) => {
            prefix.get_ref().parse().map_err(|error| wrong(prefix, format!("{error}.")))?
        }
        None => own_prefix(name)?,
    };
    let plans: BTreeMap<String, DeclaredPlan> =
        table.plans.iter().map(|(name, table)| plan(name, table)).collect::<Result<_, _>>()?;
    let mut listed: Vec<Plan> = plans.values().map(|declared| declared.plan.clone()).collect();
    if let Some(default) = &table.default {
        if !plans.contains_key(default.get_ref()) {
            return Err(wrong(default, "It is no plan of this service."));
        }
        listed.sort_by_key(|plan| plan.name != *default.get_ref());
    }
    let service = Service {
        name: name.get_ref().clone(),
        human_name: table.name.clone().unwrap_or_else(|| name.get_ref().clone()),
        prefix,
        is_shareable: true,
        plans: listed,
    };
    Ok(Declared { service, plans, url: table.url.clone() })
}

/// The service's name in capitals.
fn own_prefix(name: &Spanned<String>) -> Result<AttachmentName, WrongAddon> {
    let prefix = name.get_ref().replace('-', "_").parse();
    prefix.map_err(|_| {
        wrong(name, "It begins with a digit: `prefix` must say what its config vars begin with.")
    })
}

fn plan(name: &Spanned<String>, table: &PlanTable) -> Result<(String, DeclaredPlan), WrongAddon> {
    if !is_name(name.get_ref()) {
        return Err(wrong(name, "It holds other characters than a-z, 0-9 and dashes."));
    }
    let mut vars = BTreeMap::new();
    for (var, value) in &table.config {
        let set = BTreeMap::from([(var.get_ref().clone(), Some(value.clone()))]);
        let checked = config_vars::change(&BTreeMap::new(), &set, &Limits::default());
        checked.map_err(|error| wrong(var, format!("{error}.")))?;
        vars.insert(var.get_ref().clone(), value.clone());
    }
    let plan = Plan {
        name: name.get_ref().clone(),
        human_name: table.name.clone().unwrap_or_else(|| name.get_ref().clone()),
        description: table.description.clone(),
    };
    Ok((name.get_ref().clone(), DeclaredPlan { plan, vars }))
}

fn is_name(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=40).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slugline_model::addon::{Order, Provider as _};

    #[derive(Deserialize)]
    struct File {
        addons: BTreeMap<Spanned<String>, AddonTable>,
    }

    fn read(text: &str) -> Result<Vec<Declared>, WrongAddon> {
        declared(&toml::from_str::<File>(text).unwrap().addons)
    }

    #[test]
    fn a_service_gives_what_the_operator_wrote() {
        let text = "[addons.postgres]\nname = \"PostgreSQL\"\nprefix = \"database\"\n\
                    default = \"small\"\nurl = \"http://db.example/\"\n\
                    [addons.postgres.plans.big.config]\nDATABASE_URL = \"postgres://big/{app}\"\n\
                    [addons.postgres.plans.small.config]\nDATABASE_URL = \"postgres://s/{addon}\"\n";
        let declared = read(text).unwrap();
        let service = declared[0].service();
        assert_eq!((service.name.as_str(), service.prefix.as_str()), ("postgres", "DATABASE"));
        assert_eq!(service.plan("postgres").unwrap().name, "small");
        let order = |plan: &str| Order {
            id: uuid::Uuid::nil(),
            name: "db-1".into(),
            app: "owl".parse().unwrap(),
            plan: plan.into(),
            options: BTreeMap::new(),
        };
        let given = |plan| declared[0].provision(&order(plan)).map(|given| given.vars);
        assert_eq!(given("big").unwrap()["DATABASE_URL"], "postgres://big/owl");
        assert_eq!(given("small").unwrap()["DATABASE_URL"], "postgres://s/db-1");
        assert!(given("gone").is_err());
    }

    #[test]
    fn what_cannot_be_offered_is_refused() {
        for (text, says) in [
            ("[addons.Post]\n[addons.Post.plans.a]", "other characters"),
            ("[addons.post]", "It has no plan."),
            ("[addons.9]\n[addons.9.plans.a]", "begins with a digit"),
            ("[addons.a]\nprefix = \"A-B\"\n[addons.a.plans.a]", "not an attachment's name"),
            ("[addons.a]\ndefault = \"b\"\n[addons.a.plans.a]", "no plan of this service"),
            ("[addons.a.plans.a.config]\n\"A-B\" = \"1\"", "not a config var's name"),
        ] {
            let found = read(text).unwrap_err().found;
            assert!(found.contains(says), "{text}: {found}");
        }
    }
}
