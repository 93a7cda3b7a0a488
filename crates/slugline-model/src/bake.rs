//! A release made of the current slug and files of a dyno: a stopgap, and what is said of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::advice::{Advice, Framework, Way, advise};
use crate::ledger::{ChangeKind, Class, Found, classify};
use crate::name::DynoName;
use crate::size;

/// How many paths may be named at once.
pub const MOST_PATHS: usize = 100;

/// Why files cannot be named so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// None is named.
    #[error("no path is named")]
    None,
    /// Too many are.
    #[error("more than {MOST_PATHS} paths are named; a directory stands for all that is in it")]
    TooMany,
    /// It leads elsewhere.
    #[error("`{0}` is not below /app: a slug holds the app's directory and nothing else")]
    Outside(String),
    /// What no slug holds.
    #[error("`{0}` lies in what no slug holds: /app/tmp and /app/.git")]
    LeftOut(String),
}

/// The absolute paths of what is named from the app's directory on, or from the root on.
pub fn paths(named: &[String]) -> Result<Vec<String>, PathError> {
    if named.is_empty() {
        return Err(PathError::None);
    }
    if named.len() > MOST_PATHS {
        return Err(PathError::TooMany);
    }
    named.iter().map(|path| absolute(path)).collect()
}

fn absolute(path: &str) -> Result<String, PathError> {
    let outside = || PathError::Outside(path.chars().filter(|c| !c.is_control()).collect());
    let below = match path.strip_prefix('/') {
        Some(rest) => rest.strip_prefix("app/").ok_or_else(outside)?,
        None => path,
    };
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || parts.contains(&"..") || below.contains('\0') {
        return Err(outside());
    }
    if matches!(parts[0], "tmp" | ".git") {
        return Err(PathError::LeftOut(path.to_owned()));
    }
    Ok(format!("/app/{}", parts.join("/")))
}

/// Those of the named paths (absolute) at or below which nothing was added. What was added is told
/// from the app's directory on.
pub fn missing<'a>(named: &'a [String], added: &[String]) -> Vec<&'a str> {
    let is_there = |path: &&String| {
        let path = path.trim_start_matches("/app/");
        let below = |added: &String| {
            added.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        added.iter().any(below)
    };
    named.iter().filter(|path| !is_there(path)).map(String::as_str).collect()
}

/// The release's description.
pub fn description(files: usize, dyno: &DynoName) -> String {
    format!("Bake {} of {dyno} (stopgap)", size::files(files as u64))
}

/// What belongs to a kind of files that were baked, and what does it properly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Properly {
    /// What they are for.
    pub class: Class,
    /// How many.
    pub files: u64,
    /// One of them, from the app's directory on.
    pub example: String,
    /// What to do instead.
    pub advice: Advice,
}

/// What does properly what was baked: each way once, assets first.
pub fn properly(added: &[String], framework: Framework) -> Vec<Properly> {
    let mut ways: BTreeMap<(Way, String), Properly> = BTreeMap::new();
    for path in added {
        let absolute = format!("/app/{path}");
        let found = Found { path: &absolute, kind: ChangeKind::Created, bytes: 0, head: b"" };
        let class = classify(&found, &[]);
        let advice = advise(class, framework, path);
        let new = || Properly { class, files: 0, example: path.clone(), advice: advice.clone() };
        ways.entry((advice.way, advice.paste.clone())).or_insert_with(new).files += 1;
    }
    ways.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owned(paths: &[&str]) -> Vec<String> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn paths_are_of_the_app_or_refused() {
        let named = owned(&["static/CACHE/", "/app/media/a.png", "./a//b"]);
        assert_eq!(
            paths(&named).unwrap(),
            owned(&["/app/static/CACHE", "/app/media/a.png", "/app/a/b"])
        );
        for path in ["/etc/passwd", "../x", "a/../../b", "/app", "/app/", ".", "", "/apple/x"] {
            assert!(matches!(paths(&owned(&[path])), Err(PathError::Outside(_))), "{path}");
        }
        assert!(matches!(paths(&owned(&["tmp/a"])), Err(PathError::LeftOut(_))));
        assert_eq!(paths(&[]), Err(PathError::None));
        assert_eq!(paths(&vec!["a".to_owned(); 101]), Err(PathError::TooMany));
    }

    #[test]
    fn a_path_at_which_nothing_lies_is_told() {
        let named = owned(&["/app/static/CACHE", "/app/media", "/app/a"]);
        let added = owned(&["static/CACHE/css/out.css", "mediafiles/x", "a"]);
        assert_eq!(missing(&named, &added), ["/app/media"]);
    }

    #[test]
    fn each_way_is_told_once() {
        let added = owned(&["static/CACHE/css/a.css", "static/CACHE/js/b.js", "media/c.png"]);
        let ways = properly(&added, Framework::Django);
        let told: Vec<_> = ways.iter().map(|w| (w.files, w.advice.paste.as_str())).collect();
        assert_eq!(told, [(2, "python manage.py compress"), (1, "heroku addons:create s3")]);
        let web = "web.1".parse().unwrap();
        assert_eq!(description(3, &web), "Bake 3 files of web.1 (stopgap)");
    }

    proptest! {
        #[test]
        fn no_path_leaves_the_app(path in "[a./\\\\é]{0,12}") {
            if let Ok(found) = paths(&[path]) {
                prop_assert!(found[0].starts_with("/app/"));
                prop_assert!(!found[0].split('/').any(|part| part == ".."));
            }
        }
    }
}
