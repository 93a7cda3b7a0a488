//! static.json, read and checked.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::glob::Glob;

/// What static.json says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticSite {
    /// The directory that is served, below the app's root; empty for the app's root itself.
    pub root: String,
    /// Of texts: `UTF-8`.
    pub encoding: String,
    /// Whether `/about` is answered with `about.html`.
    pub clean_urls: bool,
    /// Whether requests that did not come by https are sent there.
    pub https_only: bool,
    /// The one host that requests are sent to, if they come for another.
    pub canonical_host: Option<String>,
    /// What is sent for paths that are nothing, below `root`.
    pub error_page: Option<String>,
    /// Files for whole patterns of paths, in order.
    pub routes: Vec<Route>,
    /// Paths that are elsewhere.
    pub redirects: BTreeMap<String, Redirect>,
    /// Headers for patterns of paths: of those that match, the last one counts.
    pub headers: Vec<(Glob, Vec<(String, String)>)>,
    /// Whether each request becomes a line of the log.
    pub log_requests: bool,
}

/// One file for a pattern of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The pattern.
    pub glob: Glob,
    /// The file, below the site's root.
    pub path: String,
    /// Paths that match and are left out all the same.
    pub excepts: Vec<Glob>,
}

/// Where a path has gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A path or a URL.
    pub url: String,
    /// 301 unless something else is said.
    pub status: u16,
}

/// Why static.json cannot be served from.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// It is no JSON, or of another shape.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It asks for something that is not done.
    #[error("`{0}` is not supported")]
    Unsupported(&'static str),
    /// A path that leads out of the app.
    #[error("{field} leads out of the app: `{path}`")]
    Outside {
        /// `root`
        field: &'static str,
        /// What stands there.
        path: String,
    },
    /// A redirect with a status that is none.
    #[error("the redirect of `{path}` has the status {status}")]
    Status {
        /// The path.
        path: String,
        /// The status.
        status: u16,
    },
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    root: Option<String>,
    encoding: Option<String>,
    clean_urls: bool,
    https_only: bool,
    canonical_host: Option<serde_json::Value>,
    error_page: Option<String>,
    routes: InOrder<RouteFile>,
    redirects: BTreeMap<String, RedirectFile>,
    headers: InOrder<InOrder<serde_json::Value>>,
    logging: Logging,
    proxies: Option<serde_json::Value>,
    basic_auth: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RouteFile {
    Path(String),
    Full {
        path: String,
        #[serde(default)]
        excepts: Vec<String>,
    },
}

#[derive(Debug, Deserialize)]
struct RedirectFile {
    url: String,
    status: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Logging {
    access: Option<bool>,
}

impl StaticSite {
    /// Reads static.json. Texts in it may name environment variables, `${NAME}`; what `get` does not
    /// know stays as it is.
    pub fn parse(text: &str, get: &dyn Fn(&str) -> Option<String>) -> Result<Self, SiteError> {
        let file: File = serde_json::from_str(text)?;
        for (name, value) in [("proxies", &file.proxies), ("basic_auth", &file.basic_auth)] {
            if value.as_ref().is_some_and(is_asked_for) {
                return Err(SiteError::Unsupported(name));
            }
        }
        let mut redirects = BTreeMap::new();
        for (path, RedirectFile { url, status }) in file.redirects {
            let status = status.unwrap_or(301);
            if !(300..=399).contains(&status) {
                return Err(SiteError::Status { path, status });
            }
            redirects.insert(path, Redirect { url: interpolated(&url, get), status });
        }
        let route = |(glob, route): (String, RouteFile)| {
            let (path, excepts) = match route {
                RouteFile::Path(path) => (path, Vec::new()),
                RouteFile::Full { path, excepts } => (path, excepts),
            };
            let path = inside("routes", &path)?;
            let excepts = excepts.iter().map(|text| Glob::new(text)).collect();
            Ok(Route { glob: Glob::new(&glob), path, excepts })
        };
        let headers = |(glob, headers): (String, InOrder<serde_json::Value>)| {
            let text = |value: serde_json::Value| match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            let pairs = headers.0.into_iter().map(|(name, value)| (name, text(value)));
            (Glob::new(&glob), pairs.collect())
        };
        let host = file.canonical_host.as_ref().and_then(serde_json::Value::as_str);
        Ok(Self {
            root: inside("root", file.root.as_deref().unwrap_or("public_html/"))?,
            encoding: file.encoding.unwrap_or_else(|| "UTF-8".to_owned()),
            clean_urls: file.clean_urls,
            https_only: file.https_only,
            canonical_host: host.map(|host| interpolated(host, get)),
            error_page: file.error_page.map(|path| inside("error_page", &path)).transpose()?,
            routes: file.routes.0.into_iter().map(route).collect::<Result<_, SiteError>>()?,
            redirects,
            headers: file.headers.0.into_iter().map(headers).collect(),
            log_requests: file.logging.access.unwrap_or(true),
        })
    }

    /// A site without static.json: a directory as it is.
    pub fn of_directory(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            encoding: "UTF-8".to_owned(),
            clean_urls: false,
            https_only: false,
            canonical_host: None,
            error_page: None,
            routes: Vec::new(),
            redirects: BTreeMap::new(),
            headers: Vec::new(),
            log_requests: true,
        }
    }
}

/// `false`, `{}` and `null` ask for nothing.
fn is_asked_for(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(false) => false,
        serde_json::Value::Object(map) => !map.is_empty(),
        _ => true,
    }
}

