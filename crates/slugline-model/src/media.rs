//! Uploads that the router answers for out of the app's bucket: which requests are for one, and how
//! what is found there is told to browsers.

use serde::{Deserialize, Serialize};

/// Below which path an app's uploads are, and where in which bucket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaRule {
    /// What the paths of requests begin with: `/media/`.
    pub path: String,
    /// What keys begin with in its place: `media/`, or nothing.
    pub keys: String,
    /// Whose name the config vars have that open the bucket: `S3`, or an attachment's. Without it, the
    /// app's only bucket.
    #[serde(default)]
    pub bucket: Option<String>,
    /// Whether the router answers with the object itself. If not, it sends browsers to a signed
    /// address that is good for a short while.
    pub public: bool,
}

impl MediaRule {
    /// A rule for a path, whose keys are, if nothing else is said, those that `storage:adopt` gives.
    ///
    /// # Errors
    ///
    /// What a path must be like.
    pub fn new(
        path: &str,
        keys: Option<&str>,
        bucket: Option<String>,
        public: bool,
    ) -> Result<Self, &'static str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
        let path = format!("/{}/", path.trim_matches('/'));
        if path == "//" {
            return Err("it is a path such as /media/, and not all of the app");
        }
        if !path.chars().all(plain) || path.split('/').any(|part| part == "." || part == "..") {
            return Err(
                "it has letters, digits, and the signs - _ . ~ / in it, and no part . or ..",
            );
        }
        if path.trim_matches('/').contains("//") {
            return Err("it has no empty parts");
        }
        let keys = keys.unwrap_or(&path).trim_start_matches('/').to_owned();
        let keys = if keys.is_empty() || keys.ends_with('/') { keys } else { format!("{keys}/") };
        Ok(Self { path, keys, bucket, public })
    }

    /// The key that a request's path is about. What would not be one object's key is the app's
    /// business: an empty part, `.` or `..`, and what is not UTF-8.
    pub fn key(&self, path: &str) -> Option<String> {
        let rest = decoded(path.strip_prefix(self.path.as_str())?)?;
        let odd = |part: &str| matches!(part, "" | "." | "..");
        if rest.split('/').any(odd) || rest.chars().any(char::is_control) {
            return None;
        }
        Some(format!("{}{rest}", self.keys))
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        decoded.push(match byte {
            b'%' => u8::try_from(digit(bytes.next())? * 16 + digit(bytes.next())?).ok()?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

/// The media type of an object: what the bucket says, unless that is what it says of everything.
pub fn media_type(told: Option<&str>, key: &str) -> String {
    match told {
        None | Some("" | "binary/octet-stream" | "application/octet-stream") => {
            crate::static_site::content_type(key, "utf-8")
        }
        Some(told) => told.to_owned(),
    }
}

/// Whether a browser would run what is in an object, as the app's own: somebody has uploaded it, so
/// that it must not.
pub fn is_active(media_type: &str) -> bool {
    let kind = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(kind.as_str(), "text/html" | "text/xml" | "application/xml" | "text/javascript")
        || kind.ends_with("+xml")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(path: &str, keys: Option<&str>) -> MediaRule {
        MediaRule::new(path, keys, None, true).unwrap()
    }

    #[test]
    fn a_path_is_a_key_below_the_prefix() {
        let own = rule("media", None);
        assert_eq!((own.path.as_str(), own.keys.as_str()), ("/media/", "media/"));
        assert_eq!(
            own.key("/media/covers/a%20%C3%BC.png").as_deref(),
            Some("media/covers/a ü.png")
        );
        let top = rule("/files/", Some(""));
        assert_eq!(top.key("/files/a+b").as_deref(), Some("a+b"));
        assert_eq!(rule("/m/", Some("/up")).key("/m/a").as_deref(), Some("up/a"));
    }

    #[test]
    fn what_is_no_objects_is_the_apps() {
        let own = rule("/media/", None);
        for path in [
            "/",
            "/media",
            "/media/",
            "/mediation/a",
            "/media/a/",
            "/media//a",
            "/media/../a",
            "/media/%2e%2e/a",
            "/media/a%2F..%2Fb",
            "/media/./a",
            "/media/%ff",
            "/media/%4",
            "/media/a%00",
            "/media/a%0Ab",
        ] {
            assert_eq!(own.key(path), None, "{path}");
        }
    }

    #[test]
    fn a_rule_is_for_a_part_of_the_app() {
        for bad in ["", "/", "//", "/a//b/", "/a/../b", "/a b/", "/ü/", "/a?b/"] {
            assert!(MediaRule::new(bad, None, None, true).is_err(), "{bad}");
        }
        for good in ["media", "/media", "/a/b.c/"] {
            assert!(MediaRule::new(good, None, None, true).is_ok(), "{good}");
        }
    }

    #[test]
    fn types_that_say_nothing_are_told_by_the_name() {
        assert_eq!(media_type(Some("image/webp"), "a.png"), "image/webp");
        assert_eq!(media_type(Some("binary/octet-stream"), "a.png"), "image/png");
        assert_eq!(media_type(None, "a"), "application/octet-stream");
    }

    #[test]
    fn what_browsers_would_run_is_known() {
        for active in ["text/html; charset=utf-8", "image/svg+xml", "Application/XHTML+xml"] {
            assert!(is_active(active), "{active}");
        }
        for harmless in ["image/png", "application/pdf", "text/plain", "video/mp4"] {
            assert!(!is_active(harmless), "{harmless}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_leaves_the_prefix(path in "/media/[a-z./%25-]{0,20}") {
            if let Some(key) = rule("/media/", None).key(&path) {
                assert!(key.starts_with("media/"));
                assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")));
            }
        }
    }
}
