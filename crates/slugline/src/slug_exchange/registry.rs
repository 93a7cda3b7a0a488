//! `slug:push` and `slug:pull`.

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;

use super::{Login, Pull, Push, slug_of, text};
use crate::builds::App;
use crate::client::Lines;
use crate::console::say;
use crate::errors::CommandError;
use crate::progress::Progress;

impl Push {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let (release, reference) = match self.what.as_slice() {
            [release, reference] => (Some(release.as_str()), reference.as_str()),
            [reference] => (None, reference.as_str()),
            _ => (None, ""),
        };
        let (version, slug) = slug_of(&app, release).await?;
        let path = app.path(&format!("/slugs/{}/actions/push", text(&slug["id"])));
        let mut body = self.login.asked(reference);
        body["stack"] = self.stack.stack.as_str().into();
        let what = format!("push v{version} of {} to {reference}", app.name);
        let done = follow(&app, &path, &body, &what, self.options.json).await?;
        let digest = text(&done["digest"]);
        if self.options.json {
            say(&done.to_string());
        } else {
            say(&format!("Pushing v{version} of {} to {reference}... done", app.name));
            say(digest);
        }
        Ok(exit_code::OK)
    }
}

impl Pull {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let mut body = self.login.asked(&self.reference);
        let types = self.release.given();
        if !types.is_empty() {
            body["process_types"] = json!(types);
        }
        let what = format!("pull {} for {}", self.reference, app.name);
        let path = app.path("/slugs/actions/pull");
        let slug = follow(&app, &path, &body, &what, self.options.json).await?;
        self.release.release(&app, &slug, &self.reference, self.options.json).await
    }
}

impl Login {
    fn asked(&self, reference: &str) -> Value {
        json!({
            "reference": reference,
            "username": self.username,
            "password": self.password,
            "plain_http": self.plain_http,
        })
    }
}

/// Shows what the server tells of something that goes on; gives what it ends with.
async fn follow(
    app: &App,
    path: &str,
    body: &Value,
    what: &str,
    quiet: bool,
) -> Result<Value, CommandError> {
    let mut lines = Lines::of(app.client.open(Method::POST, path, body).await?);
    let progress = Progress::start();
    let mut last = Value::Null;
    while let Some(line) = lines.next().await {
        last = serde_json::from_str(&line).unwrap_or_default();
        if let Some(line) = last["line"].as_str().filter(|_| !quiet) {
            progress.line(line);
        }
    }
    progress.finish();
    if !last["done"].is_null() {
        return Ok(last["done"].take());
    }
    let found = last["error"].as_str().unwrap_or("the answer broke off").to_owned();
    Err(CommandError::Api { what: what.to_owned(), found })
}
