//! `slugline ci:run`: a directory is built and tested on the server, as a client of the Platform API
//! sees it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::message::gutter_line;
use slugline_model::test_run::Status;

use crate::builds::follow::follow_until;
use crate::client::{Client, OfServer};
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::source::{self, PackedSource};

/// Between two questions whether the verdict is there.
const PAUSE: Duration = Duration::from_millis(50);

/// A commit that there is not.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

/// The commands about test runs; `heroku ci`, `ci:info` and `ci:last` show them.
#[derive(Debug, Subcommand)]
pub(crate) enum CiCommand {
    /// Build a directory as for tests, run its tests, and show what they say; the exit code is theirs
    #[command(
        name = "ci:run",
        after_help = "Example:\n  slugline ci:run examples/library -p books"
    )]
    Run(CiRun),
}

/// What to test.
#[derive(Debug, Args)]
pub(crate) struct CiRun {
    /// The app's source; its app.json says in `environments.test` what is tested
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The pipeline, by name or id
    #[arg(long, short)]
    pipeline: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: OfServer,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: CiCommand) -> Result<i32, CommandError> {
    let CiCommand::Run(asked) = command;
    // The server of this command is another process, and goes on.
    asked.run().await.map_err(CommandError::of_a_client)
}

impl CiRun {
    async fn run(self) -> Result<i32, CommandError> {
        let client = self.server.client()?;
        let packed = source::pack(&self.directory, Path::new(""), &self.server.data_dir()?)?;
        for warning in &packed.warnings {
            let warning = gutter_line(warning);
            if self.json { complain(&warning) } else { say(&warning) }
        }
        let run = self.start(&client, packed).await?;
        self.follow(&client, run).await
    }

    async fn start(&self, client: &Client, packed: PackedSource) -> Result<Value, CommandError> {
        // Before the upload: a name that is wrong is told at once.
        let pipeline = client.get(&format!("/pipelines/{}", self.pipeline)).await?;
        let place = client.send(Method::POST, "/sources", &json!({})).await?;
        let urls = &place["source_blob"];
        client.put(urls["put_url"].as_str().unwrap_or_default(), packed.tgz).await?;
        let no_branch = || ("none".to_owned(), "A directory without a commit".to_owned());
        let (branch, message) = source::branch(&self.directory).unwrap_or_else(no_branch);
        let body = json!({
            "commit_branch": branch,
            "commit_message": message,
            "commit_sha": packed.version.as_deref().unwrap_or(NO_COMMIT),
            "pipeline": pipeline["id"],
            "source_blob_url": urls["get_url"],
        });
        client.send(Method::POST, "/test-runs", &body).await
    }

    /// Shows both outputs to their ends, or the run where a program reads.
    async fn follow(&self, client: &Client, run: Value) -> Result<i32, CommandError> {
        let path = format!("/test-runs/{}", run["id"].as_str().unwrap_or_default());
        let nodes = format!("{path}/test-nodes");
        let node = client.get(&nodes).await?[0].take();
        let mut line = |line: &str| {
            if !self.json {
                say(line);
            }
        };
        for stream in ["setup_stream_url", "output_stream_url"] {
            let from = (node[stream].as_str().unwrap_or_default(), 0);
            // Both are there from the beginning, and end by themselves.
            follow_until(client, &path, from, |_| true, &mut line).await?;
        }
        let mut run = client.get(&path).await?;
        while !is_over(&run) {
            tokio::time::sleep(PAUSE).await;
            run = client.get(&path).await?;
        }
        let node = client.get(&nodes).await?[0].take();
        run["exit_code"] = node["exit_code"].clone();
        if self.json {
            say(&format!("{run:#}"));
        } else {
            say("");
            say(&told(&run));
        }
        Ok(code(&run))
    }
}

fn is_over(run: &Value) -> bool {
    let status = run["status"].as_str().and_then(|status| status.parse::<Status>().ok());
    status.is_none_or(Status::is_over)
}

/// `#3 main:1a2b3c4 failed`.
fn told(run: &Value) -> String {
    let text = |name: &str| run[name].as_str().unwrap_or_default();
    let sha: String = text("commit_sha").chars().take(7).collect();
    format!("#{} {}:{sha} {}", run["number"], text("commit_branch"), text("status"))
}

/// The tests' own where they failed.
fn code(run: &Value) -> i32 {
    if run["status"] == Status::Succeeded.as_str() {
        return exit_code::OK;
    }
    let code = run["exit_code"].as_i64().and_then(|code| i32::try_from(code).ok());
    code.filter(|code| *code != 0).unwrap_or(exit_code::INTERNAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_in_a_line_and_has_its_tests_exit_code() {
        let run = json!({
            "number": 3, "commit_branch": "main", "commit_sha": "1a2b3c4d5e", "status": "failed",
            "exit_code": 7,
        });
        assert_eq!((told(&run).as_str(), code(&run)), ("#3 main:1a2b3c4 failed", 7));
        let canceled = json!({ "status": "cancelled", "exit_code": null });
        assert_eq!((is_over(&canceled), code(&canceled)), (true, exit_code::INTERNAL));
        assert!(!is_over(&json!({ "status": "running" })));
        assert_eq!(code(&json!({ "status": "succeeded", "exit_code": 0 })), 0);
    }
}
