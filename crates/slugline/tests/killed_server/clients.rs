//! Clients that change an app, and remember what they were answered.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::api::Api;
use crate::support::chance::Chance;

/// What was asked for, and what was answered.
#[derive(Default)]
pub(crate) struct Clients {
    vars: Number,
    workers: Number,
    apps: Apps,
    /// Releases that were answered, by number.
    releases: Vec<(u64, Value)>,
    answers: u64,
}

/// Something that is set to one number after another.
#[derive(Default)]
struct Number {
    asked: u64,
    answered: u64,
}

#[derive(Default)]
struct Apps {
    count: u64,
    there: BTreeSet<String>,
    gone: BTreeSet<String>,
}

impl Number {
    /// What is there now is what was answered, or what was asked for as the server was killed.
    fn check(&mut self, there: u64) {
        assert!(
            there == self.answered || there == self.asked,
            "{there} is there, {} was answered and {} asked for",
            self.answered,
            self.asked
        );
        (self.answered, self.asked) = (there, there);
    }
}

impl Clients {
    /// Changes things, one after the other, until the server does not answer.
    pub(crate) fn change_until_it_is_gone(&mut self, api: &Api, seed: u64) {
        let mut chance = Chance::of(seed);
        while self.change(api, &mut chance).is_ok() {
            self.answers += 1;
            // Whoever pushes wants a turn too.
            std::thread::sleep(Duration::from_millis(chance.below(40)));
        }
    }

    fn change(&mut self, api: &Api, chance: &mut Chance) -> std::io::Result<()> {
        match chance.below(5) {
            // Code and config of a release before, which is one more.
            0 if self.vars.answered > 0 => self.roll_back(api)?,
            0 | 1 => {
                self.vars.asked += 1;
                let vars = json!({ "A": self.vars.asked.to_string() });
                ask(api, "PATCH", "/apps/owl/config-vars", &vars)?;
                self.vars.answered = self.vars.asked;
            }
            2 => {
                self.workers.asked = chance.below(3);
                let worker = json!({ "type": "worker", "quantity": self.workers.asked });
                ask(api, "PATCH", "/apps/owl/formation", &json!({ "updates": [worker] }))?;
                self.workers.answered = self.workers.asked;
            }
            _ => self.apps.change(api, chance)?,
        }
        Ok(())
    }

    /// Rolls back to the release that is the current one: the same code, the same config.
    fn roll_back(&mut self, api: &Api) -> std::io::Result<()> {
        let answer = api.try_send("GET", "/apps/owl/releases/current", &Value::Null)?;
        let current: Value = serde_json::from_str(&answer.text())?;
        let back = json!({ "release": current["id"] });
        let answer = api.try_send("POST", "/apps/owl/releases", &back)?;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let made: Value = serde_json::from_str(&answer.text())?;
        self.releases.push((made["version"].as_u64().unwrap(), made["id"].clone()));
        Ok(())
    }

    /// Whether what was answered is there.
    pub(crate) fn check(&mut self, api: &Api) {
        let vars = api.get("/apps/owl/config-vars");
        self.vars.check(vars["A"].as_str().map_or(0, |text| text.parse().unwrap()));
        // What an app has is what its newest release has.
        assert_eq!(api.get("/apps/owl/releases/current/config-vars"), vars);
        let quantity = api.get("/apps/owl/formation/worker")["quantity"].as_u64();
        self.workers.check(quantity.unwrap());
        for (version, id) in self.releases.drain(..) {
            assert_eq!(api.get(&format!("/apps/owl/releases/{version}"))["id"], id);
        }
        for app in &self.apps.there {
            assert_eq!(api.get(&format!("/apps/{app}"))["name"], app.as_str());
        }
        for app in &self.apps.gone {
            let answer = api.send("GET", &format!("/apps/{app}"), &Value::Null);
            assert_eq!(answer.status, 404, "{app} is back");
        }
    }

    pub(crate) fn workers(&self) -> u64 {
        self.workers.answered
    }

    pub(crate) fn answered(&self) -> u64 {
        self.answers
    }
}

impl Apps {
    fn change(&mut self, api: &Api, chance: &mut Chance) -> std::io::Result<()> {
        match self.there.first().cloned() {
            Some(app) if chance.below(2) == 0 => {
                // From here on it may be either.
                self.there.remove(&app);
                ask(api, "DELETE", &format!("/apps/{app}"), &Value::Null)?;
                self.gone.insert(app);
            }
            _ => {
                self.count += 1;
                let name = format!("hen-{}", self.count);
                ask(api, "POST", "/apps", &json!({ "name": name }))?;
                self.there.insert(name);
            }
        }
        Ok(())
    }
}

/// Asks a server that may be gone. An answer is a promise.
fn ask(api: &Api, method: &str, path: &str, body: &Value) -> std::io::Result<()> {
    let answer = api.try_send(method, path, body)?;
    let text = answer.text();
    assert!((200..300).contains(&answer.status), "{method} {path}: {}: {text}", answer.status);
    Ok(())
}
