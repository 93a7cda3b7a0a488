//! How a buildpack is named: `heroku/python`, a git URL with `#ref`, a `.tgz` URL, a directory.

use std::path::PathBuf;

use crate::builtin::Builtin;

/// A buildpack as somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// One that comes with Slugline.
    Builtin(Builtin),
    /// The app's own `bin/detect` and `bin/compile`.
    Inline,
    /// A git repository, and the branch, tag or commit behind `#`.
    Git {
        /// Where to clone from.
        url: String,
        /// What to check out; empty for the default branch.
        reference: String,
    },
    /// A tarball.
    Tarball(String),
    /// A directory of this machine.
    Directory(PathBuf),
}

/// A text that names no buildpack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no buildpack")]
pub struct ReferenceError(pub String);

impl Reference {
    /// Reads one name.
    pub(crate) fn parse(text: &str) -> Result<Self, ReferenceError> {
        let text = text.trim();
        let name = text.strip_prefix("urn:buildpack:").unwrap_or(text);
        if let Some(builtin) = Builtin::named(name.strip_prefix("heroku/").unwrap_or(name)) {
            return Ok(Self::Builtin(builtin));
        }
        if name == "heroku/inline" {
            return Ok(Self::Inline);
        }
        if name.starts_with('/') {
            return Ok(Self::Directory(PathBuf::from(name)));
        }
        Self::parse_url(name).ok_or_else(|| ReferenceError(text.to_owned()))
    }

    fn parse_url(url: &str) -> Option<Self> {
        let scp_like = url.starts_with("git@") && url.contains(':');
        let (scheme, _) = url.split_once("://").unwrap_or(("", ""));
        let (location, reference) = url.split_once('#').unwrap_or((url, ""));
        let web = matches!(scheme, "http" | "https");
        if web && [".tgz", ".tar.gz"].iter().any(|end| location.ends_with(end)) {
            return Some(Self::Tarball(url.to_owned()));
        }
        let git = scp_like || web || matches!(scheme, "git" | "ssh" | "file");
        // A leading dash would be read as an option by git.
        (git && !reference.starts_with('-'))
            .then(|| Self::Git { url: location.to_owned(), reference: reference.to_owned() })
    }

    /// As it stands in the log.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Builtin(builtin) => format!("heroku/{}", builtin.name()),
            Self::Inline => "heroku/inline".to_owned(),
            Self::Git { url, reference } if reference.is_empty() => without_password(url),
            Self::Git { url, reference } => format!("{}#{reference}", without_password(url)),
            Self::Tarball(url) => without_password(url),
            Self::Directory(path) => path.display().to_string(),
        }
    }
}

/// A URL without its user and password, which belong in no log.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let start = rest[..end].rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[start..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, kind: fn(&Reference) -> bool) {
        let reference = Reference::parse(text).unwrap();
        assert_eq!(reference.name(), name);
        assert!(kind(&reference), "{text}: {reference:?}");
    }

    #[test]
    fn buildpacks_are_named_as_on_heroku() {
        check("heroku/python", "heroku/python", |r| matches!(r, Reference::Builtin(_)));
        check("urn:buildpack:heroku/nodejs", "heroku/nodejs", |r| {
            matches!(r, Reference::Builtin(_))
        });
        check("heroku/inline", "heroku/inline", |r| *r == Reference::Inline);
        check(
            "https://x.example/bp.git#v1",
            "https://x.example/bp.git#v1",
            |r| matches!(r, Reference::Git { reference, .. } if reference == "v1"),
        );
        check("git@x.example:a/b", "git@x.example:a/b", |r| matches!(r, Reference::Git { .. }));
        check("https://x.example/bp.tgz", "https://x.example/bp.tgz", |r| {
            matches!(r, Reference::Tarball(_))
        });
        check("/opt/bp", "/opt/bp", |r| matches!(r, Reference::Directory(_)));
    }

    #[test]
    fn a_password_is_not_part_of_the_name() {
        check("https://me:secret@x.example/bp", "https://x.example/bp", |_| true);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["heroku/cobol", "some/thing", "", "https://x.example/bp#--upload-pack=x"] {
            assert_eq!(Reference::parse(text), Err(ReferenceError(text.to_owned())));
        }
    }
}
