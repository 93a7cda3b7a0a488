//! Why builds fail outside their sandbox, and how that is said. What went wrong inside it,
//! `slugline compile` has said already.

use std::path::Path;

use slugline_model::build::exit_code;
use slugline_model::limits::Limits;
use slugline_model::message::{Message, gutter_line};
use slugline_model::name::AppName;
use slugline_model::port::IngestError;
use slugline_model::slug::{SizeVerdict, judge_size};

use crate::db::DbError;
use crate::excess;
use crate::one_off::Ending;

/// Why a build ended without a release. The output already says it to the app's author.
#[derive(Debug)]
pub(crate) struct Failed {
    /// By phase.
    pub(crate) exit_code: i32,
    /// In a few words, for lists.
    pub(crate) reason: String,
}

impl Failed {
    /// In the phase that the exit code stands for.
    pub(crate) fn of_phase(exit_code: i32) -> Self {
        let reason = match exit_code {
            exit_code::LOCK_FILE => "a lock file is out of step",
            exit_code::PROCESS_TYPES => "there is nothing to run",
            exit_code::PROCFILE => "a file that says what to run does not parse",
            exit_code::LEAK => "values of config vars are in the slug",
            20..30 => "the source is not acceptable",
            30..40 => "no buildpack fits",
            40..50 => "a hook failed",
            50..60 => "a buildpack failed",
            60..70 => "the slug could not be packed",
            70..80 => "the slug could not be stored",
            80..90 => "the release command failed",
            _ => "the machine was in the way",
        };
        Self { exit_code, reason: reason.to_owned() }
    }

    /// The machine, or the server, was in the way.
    pub(crate) fn internal(reason: &str) -> Self {
        Self { exit_code: exit_code::INTERNAL, reason: reason.to_owned() }
    }

    /// Somebody no longer wanted it.
    pub(crate) fn canceled() -> Self {
        Self { exit_code: exit_code::CANCELED, reason: "canceled".to_owned() }
    }
}

impl From<DbError> for Failed {
    fn from(error: DbError) -> Self {
        tracing::error!(?error, "a build could not be written down");
        Failed::internal("it could not be written down")
    }
}

/// The server that ran it was killed.
pub(crate) fn server_killed(app: &AppName) -> Message {
    Message {
        what: "The build ended with the server that ran it".to_owned(),
        found: "The server was killed, or its machine went down, while the build waited or ran."
            .to_owned(),
        allowed: "This is not a problem of the app. The build's processes and files are removed, \
                  and the app's build cache is kept."
            .to_owned(),
        next: format!("build again: slugline builds:replay -a {app}"),
        state: String::new(),
    }
}

/// Its workspace could not be laid out.
pub(crate) fn not_prepared(error: &std::io::Error, data_dir: &Path) -> Message {
    Message {
        what: "The build could not be prepared".to_owned(),
        found: error.to_string(),
        allowed: "This is not a problem of the app: the server's data directory must be writable \
                  and have room."
            .to_owned(),
        next: format!("df -h {}", data_dir.display()),
        state: String::new(),
    }
}

/// Its dyno did not come to an end of its own.
pub(crate) fn not_compiled(ending: &Ending, limits: &Limits, data_dir: &Path) -> Message {
    let message = |what: String, found: String, allowed: &str, next: &str| Message {
        what,
        found,
        allowed: allowed.to_owned(),
        next: next.to_owned(),
        state: String::new(),
    };
    match ending {
        Ending::NotLaunched { step, error, remedy } => message(
            "The build could not be started in its sandbox".to_owned(),
            format!("{step}: {error}"),
            if remedy.is_empty() { "This is not a problem of the app." } else { remedy },
            "slugline doctor",
        ),
        Ending::Exited(status) => message(
            "The build was stopped before it ended".to_owned(),
            format!("It exited with status {status}."),
            "The server was stopped, or something outside killed the build.",
            "build again: slugline up",
        ),
        Ending::OutOfTime => excess::out_of_time(limits.build),
        Ending::OverLimit(excess) => excess::ended(excess, data_dir),
    }
}

/// It ended well, and yet something that belongs to every build is not there.
pub(crate) fn nothing_left(what: &str) -> Message {
    Message {
        what: "The build ended well but left nothing to release".to_owned(),
        found: format!("There is no {what} in its /tmp any more."),
        allowed: "Buildpacks and hooks may write in the build's directory, and must not remove it."
            .to_owned(),
        next: "mend it, then build again: slugline up".to_owned(),
        state: String::new(),
    }
}

/// Its tree did not become a slug. Gives the text for the output, and the exit code.
pub(crate) fn not_packed(error: &IngestError, limits: &Limits, data_dir: &Path) -> (String, i32) {
    if let IngestError::TooLarge { packed_bytes } = error
        && let SizeVerdict::TooLarge(lines) = judge_size(*packed_bytes, limits)
    {
        // Heroku's own words: tools look for them.
        let lines: Vec<String> = lines.iter().map(|line| gutter_line(line)).collect();
        return (lines.join("\n") + "\n", exit_code::PACK);
    }
    if let IngestError::NotShared(message) = error {
        return (message.gutter(), exit_code::STORE);
    }
    let message = Message {
        what: "The slug was built but could not be stored".to_owned(),
        found: error.to_string(),
        allowed:
            "This is not a problem of the app: the server's data directory must have room for \
                  every slug."
                .to_owned(),
        next: format!("df -h {}", data_dir.display()),
        state: String::new(),
    };
    let full = matches!(error, IngestError::DiskFull);
    (message.gutter(), if full { exit_code::PACK } else { exit_code::STORE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_says_all_but_the_state_which_the_build_adds() {
        let limits = Limits::default();
        let failed = |remedy: &str| Ending::NotLaunched {
            step: "clone".to_owned(),
            error: "make namespaces: No space left on device".to_owned(),
            remedy: remedy.to_owned(),
        };
        let data_dir = Path::new("/d");
        let messages = [
            not_prepared(&std::io::Error::from(std::io::ErrorKind::StorageFull), data_dir),
            not_compiled(&failed(""), &limits, data_dir),
            not_compiled(&failed("sysctl"), &limits, data_dir),
            not_compiled(&Ending::Exited(137), &limits, data_dir),
            not_compiled(&Ending::OutOfTime, &limits, data_dir),
            nothing_left("result.json"),
        ];
        for message in messages {
            assert_eq!(message.silent_parts(), ["state"], "{message:?}");
        }
    }

    #[test]
    fn a_slug_that_is_too_large_is_refused_in_herokus_words() {
        let error = IngestError::TooLarge { packed_bytes: 606_181_786 };
        let (text, code) = not_packed(&error, &Limits::default(), Path::new("/d"));
        assert_eq!(code, exit_code::PACK);
        assert_eq!(
            text,
            " !     Compiled slug size: 578.1M is too large (max is 500M).\n !     See: \
             http://devcenter.heroku.com/articles/slug-size\n !     Push failed\n"
        );
    }

    #[test]
    fn a_full_disk_and_a_broken_store_have_their_own_exit_codes() {
        let code = |error| not_packed(&error, &Limits::default(), Path::new("/d")).1;
        assert_eq!(code(IngestError::DiskFull), exit_code::PACK);
        assert_eq!(code(IngestError::Store("x".to_owned())), exit_code::STORE);
        let message = Message { what: "The slug is only here".to_owned(), ..Message::default() };
        let error = IngestError::NotShared(message);
        let (text, code) = not_packed(&error, &Limits::default(), Path::new("/d"));
        assert_eq!((text.as_str(), code), (" !     The slug is only here\n", exit_code::STORE));
    }
}
