//! Builds as people read them.

use serde_json::Value;
use slugline_model::build::{Leak, StepMeasure, TreeSize};
use slugline_model::name::AppName;
use slugline_model::parts::{self, Growth, Part};
use slugline_model::size;

/// How many builds are listed, as Heroku's client does.
const LISTED: usize = 15;

/// The list of an app's builds, which come newest first, and its cache.
pub(crate) fn list(app: &AppName, builds: &[Value], cache: &Value) -> Vec<String> {
    let mut lines = vec![format!("=== {app} builds")];
    lines.extend(builds.iter().take(LISTED).map(row));
    if builds.is_empty() {
        lines.push(format!("{app} has no builds yet: slugline builds:create -a {app}"));
    }
    let bytes = |name: &str| size::human(cache[name].as_u64().unwrap_or(0));
    lines.push(format!("Build cache: {} of at most {}", bytes("size"), bytes("quota")));
    lines
}

fn row(build: &Value) -> String {
    format!(
        "{}  {:<9}  {}  {}{}",
        text(&build["id"]),
        text(&build["status"]),
        text(&build["created_at"]),
        short(text(&build["source_blob"]["version"])),
        build["failure"].as_str().map(|why| format!("  {why}")).unwrap_or_default(),
    )
}

/// All of one build.
pub(crate) fn info(build: &Value, release: Option<&Value>) -> Vec<String> {
    let mut lines = vec![format!("=== Build {}", text(&build["id"]))];
    let mut field = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{:<12} {value}", format!("{name}:")));
        }
    };
    let failure = build["failure"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    field("Status", format!("{}{failure}", text(&build["status"])));
    field("By", text(&build["user"]["email"]).to_owned());
    field("When", text(&build["created_at"]).to_owned());
    field("Source", text(&build["source_blob"]["version"]).to_owned());
    field("Buildpacks", names(&build["buildpacks"]));
    field("Replay of", text(&build["replay_of"]["id"]).to_owned());
    let version = release.and_then(|release| release["version"].as_u64());
    field("Release", version.map(|version| format!("v{version}")).unwrap_or_default());
    let tree: Option<TreeSize> = parsed(&build["size"]);
    let tree = tree.map(|tree| format!("{}, {}", size::files(tree.files), size::human(tree.bytes)));
    field("Slug", tree.unwrap_or_default());
    let cache = build["cache_size"].as_u64().map(size::human);
    field("Build cache", cache.unwrap_or_default());
    let replayable = build["replayable"] == true && build["status"] != "pending";
    let replay = format!("slugline builds:replay {}", text(&build["id"]));
    field("Again", if replayable { replay } else { String::new() });
    let measures: Vec<StepMeasure> = parsed(&build["steps"]).unwrap_or_default();
    section(&mut lines, "Steps", steps(&measures));
    let biggest: Vec<Part> = parsed(&build["biggest"]).unwrap_or_default();
    section(&mut lines, "Biggest parts of the slug", parts::describe_biggest(&biggest));
    let grown: Vec<Growth> = parsed(&build["grown"]).unwrap_or_default();
    section(&mut lines, "Grew since the last build", parts::describe_growth(&grown));
    let leaks: Vec<Leak> = parsed(&build["leaks"]).unwrap_or_default();
    section(&mut lines, "Values of config vars in the slug", leaks.iter().map(leak).collect());
    lines
}

fn section(lines: &mut Vec<String>, title: &str, below: Vec<String>) {
    if !below.is_empty() {
        lines.push(format!("{title}:"));
        lines.extend(below.into_iter().map(|line| format!("  {line}")));
    }
}

fn steps(steps: &[StepMeasure]) -> Vec<String> {
    let line = |step: &StepMeasure| {
        format!("{:>6}.{}s  {}", step.millis / 1000, step.millis % 1000 / 100, step.effect())
    };
    steps.iter().map(line).collect()
}

fn leak(leak: &Leak) -> String {
    format!("{}: {}", leak.config_var, leak.place())
}

fn names(buildpacks: &Value) -> String {
    let buildpacks = buildpacks.as_array().map(Vec::as_slice).unwrap_or_default();
    buildpacks.iter().map(|buildpack| text(&buildpack["name"])).collect::<Vec<_>>().join(", ")
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn short(version: &str) -> &str {
    version.get(..8).unwrap_or(version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build() -> Value {
        let size = |files: u64, bytes: u64| json!({ "files": files, "bytes": bytes });
        json!({
            "id": "01234567-89ab-cdef-0123-456789abcdef", "status": "succeeded", "failure": null,
            "user": { "email": "owner@localhost" }, "created_at": "2026-11-23T17:00:00Z",
            "source_blob": { "version": "0123456789abcdef" }, "replay_of": null,
            "buildpacks": [{ "name": "heroku/nodejs" }, { "name": "heroku/python" }],
            "size": size(9_310, 61_000_000), "cache_size": 12_000_000, "replayable": true,
            "steps": [{
                "step": "bin/post_compile", "millis": 12_345, "before": size(1, 1),
                "after": size(3, 3), "added": size(2, 2), "changed": size(0, 0),
                "removed": size(0, 0),
            }],
            "biggest": [{ "name": ".heroku/python", "files": 7, "bytes": 40_000_000 }],
            "grown": [{ "name": ".heroku/python", "before": 0, "after": 40_000_000 }],
            "leaks": [{
                "config_var": "SECRET_KEY", "path": "main.js", "line": 3, "offset": 40,
                "base64": false, "in_source": false,
            }],
        })
    }

    #[test]
    fn a_build_is_told_whole() {
        let release = json!({ "version": 12 });
        assert_eq!(
            info(&build(), Some(&release)).join("\n"),
            "\
=== Build 01234567-89ab-cdef-0123-456789abcdef
Status:      succeeded
By:          owner@localhost
When:        2026-11-23T17:00:00Z
Source:      0123456789abcdef
Buildpacks:  heroku/nodejs, heroku/python
Release:     v12
Slug:        9,310 files, 61.0MB
Build cache: 12.0MB
Again:       slugline builds:replay 01234567-89ab-cdef-0123-456789abcdef
Steps:
      12.3s  bin/post_compile: 2 files (2B) added
Biggest parts of the slug:
   40.0MB  .heroku/python, 7 files
Grew since the last build:
   +40.0MB  .heroku/python (new)
Values of config vars in the slug:
  SECRET_KEY: main.js, line 3"
        );
    }

    #[test]
    fn a_list_says_why_builds_failed_and_how_large_the_cache_is() {
        let mut failed = build();
        failed["status"] = "failed".into();
        failed["failure"] = "a hook failed".into();
        let cache = json!({ "size": 5_000_000, "quota": 4_294_967_296_u64 });
        assert_eq!(
            list(&"library".parse().unwrap(), &[failed], &cache).join("\n"),
            "\
=== library builds
01234567-89ab-cdef-0123-456789abcdef  failed     2026-11-23T17:00:00Z  01234567  a hook failed
Build cache: 5.0MB of at most 4.2GB"
        );
    }
}
