//! Why a slug could not go out or come in, on the client's side.

use std::path::PathBuf;

use slugline_model::message::Message;

/// Why a command about slugs ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlugExchangeError {
    /// What is to be imported cannot be read.
    #[error("read {}", path.display())]
    Input { path: PathBuf, source: std::io::Error },
    /// What was exported cannot be written.
    #[error("write {}", path.display())]
    Output { path: PathBuf, source: std::io::Error },
    /// There is something already where the export should go.
    #[error("write {}", path.display())]
    OutputExists { path: PathBuf },
    /// A release has no slug, or there is no release.
    #[error("find a slug of {app}")]
    NoSlug { app: String, release: Option<String> },
}

impl SlugExchangeError {
    /// For people at a terminal.
    pub(crate) fn explain(&self) -> Message {
        let message = |what: String, found: String, allowed: &str, next: &str| Message {
            what,
            found,
            allowed: allowed.to_owned(),
            next: next.to_owned(),
            state: "Nothing was started or changed.".to_owned(),
        };
        match self {
            Self::Input { path, source } => message(
                format!("cannot read {}", path.display()),
                source.to_string(),
                "It must be a slug.tgz, an image archive, or the directory of an OCI layout.",
                "slugline slug:import FILE -a APP",
            ),
            Self::Output { path, source } => message(
                format!("cannot write {}", path.display()),
                source.to_string(),
                "Its directory must be there, and have room for it.",
                "slugline slug:export -a APP -o FILE",
            ),
            Self::OutputExists { path } => message(
                format!("cannot write {}", path.display()),
                "There is something of this name already.".to_owned(),
                "Nothing that is there is replaced.",
                "the same command with another --output",
            ),
            Self::NoSlug { app, release } => message(
                match release {
                    Some(release) => format!("cannot find the slug of {release} of {app}"),
                    None => format!("cannot find a slug of {app}"),
                },
                match release {
                    Some(_) => "The release has config vars and no slug.".to_owned(),
                    None => format!("{app} has released nothing yet."),
                },
                "A release has a slug once a build or an import has made one.",
                &format!("slugline builds -a {app}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_names_its_operand_and_the_next_command() {
        let io = || std::io::Error::from(std::io::ErrorKind::NotFound);
        let path = || PathBuf::from("/somewhere");
        let release = Some("v7".to_owned());
        for (error, expected) in [
            (SlugExchangeError::Input { path: path(), source: io() }, "/somewhere"),
            (SlugExchangeError::Output { path: path(), source: io() }, "/somewhere"),
            (SlugExchangeError::OutputExists { path: path() }, "another --output"),
            (SlugExchangeError::NoSlug { app: "owl".into(), release }, "v7 of owl"),
            (SlugExchangeError::NoSlug { app: "owl".into(), release: None }, "nothing yet"),
        ] {
            let message = error.explain();
            assert_eq!(message.silent_parts(), [""; 0], "{message:?}");
            assert!(message.plain().contains(expected), "{message:?}");
        }
    }
}
