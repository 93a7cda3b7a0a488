//! What is said to an app's author when a build fails, one message per error.
//!
//! The last part, the state of the world, is left to the platform: only it knows what runs on.

use std::error::Error;

use slugline_model::message::Message;

use crate::buildpack::{ChooseError, FetchError};
use crate::error::CompileError;
use crate::heroku_yml::HerokuYmlError;
use crate::source::UnpackError;

/// Where the machine is in the way, and not the app.
pub(crate) const OURS: &str = "This is not a problem of your app. Build again; if it persists, tell the \
                    operator.";

/// What helps against a machine that is in the way.
pub(crate) const DOCTOR: &str = "slugline doctor";

/// What helps where only the author knows how to mend it.
const AGAIN: &str = "mend it, then build again: slugline up";

/// What to tell the app's author.
pub fn explain(error: &CompileError) -> Message {
    match error {
        CompileError::Workplace { path, source } => Message {
            what: format!("The build could not use {}", path.display()),
            found: source.to_string(),
            allowed: OURS.into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
        CompileError::Source(error) => unpack(error),
        CompileError::Choose(error) => choose(error),
        CompileError::Fetch(error) => fetch(error),
        CompileError::NotRecognised { found, inside, .. } => {
            not_recognised(found, inside.as_deref())
        }
        CompileError::Root { source, found } => Message {
            what: format!("There is no app in {} of the source", source.root.display()),
            found: format!("{}. The source holds: {}", sentence(source.reason), listing(found)),
            allowed: "The root is a directory of the source, named from its top.".into(),
            next: "slugline up --root DIRECTORY".into(),
            ..Message::default()
        },
        CompileError::HerokuYml(error) => heroku_yml(error),
        CompileError::NotCompatible { buildpack, found } => Message {
            what: format!("App not compatible with buildpack: {buildpack}"),
            found: format!("Its bin/detect did not recognise: {}", listing(found)),
            allowed: "The files that a buildpack looks for have to be in the root directory and \
                      committed: files listed in .gitignore or .slugignore are not part of a push."
                .into(),
            next: "git status --ignored".into(),
            ..Message::default()
        },
        CompileError::Script { buildpack, script, source } => Message {
            what: format!("{buildpack}: {script} could not be run"),
            found: source.to_string(),
            allowed: "A buildpack's scripts are executable files that the stack can run.".into(),
            next: format!("head -1 {script}, in the buildpack: that interpreter must exist"),
            ..Message::default()
        },
        // Heroku's words, which people and tests look for.
        CompileError::Compile { kind, .. } => Message {
            what: format!("Push rejected, failed to compile {kind} app."),
            found: format!("{error}. The reason is in its output above."),
            allowed: "A buildpack's script has to exit with status 0.".into(),
            next: AGAIN.into(),
            ..Message::default()
        },
        CompileError::Release { .. } => Message {
            what: error.to_string(),
            found: "The reason is in its output above.".into(),
            allowed: "A buildpack's script has to exit with status 0.".into(),
            next: AGAIN.into(),
            ..Message::default()
        },
        CompileError::Builtin { failure, .. } | CompileError::Told(failure) => failure.message(),
        CompileError::ReleaseYaml { buildpack, source } => Message {
            what: format!("{buildpack}: what bin/release prints could not be read"),
            found: source.to_string(),
            allowed: "It prints YAML whose default_process_types name a command for each process \
                      type."
                .into(),
            next: "bin/release DIRECTORY, in the buildpack, shows what it prints".into(),
            ..Message::default()
        },
        CompileError::AppJson(error) => Message {
            what: "app.json cannot be obeyed".into(),
            found: error.to_string(),
            allowed:
                "Its `cron` is a list of {\"command\": …, \"schedule\": \"30 4 * * *\"}, in UTC; \
                      its `healthchecks` hold, for `web`, a list of {\"type\": \"startup\", \
                      \"path\": \"/health\"}."
                    .into(),
            next: "python3 -m json.tool app.json".into(),
            ..Message::default()
        },
        CompileError::Procfile(error) => Message {
            what: "The Procfile cannot be read".into(),
            found: error.to_string(),
            allowed: "Each line is `name: command`; names hold letters, digits, `-` and `_`, and \
                      `#` starts a comment."
                .into(),
            next: AGAIN.into(),
            ..Message::default()
        },
        CompileError::NoProcessTypes { misnamed } => no_process_types(misnamed.as_deref()),
    }
}

fn heroku_yml(error: &HerokuYmlError) -> Message {
    let (what, next) = match error {
        HerokuYmlError::Docker(_) => (
            "This app asks for Docker images, which are not built here",
            "git rm heroku.yml && git commit -m 'Build with buildpacks', with a Procfile for what \
             it ran",
        ),
        _ => ("heroku.yml cannot be read", AGAIN),
    };
    Message {
        what: what.into(),
        found: format!("{}.", sentence(&error.to_string())),
        allowed: "With buildpacks, heroku.yml may hold build.config (config vars of the build), \
                  release and run."
            .into(),
        next: next.into(),
        ..Message::default()
    }
}

fn not_recognised(found: &[String], inside: Option<&str>) -> Message {
    let next = match inside {
        Some(directory) => format!("slugline up --root {directory}, which looks like an app"),
        None => "echo heroku/python > .buildpacks, to choose a buildpack yourself".to_owned(),
    };
    Message {
        what: "No buildpack recognises this app".into(),
        found: format!(
            "Looked in the root directory for: package.json (heroku/nodejs); requirements.txt, \
             uv.lock, poetry.lock or Pipfile.lock (heroku/python); static.json or index.html \
             (heroku/static); a Procfile alone (heroku/procfile); bin/detect and bin/compile (the \
             app's own).\nFound: {}",
            listing(found)
        ),
        allowed: "If the app is in a subdirectory, say so with --root. If a file is missing, \
                  commit it: files listed in .gitignore or .slugignore are not part of a push."
            .into(),
        next,
        ..Message::default()
    }
}

fn listing(names: &[String]) -> String {
    const MOST: usize = 20;
    match names.len() {
        0 => "nothing".to_owned(),
        many if many > MOST => format!("{} and {} more", names[..MOST].join(", "), many - MOST),
        _ => names.join(", "),
    }
}

fn no_process_types(misnamed: Option<&str>) -> Message {
    let found = match misnamed {
        Some(name) => format!("There is no Procfile, but a file named {name}."),
        None => "There is no Procfile, and the buildpack has no default.".to_owned(),
    };
    let next = match misnamed {
        Some(name) => format!("git mv {name} Procfile && git commit -m 'Name the Procfile'"),
        None => "echo 'web: gunicorn mysite.wsgi' > Procfile && git add Procfile && git commit -m \
                 Procfile"
            .to_owned(),
    };
    Message {
        what: "There is nothing to run: the app declares no process types".into(),
        found,
        allowed: "A Procfile in the root directory says what runs, a line for each process type: \
                  `web: command`. Its name is exactly Procfile."
            .into(),
        next,
        ..Message::default()
    }
}

fn choose(error: &ChooseError) -> Message {
    match error {
        ChooseError::Reference { origin, source } => Message {
            what: source.to_string(),
            found: format!("It stands in {origin}."),
            allowed:
                "A buildpack is heroku/python, heroku/nodejs, heroku/static, heroku/procfile, heroku/inline or another one of \
                      Heroku's, official:heroku/NAME for Heroku's own in the place of ours, \
                      NAMESPACE/NAME of Heroku's buildpack registry, a git URL with an optional \
                      #ref, the URL of a .tgz, or a directory."
                    .into(),
            next: AGAIN.into(),
            ..Message::default()
        },
        ChooseError::AppJson(source) => Message {
            what: "app.json could not be read".into(),
            found: source.to_string(),
            allowed: "It is a JSON object; its buildpacks are a list of {\"url\": …}.".into(),
            next: "python3 -m json.tool app.json".into(),
            ..Message::default()
        },
    }
}

fn fetch(error: &FetchError) -> Message {
    let allowed = match error {
        FetchError::Prepare { .. } => OURS.to_owned(),
        FetchError::Program { .. } | FetchError::TooSlow { .. } => {
            "Check the address and that this machine reaches it. A private buildpack cannot ask \
             for a password here. Where the network is closed, the operator can put a mirror in \
             the address's place (build.mirrors in slugline.toml)."
                .to_owned()
        }
        FetchError::NoDirectory { .. } => "A build sees its own files and the stack, and no other \
                                           directory of this machine. The operator can let an \
                                           address lead to a directory (build.mirrors in \
                                           slugline.toml); name the buildpack by that address."
            .to_owned(),
        FetchError::Unpack { source, .. } => unpack(source).allowed,
        FetchError::NotABuildpack { .. } => "A buildpack has an executable bin/compile.".to_owned(),
    };
    let what = "A buildpack could not be fetched".to_owned();
    Message { what, found: with_cause(error), allowed, next: AGAIN.into(), ..Message::default() }
}

fn unpack(error: &UnpackError) -> Message {
    let allowed = match error {
        UnpackError::Open { .. } | UnpackError::Write { .. } => OURS,
        UnpackError::Read { .. } => "A source is a gzip-compressed tar, complete.",
        UnpackError::Empty => "A source holds at least one file. Is everything committed?",
        UnpackError::Absolute(_) | UnpackError::Upwards(_) | UnpackError::BelowLink(_) => {
            "All entries of a source lie below its root, and none below a symbolic link."
        }
        UnpackError::TooDeep(_) => {
            "A name has at most 255 bytes, a path 3,800, and no more than 128 directories."
        }
        UnpackError::Symlink(_) => "The target of a symbolic link has 1 to 3,800 bytes.",
        UnpackError::Kind { .. } => {
            "A source consists of files, directories, symbolic links and hard links."
        }
        UnpackError::HardLink { .. } => "A hard link's target is an earlier file of the source.",
        UnpackError::TooManyEntries { .. } | UnpackError::TooLarge { .. } => {
            "Leave out what the app does not need to run, or keep it in object storage."
        }
    };
    let what = "The source was refused".to_owned();
    let found = with_cause(error);
    let next = if allowed == OURS { DOCTOR } else { AGAIN };
    Message { what, found, allowed: allowed.into(), next: next.into(), ..Message::default() }
}

/// What went wrong, as a sentence, and why.
fn with_cause(error: &dyn Error) -> String {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    format!("{}{cause}.", sentence(&error.to_string()))
}

/// With a capital first letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
