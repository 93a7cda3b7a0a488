//! `slugline up`: a server, a build, a log, all in one terminal.
//!
//! Everything but starting and stopping the server goes through the Platform API, as for any
//! client.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::message::gutter_line;
use slugline_model::name::{AppName, app_name_from_directory};
use slugline_model::size;

use crate::UpArgs;
use crate::builds::follow;
use crate::client::{Client, Lines};
use crate::console::say;
use crate::errors::CommandError;
use crate::progress::Progress;
use crate::server::{End, Server, data_directory};
use crate::source::{PackedSource, pack};

/// What a shell gives for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// How long the log may be silent after the last receipt before it is taken to be complete.
const SILENCE: Duration = Duration::from_millis(300);

/// How long the log is shown after the last receipt.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Builds an app, runs it, and shows its log until Ctrl-C. Gives the exit code: of the phase that
/// failed, where one did.
pub(crate) async fn up(args: UpArgs) -> Result<i32, CommandError> {
    let name = app_name(args.app.as_deref(), &args.directory)?;
    let source = pack(
        &args.directory,
        args.root.as_deref().unwrap_or(Path::new("")),
        &data_directory(&args.server)?,
    )?;
    let mut end = End::new()?;
    let server = Server::start(&args.server).await?;
    let client = Client::new(server.api_port, server.token.clone());
    let app = App { name, client };
    let mut log = None;
    let deployed = {
        let mut deploy = std::pin::pin!(app.deploy(&args.directory, source, &mut log));
        tokio::select! {
            deployed = &mut deploy => deployed,
            () = end.wait() => {
                server.platform.stop_builds().await;
                // The rest of the build's output says what became of it.
                deploy.await.map(|_| INTERRUPTED)
            }
        }
    };
    if matches!(deployed, Ok(exit_code::OK)) {
        app.show_log_while(log.as_mut(), end.wait()).await;
    }
    let running = app.running().await;
    if running.is_empty() {
        server.platform.stop_all().await;
        return deployed;
    }
    say("");
    say("-----> Stopping");
    app.show_log_while(log.as_mut(), server.platform.stop_all()).await;
    app.show_last_lines(log.as_mut()).await;
    app.tell_losses(&running).await?;
    deployed
}

/// The name that was asked for, else that of a directory.
pub(crate) fn app_name(asked: Option<&str>, directory: &Path) -> Result<AppName, CommandError> {
    if let Some(name) = asked {
        return name.parse().map_err(|_| CommandError::AppName { wanted: name.to_owned() });
    }
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_path_buf());
    let directory = directory.canonicalize().unwrap_or(directory);
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    app_name_from_directory(&name).ok_or(CommandError::AppName { wanted: name })
}

/// The app, as a client of the API sees it.
struct App {
    name: AppName,
    client: Client,
}

impl App {
    fn path(&self, rest: &str) -> String {
        format!("/apps/{}{rest}", self.name)
    }

    /// Source in, release out, every process type running. Gives the build's exit code.
    async fn deploy(
        &self,
        directory: &Path,
        source: PackedSource,
        log: &mut Option<Lines>,
    ) -> Result<i32, CommandError> {
        self.create_if_missing().await?;
        let before = self.process_types().await?;
        *log = self.open_log().await?;
        say(&format!("-----> Fetching source from {}", directory.display()));
        say(&format!(
            "       {}, {} packed{}",
            size::files(source.files),
            size::human(source.tgz.len() as u64),
            source.version.as_deref().map(|v| format!(", commit {}", short(v))).unwrap_or_default()
        ));
        for warning in &source.warnings {
            say(&gutter_line(warning));
        }
        let build = follow::start(&self.client, &self.name, source).await?;
        let build = self.show_output(&build).await?;
        if build["status"] != "succeeded" {
            return Ok(follow::exit_code(&build));
        }
        self.run_new_process_types(&before).await?;
        Ok(exit_code::OK)
    }

    async fn create_if_missing(&self) -> Result<(), CommandError> {
        let apps = self.client.get("/apps").await?;
        let known = apps
            .as_array()
            .is_some_and(|apps| apps.iter().any(|app| app["name"] == self.name.as_str()));
        if !known {
            let body = json!({ "name": self.name });
            self.client.send(Method::POST, "/apps", &body).await?;
        }
        Ok(())
    }

