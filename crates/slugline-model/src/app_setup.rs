//! `app.json` as Heroku has it: what an app that is set up from a source begins with.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::config_vars::ConfigVars;
use crate::name::ProcessType;

/// What a new app gets before its first build, and after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Setup {
    /// Config vars, where their values are known.
    pub env: ConfigVars,
    /// Config vars that get a secret at random.
    pub secrets: Vec<String>,
    /// Quantities and sizes, as they were written.
    pub formation: Vec<(ProcessType, Option<u32>, Option<String>)>,
    /// In the order in which they are made.
    pub addons: Vec<SetupAddon>,
    /// In their order; none to let the app decide.
    pub buildpacks: Vec<String>,
    /// What runs once, after the first release.
    pub postdeploy: Option<String>,
    /// What sets a test run up.
    pub test_setup: Option<String>,
    /// What tests.
    pub test: Option<String>,
    /// Where a browser is sent then: a path, or an address.
    pub success_url: Option<String>,
}

/// An add-on of such an app.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SetupAddon {
    /// `postgres:dev`.
    pub plan: String,
    /// What its attachment is called.
    pub name: Option<String>,
    /// What is said beside.
    pub options: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct File {
    env: BTreeMap<String, Value>,
    formation: BTreeMap<String, Value>,
    addons: Option<Vec<Value>>,
    buildpacks: Option<Vec<Value>>,
    scripts: BTreeMap<String, Value>,
    success_url: Option<String>,
    environments: BTreeMap<String, Value>,
}

/// Reads an `app.json` for an environment (`review`, `test`) or for none. `given` are values that
/// whoever sets the app up has for config vars: they come first. Tells all that is wrong.
pub fn parse(
    text: &str,
    environment: Option<&str>,
    given: &ConfigVars,
) -> Result<Setup, Vec<String>> {
    let read = |text: &str| serde_json::from_str::<File>(text);
    let file = read(text).map_err(|error| vec![format!("app.json cannot be read: {error}")])?;
    let inner = environment.and_then(|name| file.environments.get(name));
    let inner = inner.map_or(Ok(File::default()), |inner| read(&inner.to_string()));
    let inner = inner.map_err(|error| vec![format!("`environments` cannot be read: {error}")])?;
    let mut faults = Vec::new();
    let mut setup = Setup::default();
    let mut env = file.env;
    env.extend(inner.env);
    take_env(&env, given, &mut setup, &mut faults);
    let mut formation = file.formation;
    formation.extend(inner.formation);
    for (name, asked) in &formation {
        match name.parse() {
            Ok(process_type) => setup.formation.push((process_type, quantity(asked), size(asked))),
            Err(error) => faults.push(format!("`formation`: {error}")),
        }
    }
    for asked in inner.addons.or(file.addons).unwrap_or_default() {
        match addon(&asked) {
            Some(addon) => setup.addons.push(addon),
            None => faults.push(format!("`addons`: {asked} names no plan")),
        }
    }
    for asked in inner.buildpacks.or(file.buildpacks).unwrap_or_default() {
        match asked["url"].as_str().or(asked.as_str()) {
            Some(url) => setup.buildpacks.push(url.to_owned()),
            None => faults.push(format!("`buildpacks`: {asked} has no `url`")),
        }
    }
    let script = |name: &str| {
        let script = inner.scripts.get(name).or(file.scripts.get(name))?;
        script.as_str().or(script["command"].as_str()).map(str::to_owned)
    };
    setup.postdeploy = script("postdeploy");
    setup.test_setup = script("test-setup");
    setup.test = script("test");
    setup.success_url = file.success_url;
    if faults.is_empty() { Ok(setup) } else { Err(faults) }
}

fn take_env(
    env: &BTreeMap<String, Value>,
    given: &ConfigVars,
    setup: &mut Setup,
    faults: &mut Vec<String>,
) {
    for (name, asked) in env {
        let value = given.get(name).cloned().or_else(|| value(asked));
        if let Some(value) = value {
            setup.env.insert(name.clone(), value);
        } else if asked["generator"] == "secret" {
            setup.secrets.push(name.clone());
        } else if asked.is_object() && asked["required"] != false {
            faults.push(format!("`env`: {name} needs a value, and nobody gives one"));
        }
    }
    let further = given.iter().map(|(name, value)| (name.clone(), value.clone()));
    setup.env.extend(further);
}

