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
    /// engines.node is no range.
    #[error("`{range}` is no range of Node.js versions")]
    Range {
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
    /// package-lock.json does not lock what package.json asks for.
    #[error("package-lock.json is out of step with package.json")]
    LockFile,
    /// npm failed.
    #[error("{command} ended with {}", describe(*status))]
    Npm {
        /// `npm ci`
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// A script of the app failed.
    #[error("script {script} ended with {}", describe(*status))]
    Script {
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
            Self::LockFile => exit_code::LOCK_FILE,
            Self::Io { .. } => exit_code::INTERNAL,
            _ => exit_code::COMPILE,
        }
    }
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
            what: format!("{file} is not supported yet"),
            found: format!("There is a {file}, and no package-lock.json."),
            allowed: "heroku/nodejs installs with npm, from package-lock.json.".into(),
            next: format!("npm install --package-lock-only && git rm {file}"),
            ..Message::default()
        },
        NodejsError::SeveralLockFiles { files } => Message {
            what: "The app's packages are locked in several files".into(),
            found: format!("Found: {}", files.join(", ")),
            allowed: "Keep the one that is kept up to date; heroku/nodejs installs with npm, from \
                      package-lock.json."
                .into(),
            next: format!("git rm {}", files[1..].join(" ")),
            ..Message::default()
        },
        NodejsError::Range { range } => Message {
            what: format!("`{range}` is no range of Node.js versions"),
            found: "It stands in package.json as engines.node.".into(),
            allowed: "A range looks like `20.x`, `>=20` or `^20.11`.".into(),
            next: "npm pkg set engines.node=20.x".into(),
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
        NodejsError::LockFile => Message {
            what: "package-lock.json is out of step with package.json".into(),
            found: "What is missing is in npm's output above.".into(),
            allowed: "A build installs exactly what is locked.".into(),
            next: "npm install && git commit -m 'Update package-lock.json' package-lock.json"
                .into(),
            ..Message::default()
        },
        NodejsError::Npm { command, .. } => Message {
            what: error.to_string(),
            found: above,
            allowed: "npm installs what package-lock.json names, from the index that the operator \
                      configured."
                .into(),
            next: format!("{command}, where it can be tried at once"),
            ..Message::default()
        },
        NodejsError::Script { script, status } => Message {
            what: format!("The script {script} of package.json ended with {}", describe(*status)),
            found: above,
            allowed: "It sees the config vars and all packages, those for development too.".into(),
            next: format!("npm run {script}"),
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
