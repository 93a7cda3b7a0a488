//! Everything that can end a Node.js build, and what is said then.

use std::io;
use std::process::ExitStatus;

use slugline_model::build::exit_code;
use slugline_model::message::Message;

use crate::explain::{DOCTOR, OURS};
use crate::program::describe;

/// Why a Node.js build ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NodejsError {
    /// package.json is no JSON, or of another shape.
    #[error("read package.json")]
    PackageJson(#[source] serde_json::Error),
    /// The app's packages are locked by a tool that is not supported.
    #[error("{file} is not supported yet")]
    UnsupportedLockFile {
        /// `yarn.lock`
        file: &'static str,
    },
    /// The app's packages are locked several times.
    #[error("the app has several lock files: {}", files.join(", "))]
    SeveralLockFiles {
        /// Those files.
        files: Vec<&'static str>,
    },
    /// Fields of package.json name several package clients.
    #[error("package.json names several package clients: {}", fields.join(", "))]
    SeveralPackageClients {
        /// `engines.yarn: 1.x`
        fields: Vec<String>,
    },
    /// The Yarn that .yarnrc.yml names is not part of the source.
    #[error("{path} is missing")]
    YarnRelease {
        /// `.yarn/releases/yarn-4.1.0.cjs`
        path: String,
    },
    /// A lock file of a later Yarn, and nothing that says which.
    #[error("nothing says which Yarn wrote yarn.lock")]
    NoYarnVersion,
    /// A setting that later Yarns stop at.
    #[error("YARN_PRODUCTION is set to {value}")]
    YarnProduction {
        /// What it is set to.
        value: String,
    },
    /// Yarn, pnpm or npm could not be installed.
    #[error("install {program} {version}")]
    Tool {
        /// `yarn`
        program: &'static str,
        /// What was asked for.
        version: String,
        /// Who asked.
        why: String,
        /// What npm said.
        output: String,
    },
    /// engines.node or engines.npm is no range.
    #[error("`{range}` is no range of versions")]
    Range {
        /// `node`
        name: &'static str,
        /// What stands there.
        range: String,
    },
    /// The wanted Node.js is neither here nor could it be fetched.
    #[error("find Node.js {range}")]
    NoRuntime {
        /// What was wanted.
        range: String,
        /// What the stack has.
        stack: Vec<String>,
        /// Where else it was looked for, and what came of it.
        tried: Vec<String>,
    },
    /// The lock file does not lock what package.json asks for.
    #[error("{file} is out of step with package.json")]
    LockFile {
        /// `yarn.lock`
        file: &'static str,
        /// `yarn`
        client: &'static str,
    },
    /// The package client failed.
    #[error("{command} ended with {}", describe(*status))]
    Install {
        /// `npm ci`
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A script of the app failed.
    #[error("script {script} ended with {}", describe(*status))]
    Script {
        /// `npm`
        client: &'static str,
        /// `heroku-postbuild`
        script: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// The machine is in the way.
    #[error("{operation}")]
    Io {
        /// What was being done.
        operation: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl NodejsError {
    /// Names what was being done when the machine got in the way.
    pub(crate) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// By phase.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::LockFile { .. } => exit_code::LOCK_FILE,
            Self::Io { .. } => exit_code::INTERNAL,
            _ => exit_code::COMPILE,
        }
    }
}

/// What can be installed from.
const LOCK_FILES: &str = "heroku/nodejs installs from one of package-lock.json or \
                          npm-shrinkwrap.json (npm), yarn.lock (Yarn) and pnpm-lock.yaml (pnpm).";

fn yarn(error: &NodejsError) -> Message {
    let message = |what: String, found: String, allowed: &str, next: &str| Message {
        what,
        found,
        allowed: allowed.into(),
        next: next.into(),
        ..Message::default()
    };
    match error {
        NodejsError::YarnRelease { path } => message(
            format!("{path} is missing"),
            "It is what yarnPath in .yarnrc.yml names.".into(),
            "Yarn's release is part of the source, unless package.json names its version in \
             packageManager.",
            "git add --force .yarn/releases && git commit -m 'Add Yarn'",
        ),
        NodejsError::YarnProduction { value } => message(
            format!("YARN_PRODUCTION={value} stops Yarn 2 and later"),
            "It is a config var of the app, and yarn.lock is of Yarn 2 or later.".into(),
            "Packages for development are pruned unless YARN2_SKIP_PRUNING=true.",
            "heroku config:unset YARN_PRODUCTION",
        ),
        _ => message(
            "Nothing says which Yarn the app uses".into(),
            "yarn.lock is of Yarn 2 or later; there is no packageManager or engines.yarn in \
             package.json, and no yarnPath in .yarnrc.yml."
                .into(),
            "The version is named where Yarn itself looks for it.",
            "corepack use yarn@4 && git commit -am 'Name the Yarn'",
        ),
    }
}

/// The end of a program's output, where the reason usually is.
fn last_lines(output: &str) -> String {
    const MOST: usize = 8;
    let lines: Vec<_> = output.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(MOST)..].join("\n")
}

/// What to tell the app's author.
pub(crate) fn explain(error: &NodejsError) -> Message {
    let above = "The reason is in its output above.".to_owned();
    match error {
        NodejsError::PackageJson(source) => Message {
            what: "package.json could not be read".into(),
            found: source.to_string(),
            allowed: "It is a JSON object, as `npm init` writes it.".into(),
            next: "node -p 'require(\"./package.json\")'".into(),
            ..Message::default()
        },
        NodejsError::UnsupportedLockFile { file } => Message {
            what: format!("{file} is not supported"),
            found: format!("There is a {file}, and no other lock file."),
            allowed: LOCK_FILES.into(),
            next: format!("npm install --package-lock-only && git rm {file}"),
            ..Message::default()
        },
        NodejsError::SeveralLockFiles { files } => Message {
            what: "The app's packages are locked in several files".into(),
            found: format!("Found: {}", files.join(", ")),
            allowed: format!("Keep the one that is kept up to date. {LOCK_FILES}"),
            next: format!("git rm {}, if {} is the one", files[1..].join(" "), files[0]),
            ..Message::default()
        },
        NodejsError::SeveralPackageClients { fields } => Message {
            what: "package.json names several package clients".into(),
            found: format!("Found: {}", fields.join("; ")),
            allowed: "Packages are installed by one of npm, Yarn and pnpm: keep the fields of the \
                      one whose lock file is there."
                .into(),
            next: "npm pkg delete engines.npm, or whichever is superfluous".into(),
            ..Message::default()
        },
        NodejsError::YarnRelease { .. }
        | NodejsError::NoYarnVersion
        | NodejsError::YarnProduction { .. } => yarn(error),
        NodejsError::Tool { program, version, why, output } => Message {
            what: format!("{program} {version} could not be installed"),
            found: format!("Asked for by: {why}\n{}", last_lines(output)),
            allowed: "It is installed with npm, from the index that the operator configured; it \
                      has to exist there and to run on the app's Node.js."
                .into(),
            next: format!("npm view {program}@{version} version engines"),
            ..Message::default()
        },
        NodejsError::Range { name, range } => Message {
            what: format!("`{range}` is no range of versions"),
            found: format!("It stands in package.json as engines.{name}."),
            allowed: "A range looks like `20.x`, `>=20` or `^20.11`.".into(),
            next: format!("npm pkg set engines.{name}=20.x, with a range of its versions"),
            ..Message::default()
        },
        NodejsError::NoRuntime { range, stack, tried } => {
            let stack = if stack.is_empty() { "no Node.js".into() } else { stack.join(", ") };
            Message {
                what: format!("Node.js {range} could not be had"),
                found: format!("The stack has: {stack}\n{}", tried.join("\n")),
                allowed: "Ask in engines.node for what the stack has, or let the operator name a \
                          mirror in NODEJS_ORG_MIRROR or PIP_INDEX_URL."
                    .into(),
                next: "npm pkg set engines.node=20.x, with a version that can be had".into(),
                ..Message::default()
            }
        }
        NodejsError::LockFile { file, client } => Message {
            what: format!("{file} is out of step with package.json"),
            found: format!("What is missing is in the output of {client} above."),
            allowed: "A build installs exactly what is locked.".into(),
            next: format!("{client} install && git commit -m 'Update {file}' {file}"),
            ..Message::default()
        },
        NodejsError::Install { command, .. } => Message {
            what: error.to_string(),
            found: above,
            allowed: "It installs what the lock file names, from the index that the operator \
                      configured."
                .into(),
            next: format!("{command}, where it can be tried at once"),
            ..Message::default()
        },
        NodejsError::Script { client, script, status } => Message {
            what: format!("The script {script} of package.json ended with {}", describe(*status)),
            found: above,
            allowed: "It sees the config vars and all packages, those for development too.".into(),
            next: format!("{client} run {script}"),
            ..Message::default()
        },
        NodejsError::Io { operation, source } => Message {
            what: format!("heroku/nodejs could not {operation}"),
            found: source.to_string(),
            allowed: OURS.into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
    }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