fn value(asked: &Value) -> Option<String> {
    let value = if asked.is_object() { &asked["value"] } else { asked };
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn quantity(asked: &Value) -> Option<u32> {
    asked["quantity"].as_u64().and_then(|quantity| quantity.try_into().ok())
}

fn size(asked: &Value) -> Option<String> {
    asked["size"].as_str().map(str::to_owned)
}

fn addon(asked: &Value) -> Option<SetupAddon> {
    if let Some(plan) = asked.as_str() {
        return Some(SetupAddon { plan: plan.to_owned(), ..SetupAddon::default() });
    }
    let options = asked["options"].as_object().into_iter().flatten();
    let options = options.filter_map(|(name, asked)| Some((name.clone(), value(asked)?)));
    Some(SetupAddon {
        plan: asked["plan"].as_str()?.to_owned(),
        name: asked["as"].as_str().map(str::to_owned),
        options: options.collect(),
    })
}

/// The name of a review app: of the pipeline's choice, with what tells it from others.
pub fn review_app_name(base: &str, pr_number: Option<i64>, random: u32) -> String {
    let tail = match pr_number {
        Some(number) if (0..1_000_000).contains(&number) => format!("-pr-{number}"),
        _ => format!("-{:06x}", random % 0x0100_0000),
    };
    let plain = base.to_ascii_lowercase();
    let plain = plain.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-');
    let start: String =
        plain.skip_while(|c| !c.is_ascii_lowercase()).take(30 - tail.len()).collect();
    let start = start.trim_end_matches('-');
    format!("{}{tail}", if start.is_empty() { "review" } else { start })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::AppName;

    const FILE: &str = r#"{
        "env": {
            "SECRET": { "generator": "secret" }, "PLAIN": "text", "NUMBER": { "value": 3 },
            "MAYBE": { "required": false, "description": "x" }
        },
        "formation": { "web": { "quantity": 2, "size": "standard-1x" }, "worker": {} },
        "addons": ["postgres:dev", { "plan": "s3", "as": "MEDIA", "options": { "a": true } }],
        "buildpacks": [{ "url": "heroku/python" }],
        "scripts": { "postdeploy": "migrate" },
        "success_url": "/welcome",
        "environments": {
            "review": { "addons": [], "env": { "PLAIN": "review" },
                        "scripts": { "postdeploy": { "command": "seed" } } },
            "test": { "scripts": { "test-setup": "bin/fixtures", "test": "bin/check" } }
        }
    }"#;

    #[test]
    fn an_app_begins_with_what_its_file_says() {
        let given = ConfigVars::from([("GIVEN".into(), "1".into()), ("NUMBER".into(), "4".into())]);
        let setup = parse(FILE, None, &given).unwrap();
        let env: Vec<(&str, &str)> =
            setup.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(env, [("GIVEN", "1"), ("NUMBER", "4"), ("PLAIN", "text")]);
        assert_eq!(setup.secrets, ["SECRET"]);
        assert_eq!(setup.formation[0].1, Some(2));
        assert_eq!(setup.formation[1], ("worker".parse().unwrap(), None, None));
        assert_eq!((setup.addons[0].plan.as_str(), setup.addons.len()), ("postgres:dev", 2));
        assert_eq!(setup.addons[1].options["a"], "true");
        assert_eq!(setup.postdeploy.as_deref(), Some("migrate"));
        let review = parse(FILE, Some("review"), &given).unwrap();
        assert_eq!((review.addons.len(), review.env["PLAIN"].as_str()), (0, "review"));
        assert_eq!(review.postdeploy.as_deref(), Some("seed"));
        assert_eq!((review.test, review.test_setup), (None, None));
        let test = parse(FILE, Some("test"), &given).unwrap();
        assert_eq!(test.test_setup.as_deref(), Some("bin/fixtures"));
        assert_eq!(test.test.as_deref(), Some("bin/check"));
        assert_eq!(parse("{}", Some("review"), &ConfigVars::new()).unwrap(), Setup::default());
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let text = r#"{ "env": { "A": { "description": "x" } }, "addons": [1],
                        "buildpacks": [{}], "formation": { "a b": {} } }"#;
        let faults = parse(text, None, &ConfigVars::new()).unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults[0].contains("A needs a value"));
        assert!(parse("[", None, &ConfigVars::new()).is_err());
    }

    #[test]
    fn review_apps_have_names() {
        assert_eq!(review_app_name("books", Some(12), 0), "books-pr-12");
        let long = "a-pipeline-with-a-long-name-ab";
        for (base, number) in [(long, Some(999_999)), (long, None), ("---", None), ("9", Some(1))] {
            let name = review_app_name(base, number, 77);
            assert!(name.parse::<AppName>().is_ok(), "{name}");
        }
    }
}