/// A path without slashes around it, none of whose parts is `..`.
fn inside(field: &'static str, path: &str) -> Result<String, SiteError> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") || path.contains('\0') {
        return Err(SiteError::Outside { field, path: path.to_owned() });
    }
    Ok(parts.join("/"))
}

fn interpolated(text: &str, get: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let Some(length) = rest[at..].find('}') else { break };
        out.push_str(&rest[..at]);
        let whole = &rest[at..=at + length];
        out.push_str(&get(&whole[2..whole.len() - 1]).unwrap_or_else(|| whole.to_owned()));
        rest = &rest[at + length + 1..];
    }
    out + rest
}

/// A JSON object whose order matters.
#[derive(Debug)]
struct InOrder<T>(Vec<(String, T)>);

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = InOrder<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(InOrder(pairs))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<StaticSite, SiteError> {
        StaticSite::parse(text, &|name| (name == "HOST").then(|| "b.example".to_owned()))
    }

    #[test]
    fn an_empty_object_is_herokus_defaults() {
        let site = parse("{}").unwrap();
        assert_eq!((site.root.as_str(), site.encoding.as_str()), ("public_html", "UTF-8"));
        assert!(!site.clean_urls && !site.https_only && site.log_requests);
    }

    #[test]
    fn everything_that_is_said_is_read_in_order() {
        let site = parse(
            r#"{"root": "./dist/", "clean_urls": true, "https_only": true, "error_page": "/e/404.html",
                "canonical_host": "www.${HOST}", "logging": {"access": false},
                "routes": {"/z/**": "z.html", "/**": {"path": "index.html", "excepts": ["/api/**"]}},
                "redirects": {"/old": {"url": "https://${HOST}/${NONE}", "status": 302}, "/o": {"url": "/"}},
                "headers": {"/**": {"X-Foo": "bar", "X-Number": 1}, "/a": {}}}"#,
        )
        .unwrap();
        assert_eq!((site.root.as_str(), site.error_page.as_deref()), ("dist", Some("e/404.html")));
        assert_eq!(site.canonical_host.as_deref(), Some("www.b.example"));
        assert_eq!(site.routes[0].path, "z.html");
        assert_eq!(site.routes[1].excepts, [Glob::new("/api/**")]);
        let old = Redirect { url: "https://b.example/${NONE}".into(), status: 302 };
        assert_eq!(site.redirects["/old"], old);
        assert_eq!(site.redirects["/o"].status, 301);
        assert_eq!(site.headers[0].1[1], ("X-Number".to_owned(), "1".to_owned()));
        assert!(!site.log_requests);
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        let proxies = parse(r#"{"proxies": {"/api/": {"origin": "https://api.example"}}}"#);
        assert!(matches!(proxies, Err(SiteError::Unsupported("proxies"))));
        assert!(parse(r#"{"proxies": {}, "basic_auth": false}"#).is_ok());
        let auth = parse(r#"{"basic_auth": true}"#);
        assert!(matches!(auth, Err(SiteError::Unsupported("basic_auth"))));
        assert!(matches!(parse(r#"{"root": "a/../.."}"#), Err(SiteError::Outside { .. })));
        let status = parse(r#"{"redirects": {"/a": {"url": "/", "status": 200}}}"#);
        assert!(matches!(status, Err(SiteError::Status { status: 200, .. })));
        assert!(matches!(parse("3"), Err(SiteError::Json(_))));
    }
}