    /// Shows a build's output; gives the build once it has ended.
    async fn show_output(&self, build: &Value) -> Result<Value, CommandError> {
        let path = self.path(&format!("/builds/{}", build["id"].as_str().unwrap_or_default()));
        let progress = Progress::start();
        let ended = follow::follow(&self.client, &path, build, 0, |line| progress.line(line)).await;
        progress.finish();
        ended
    }

    /// Those that run as long as they are wanted: `release` is in the formation, too, and runs by
    /// itself.
    async fn process_types(&self) -> Result<BTreeSet<String>, CommandError> {
        let formation = self.client.get(&self.path("/formation")).await?;
        let types = formation.as_array().cloned().unwrap_or_default();
        let names = types.iter().filter_map(|row| row["type"].as_str());
        Ok(names.filter(|name| *name != "release").map(str::to_owned).collect())
    }

    /// On Heroku only `web` runs until it is scaled; here each new process type runs once, because
    /// that is what a developer wants to see.
    async fn run_new_process_types(&self, known: &BTreeSet<String>) -> Result<(), CommandError> {
        let now = self.process_types().await?;
        let updates: Vec<Value> = now
            .difference(known)
            .map(|process_type| json!({ "type": process_type, "quantity": 1 }))
            .collect();
        if !updates.is_empty() {
            let body = json!({ "updates": updates });
            self.client.send(Method::PATCH, &self.path("/formation"), &body).await?;
        }
        Ok(())
    }

    async fn open_log(&self) -> Result<Option<Lines>, CommandError> {
        let body = json!({ "lines": 0, "tail": true });
        let session = self.client.send(Method::POST, &self.path("/log-sessions"), &body).await?;
        self.client.lines(session["logplex_url"].as_str().unwrap_or_default()).await
    }

    /// Shows the log until something else is over.
    async fn show_log_while(&self, log: Option<&mut Lines>, other: impl Future<Output = ()>) {
        let mut other = std::pin::pin!(other);
        if let Some(log) = log {
            loop {
                tokio::select! {
                    () = &mut other => return,
                    line = log.next() => match line {
                        Some(line) => say(&line),
                        None => break,
                    },
                }
            }
        }
        other.await;
    }

    /// Shows what is left of the log once everything has stopped. Requests that still come are
    /// logged for as long as they come, so that there need not be a silence.
    async fn show_last_lines(&self, log: Option<&mut Lines>) {
        let Some(log) = log else { return };
        let show = async {
            while let Ok(Some(line)) = tokio::time::timeout(SILENCE, log.next()).await {
                say(&line);
            }
        };
        let _ = tokio::time::timeout(LAST_LINES, show).await;
    }

    /// The ids of the app's dynos that are alive.
    async fn running(&self) -> BTreeSet<String> {
        let dynos = self.client.get(&self.path("/dynos")).await.unwrap_or_default();
        let dynos = dynos.as_array().cloned().unwrap_or_default();
        dynos.iter().filter_map(|dyno| dyno["id"].as_str().map(str::to_owned)).collect()
    }

    /// What the dynos lost when they were stopped just now.
    async fn tell_losses(&self, stopped: &BTreeSet<String>) -> Result<(), CommandError> {
        let receipts = self.client.get(&self.path("/receipts")).await?;
        let receipts = receipts.as_array().cloned().unwrap_or_default();
        let just_now =
            |receipt: &&Value| receipt["id"].as_str().is_some_and(|id| stopped.contains(id));
        for receipt in receipts.iter().filter(just_now) {
            let text = |name: &str| receipt[name].as_str().unwrap_or_default().to_owned();
            say(&format!("       {}: {}", text("dyno"), text("headline")));
        }
        say(&format!(
            "       {} has stopped. Its slug is kept: `slugline up` starts it again.",
            self.name
        ));
        Ok(())
    }
}

fn short(version: &str) -> &str {
    version.get(..8).unwrap_or(version)
}
