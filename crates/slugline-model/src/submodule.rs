//! Submodules of a source: what `.gitmodules` says of them, and which of them a server fetches.

use crate::message::Message;

/// Submodules of one push, those within submodules among them.
pub const MOST: usize = 100;

/// How deep they may stand within each other.
pub const DEEPEST: usize = 5;

/// One of a commit, with where `.gitmodules` says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Where it stands in its tree.
    pub path: String,
    /// What is to stand there.
    pub commit: String,
    /// None where `.gitmodules` does not name it; git fetches no such one either.
    pub url: Option<String>,
}

/// Those of a tree, as `git ls-tree -r -z` lists it, with what `git config --list -z` says of its
/// `.gitmodules`.
pub fn found(tree: &str, settings: &str) -> Vec<Submodule> {
    let settings: Vec<(&str, &str)> =
        settings.split('\0').filter_map(|setting| setting.split_once('\n')).collect();
    let url = |path: &str| {
        let of_path = |(key, value): &(&str, &str)| {
            key.strip_suffix(".path").filter(|_| *value == path).map(|key| format!("{key}.url"))
        };
        let key = settings.iter().find_map(of_path)?;
        settings.iter().rfind(|(known, _)| *known == key).map(|(_, url)| (*url).to_owned())
    };
    let one = |entry: &str| {
        let (kind, path) = entry.split_once('\t')?;
        let commit = kind.strip_prefix("160000 commit ")?.trim().to_owned();
        Some(Submodule { path: path.to_owned(), commit, url: url(path) })
    };
    tree.split('\0').filter_map(one).collect()
}

/// Why a URL is not one that the server fetches from; none where it may be.
pub fn objection(url: &str) -> Option<&'static str> {
    let plain = url.trim().to_ascii_lowercase();
    if plain.starts_with("https://") || plain.starts_with("http://") {
        return None;
    }
    Some(match plain {
        _ if plain.starts_with("./") || plain.starts_with("../") || plain.starts_with('/') => {
            "is relative to wherever this repository came from, which the server does not know"
        }
        _ if plain.starts_with("ssh:")
            || plain.split('/').next().is_some_and(|p| p.contains('@')) =>
        {
            "asks for SSH, and the server has no key"
        }
        _ => "is of no kind that is fetched",
    })
}

/// A URL for people: without who logs in there.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let host_end = rest.find('/').unwrap_or(rest.len());
    let host = rest[..host_end].rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", &rest[host_end..])
}

/// What whoever pushes is told of one that could not be had.
pub fn message(path: &str, found: &str) -> Message {
    Message {
        what: format!("The submodule {path} could not be fetched."),
        found: found.to_owned(),
        allowed: "Submodules come by https:// or http:// URLs that need no SSH key, from machines \
                  that are not this server itself, and have the commit that this one names."
            .to_owned(),
        next: format!(
            "git submodule set-url {path} https://HOST/REPOSITORY.git && git commit -a && git push; \
             or, with the submodule's files from your disk, `slugline up`."
        ),
        state: "Nothing was built or released.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_found_with_their_urls() {
        let tree =
            "100644 blob aa\tProcfile\x00160000 commit bb\tvendor/lib\x00160000 commit cc\tlost\0";
        let settings = "submodule.a.b.path\nvendor/lib\0submodule.a.b.url\nhttps://x.test/l.git\0\
                        submodule.c.path\nother\0submodule.c.url\nhttps://x.test/c.git\0";
        let (one, lost) = (found(tree, settings)[0].clone(), found(tree, settings)[1].clone());
        assert_eq!((one.path.as_str(), one.commit.as_str()), ("vendor/lib", "bb"));
        assert_eq!(one.url.as_deref(), Some("https://x.test/l.git"));
        assert_eq!((lost.path.as_str(), lost.url), ("lost", None));
        assert_eq!(found("", "").len(), 0);
    }

    #[test]
    fn only_urls_of_http_are_fetched_and_the_others_say_why() {
        for fine in ["https://x.test/a", "HTTP://x.test/a"] {
            assert_eq!(objection(fine), None, "{fine}");
        }
        for (url, why) in [
            ("../lib.git", "relative"),
            ("./lib.git", "relative"),
            ("/srv/lib.git", "relative"),
            ("git@github.com:a/b.git", "SSH"),
            ("ssh://git@x.test/a", "SSH"),
            ("file:///etc", "no kind"),
            ("ext::sh -c id", "no kind"),
            ("--upload-pack=id", "no kind"),
            ("git://x.test/a", "no kind"),
            ("", "no kind"),
        ] {
            assert!(objection(url).unwrap().contains(why), "{url}");
        }
    }

    #[test]
    fn nobody_is_told_a_password_and_a_message_has_five_parts() {
        assert_eq!(shown("https://ann:secret@x.test:8443/a@b"), "https://x.test:8443/a@b");
        assert_eq!(shown("../lib"), "../lib");
        assert_eq!(message("lib", "It is gone.").silent_parts(), [""; 0]);
    }
}
