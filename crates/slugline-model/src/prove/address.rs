//! Addresses: what a reference in a text comes to on the app's own host.

use std::fmt::Write as _;

/// The longest address that is followed (bytes).
const LONGEST: usize = 2_000;

/// Where the references of a text start from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The app's host, without a port.
    pub host: String,
    /// Path and query of the text.
    pub url: String,
}

impl Base {
    /// A text of this host.
    pub fn new(host: &str, url: &str) -> Self {
        Self { host: host.to_owned(), url: url.to_owned() }
    }

    /// Another text of the same host.
    #[must_use]
    pub fn at(&self, url: &str) -> Self {
        Self::new(&self.host, url)
    }

    fn path(&self) -> &str {
        self.url.split('?').next().unwrap_or("/")
    }

    /// The path up to its last slash.
    pub(super) fn directory(&self) -> &str {
        let path = self.path();
        path.rfind('/').map_or("/", |slash| &path[..=slash])
    }
}

/// Path and query that a reference leads to; none where that is another host, or no address.
pub fn resolve(base: &Base, reference: &str) -> Option<String> {
    let text: String =
        reference.trim().chars().filter(|c| !matches!(c, '\t' | '\n' | '\r')).collect();
    let text = text.split('#').next().unwrap_or_default();
    if text.is_empty() || text.len() > LONGEST {
        return None;
    }
    let joined = match scheme(text) {
        Some(scheme) => of_host(base, scheme_rest(scheme, text)?)?,
        None if text.starts_with("//") => of_host(base, &text[2..])?,
        None if text.starts_with('/') => text.to_owned(),
        None if text.starts_with('?') => format!("{}{text}", base.path()),
        None => format!("{}{text}", base.directory()),
    };
    let (path, query) = joined.split_once('?').map_or((&*joined, None), |(p, q)| (p, Some(q)));
    let mut url = encoded(&without_dots(path));
    if let Some(query) = query {
        url.push('?');
        url.push_str(&encoded(query));
    }
    (url.len() <= LONGEST).then_some(url)
}

/// What stands before the first colon, where that is a scheme.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let word = scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (word && scheme.starts_with(|c: char| c.is_ascii_alphabetic())).then_some(scheme)
}

/// What follows `http://` or `https://`.
fn scheme_rest<'a>(scheme: &str, text: &'a str) -> Option<&'a str> {
    let http = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    http.then(|| text[scheme.len() + 1..].strip_prefix("//")).flatten()
}

/// The path of `host/path`, where the host is the app's.
fn of_host(base: &Base, rest: &str) -> Option<String> {
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let host = crate::route::host_name(&rest[..end]);
    let path = if rest[end..].starts_with('/') { "" } else { "/" };
    host.eq_ignore_ascii_case(&base.host).then(|| format!("{path}{}", &rest[end..]))
}

fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = vec![];
    for segment in path.trim_start_matches('/').split('/') {
        match segment {
            "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    let directory = path.ends_with("/.") || path.ends_with("/..");
    format!("/{}{}", segments.join("/"), if directory && !segments.is_empty() { "/" } else { "" })
}

/// With each byte that may not stand in a request's line as `%XX`.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\`{}|^".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_lead_where_browsers_go() {
        let base = Base::new("owl.localhost", "/a/b/page?x=1");
        for (reference, url) in [
            ("c.css", Some("/a/b/c.css")),
            ("./c.css", Some("/a/b/c.css")),
            ("../c.css?v=2#top", Some("/a/c.css?v=2")),
            ("../../../../c.css", Some("/c.css")),
            ("/c d.css", Some("/c%20d.css")),
            ("?y=2", Some("/a/b/page?y=2")),
            ("//owl.localhost:5080/c.js", Some("/c.js")),
            ("https://OWL.localhost/c.js", Some("/c.js")),
            ("https://owl.localhost", Some("/")),
            ("https://owl.localhost?x", Some("/?x")),
            ("https://cdn.example/c.js", None),
            ("//cdn.example/c.js", None),
            ("data:image/png;base64,AA", None),
            ("mailto:a@b.example", None),
            ("#top", None),
            ("  ", None),
            ("..", Some("/a/")),
            ("a:b.css", None),
            ("./a:b.css", Some("/a/b/a:b.css")),
        ] {
            assert_eq!(resolve(&base, reference).as_deref(), url, "{reference}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_comes_out_can_be_asked_for(reference in "\\PC{0,60}", url in "/[a-z/.?]{0,20}") {
            if let Some(url) = resolve(&Base::new("owl.localhost", &url), &reference) {
                assert!(url.starts_with('/') && url.bytes().all(|b| b.is_ascii_graphic()), "{url}");
                let path = url.split('?').next().unwrap_or_default();
                assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{url}");
            }
        }
    }
}
