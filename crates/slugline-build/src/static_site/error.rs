//! Everything that can end the build of a static site, and what is said then.

use std::io;

use slugline_model::build::exit_code;
use slugline_model::message::Message;
use slugline_model::static_site::SiteError;

use crate::explain::{DOCTOR, OURS};

/// Why the build of a static site ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StaticError {
    /// static.json cannot be served from.
    #[error("read static.json")]
    Json(#[source] SiteError),
    /// What should be served is not there.
    #[error("{root} does not exist")]
    NoRoot {
        /// `dist`
        root: String,
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

impl StaticError {
    /// Names what was being done when the machine got in the way.
    pub(crate) fn io(operation: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { operation, source }
    }

    /// By phase.
    pub(crate) fn exit_code(&self) -> i32 {
        match self {
            Self::Io { .. } => exit_code::INTERNAL,
            _ => exit_code::COMPILE,
        }
    }
}

/// What to tell the app's author.
pub(crate) fn explain(error: &StaticError) -> Message {
    match error {
        StaticError::Json(SiteError::Unsupported(field)) => Message {
            what: format!("static.json asks for `{field}`, which is not done here"),
            found: match *field {
                "proxies" => "Requests below a path should be passed on to another server.",
                _ => "Visitors should be asked for a name and a password.",
            }
            .into(),
            allowed: "root, encoding, clean_urls, https_only, canonical_host, error_page, routes, \
                      redirects, headers and logging.access are served. Beyond that, run a server \
                      of your own from the Procfile."
                .into(),
            next: format!("remove `{field}` from static.json"),
            ..Message::default()
        },
        StaticError::Json(source) => Message {
            what: "static.json could not be read".into(),
            found: source.to_string(),
            allowed: "It is a JSON object, such as {\"root\": \"dist\", \"routes\": {\"/**\": \
                      \"index.html\"}}; all paths lie within the app."
                .into(),
            next: "python3 -m json.tool static.json".into(),
            ..Message::default()
        },
        StaticError::NoRoot { root } => Message {
            what: format!("There is no directory {root} to serve"),
            found: "It is what static.json names as root (public_html where it names none), and \
                    neither the source nor a buildpack before this one made it."
                .into(),
            allowed: "A site that is built first needs heroku/nodejs before heroku/static.".into(),
            next: "printf 'heroku/nodejs\\nheroku/static\\n' > .buildpacks, if the site is built"
                .into(),
            ..Message::default()
        },
        StaticError::Io { operation, source } => Message {
            what: format!("heroku/static could not {operation}"),
            found: source.to_string(),
            allowed: OURS.into(),
            next: DOCTOR.into(),
            ..Message::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_a_build_fails_is_explained() {
        let outside = SiteError::Outside { field: "root", path: "../x".into() };
        for (name, error, expect) in [
            ("proxies", StaticError::Json(SiteError::Unsupported("proxies")), exit_code::COMPILE),
            ("auth", StaticError::Json(SiteError::Unsupported("basic_auth")), exit_code::COMPILE),
            ("outside", StaticError::Json(outside), exit_code::COMPILE),
            ("no_root", StaticError::NoRoot { root: "dist".into() }, exit_code::COMPILE),
            (
                "io",
                StaticError::io("write bin/boot")(io::ErrorKind::StorageFull.into()),
                exit_code::INTERNAL,
            ),
        ] {
            assert_eq!(error.exit_code(), expect, "{name}");
            let message = explain(&error);
            assert_eq!(message.silent_parts(), ["state"], "{message:?}");
            insta::assert_snapshot!(name, message.gutter());
        }
    }
}
