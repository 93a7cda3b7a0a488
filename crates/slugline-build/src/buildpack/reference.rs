//! How a buildpack is named: `heroku/python`, `official:heroku/python`, a name of Heroku's buildpack
//! registry, a git URL with `#ref`, a `.tgz` URL, a directory.

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
    /// One that is asked for by a name and not by its address.
    Named {
        /// As it was asked for.
        name: String,
        /// Where it is.
        place: Box<Reference>,
    },
}

/// Names of Heroku's own buildpacks, without `heroku/`, that we have none of our own for, and what
/// their repository is called behind `heroku-buildpack-`.
const OF_HEROKU: &[(&str, &str)] = &[
    ("clojure", "clojure"),
    ("go", "go"),
    ("gradle", "gradle"),
    ("java", "java"),
    ("jvm", "jvm-common"),
    ("metrics", "metrics"),
    ("php", "php"),
    ("ruby", "ruby"),
    ("scala", "scala"),
];

/// Where Heroku's buildpack registry keeps each buildpack's newest version, `NAMESPACE/NAME.tgz`.
const REGISTRY: &str = "https://buildpack-registry.s3.amazonaws.com/buildpacks";

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
        if matches!(name, "heroku/inline" | "heroku-community/inline") {
            return Ok(Self::Inline);
        }
        if name.starts_with('/') {
            return Ok(Self::Directory(PathBuf::from(name)));
        }
        let place = Self::parse_url(name).or_else(|| {
            let place = Self::official(name).or_else(|| Self::registered(name))?;
            Some(Self::Named { name: name.to_owned(), place: Box::new(place) })
        });
        place.ok_or_else(|| ReferenceError(text.to_owned()))
    }

    /// `official:heroku/NAME`: Heroku's own, whether or not we have one of that name. `heroku/NAME`
    /// alone names it where we have none.
    fn official(text: &str) -> Option<Self> {
        let (name, reference) = text.split_once('#').unwrap_or((text, ""));
        let (asked, name) = match name.strip_prefix("official:") {
            Some(name) => (true, name.strip_prefix("heroku/")?),
            None => (false, name.strip_prefix("heroku/")?),
        };
        let known = OF_HEROKU.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        let place = known.or((asked && is_name(name)).then_some(name))?;
        let url = format!("https://github.com/heroku/heroku-buildpack-{place}.git");
        (!reference.starts_with('-')).then(|| Self::Git { url, reference: reference.to_owned() })
    }

    /// `NAMESPACE/NAME` of the buildpack registry, where everyone but Heroku is found.
    fn registered(text: &str) -> Option<Self> {
        let (namespace, name) = text.split_once('/')?;
        let named = is_name(namespace) && is_name(name) && namespace != "heroku";
        named.then(|| Self::Tarball(format!("{REGISTRY}/{namespace}/{name}.tgz")))
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
            Self::Named { name, .. } => name.clone(),
        }
    }
}

fn is_name(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(known)
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
    fn names_lead_to_herokus_repositories_and_to_the_registry() {
        let place = |text: &str| match Reference::parse(text) {
            Ok(Reference::Named { name, place }) => {
                assert_eq!(name, text);
                match *place {
                    Reference::Git { url, reference } => format!("{url}#{reference}"),
                    Reference::Tarball(url) => url,
                    other => panic!("{text}: {other:?}"),
                }
            }
            other => panic!("{text}: {other:?}"),
        };
        let git = "https://github.com/heroku/heroku-buildpack";
        assert_eq!(place("official:heroku/python#v351"), format!("{git}-python.git#v351"));
        assert_eq!(place("heroku/jvm"), format!("{git}-jvm-common.git#"));
        assert_eq!(place("official:heroku/apt"), format!("{git}-apt.git#"));
        assert_eq!(place("heroku-community/apt"), format!("{REGISTRY}/heroku-community/apt.tgz"));
    }

    #[test]
    fn a_password_is_not_part_of_the_name() {
        check("https://me:secret@x.example/bp", "https://x.example/bp", |_| true);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "heroku/cobol",
            "official:cobol",
            "official:heroku/../x",
            "official:heroku/go#--x",
            "a/b/c",
            "",
            "https://x.example/bp#--upload-pack=x",
        ] {
            assert_eq!(Reference::parse(text), Err(ReferenceError(text.to_owned())));
        }
    }
}
