//! `slugline bake`: files of a dyno become part of a new release, for the day when they must be
//! saved now.

use clap::Args;
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::message::Message;
use slugline_model::size;

use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;

/// What to bake.
#[derive(Debug, Args)]
pub(crate) struct BakeArgs {
    /// The dyno, such as web.1
    dyno: String,
    /// Files and directories of it, from the app's directory on
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// Runs the command; gives the exit code.
pub(crate) async fn bake(args: BakeArgs) -> Result<i32, CommandError> {
    let BakeArgs { dyno, paths, options } = args;
    let asked = async {
        let app = App::of(&options)?;
        let path = app.path(&format!("/dynos/{dyno}/bake"));
        app.client.send(Method::POST, &path, &json!({ "paths": paths })).await
    };
    let baked = asked.await.map_err(|error| match error {
        CommandError::Api { found, .. } => CommandError::NotBaked { dyno: dyno.clone(), found },
        other => other,
    })?;
    if options.json {
        say(&format!("{baked:#}"));
    } else {
        say(&lines(&baked, &dyno).join("\n"));
    }
    Ok(exit_code::OK)
}

fn lines(baked: &Value, dyno: &str) -> Vec<String> {
    let (files, bytes) = (&baked["files"], &baked["bytes"]);
    let release = &baked["release"];
    let state =
        if release["status"] == "pending" { "waits for its release phase" } else { "takes effect" };
    let mut lines = vec![
        format!(
            "v{} {state}: the current slug with {} of {dyno}, {}",
            release["version"],
            size::files(files.as_u64().unwrap_or_default()),
            size::human(bytes.as_u64().unwrap_or_default())
        ),
        String::new(),
        "This is a stopgap: the next build knows nothing of these files. What does it properly:"
            .to_owned(),
    ];
    lines.extend(baked["properly"].as_array().into_iter().flatten().flat_map(properly));
    lines
}

fn properly(way: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let advice = &way["advice"];
    let files = size::files(way["files"].as_u64().unwrap_or_default());
    let mut lines =
        vec![format!("  {} ({files}): {}", text(&way["example"]), text(&advice["say"]))];
    lines.extend(["paste", "then"].into_iter().filter_map(|part| {
        let line = text(&advice[part]);
        (!line.is_empty()).then(|| format!("    {line}"))
    }));
    lines
}

/// Why nothing was baked.
pub(crate) fn explain(dyno: &str, found: &str) -> Message {
    Message {
        what: format!("cannot bake files of {dyno}"),
        found: found.to_owned(),
        allowed: "Files below /app that this dyno itself has written, of a dyno that runs the \
                  current slug; with them the slug must stay below its limit."
            .to_owned(),
        next: format!("slugline bake {dyno} PATH -a APP, with a path that it has written"),
        state: "Nothing was released: what ran runs on.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_baked_files_says_what_it_is_and_what_does_it_properly() {
        let baked = json!({
            "release": { "version": 7, "status": "succeeded" },
            "files": 2,
            "bytes": 2_000,
            "properly": [{
                "class": "asset",
                "files": 2,
                "example": "static/CACHE/css/a.css",
                "advice": { "way": "bake", "say": "bake it", "paste": "make it", "then": "" },
            }],
        });
        assert_eq!(
            lines(&baked, "web.1"),
            [
                "v7 takes effect: the current slug with 2 files of web.1, 2kB",
                "",
                "This is a stopgap: the next build knows nothing of these files. What does it properly:",
                "  static/CACHE/css/a.css (2 files): bake it",
                "    make it",
            ]
        );
        assert_eq!(explain("web.1", "x").silent_parts(), [""; 0]);
    }
}
