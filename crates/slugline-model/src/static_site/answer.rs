//! What a request for a path is answered with.

use super::site::StaticSite;

/// What lies at a path below the site's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

/// A request, as far as the answer depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// The path as it came, still with its percent signs: `/a%20b`.
    pub path: &'a str,
    /// The query, without its question mark.
    pub query: Option<&'a str>,
    /// The host that it is for.
    pub host: &'a str,
    /// `X-Forwarded-Proto`.
    pub scheme: &'a str,
}

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A file, by its path below the site's root.
    File {
        /// The path.
        path: String,
        /// 200, or 404 for the error page.
        status: u16,
    },
    /// Another place.
    Redirect {
        /// A path or a URL.
        location: String,
        /// 301, 302 and so on.
        status: u16,
    },
    /// Nothing of the site's.
    NotFound,
    /// The path is none.
    Malformed,
}

/// Files of the app that are none of its site, should the app's own root be served.
const NOT_SERVED: [&str; 4] = ["Procfile", "static.json", "app.json", "heroku.yml"];

/// Decides. `find` says what lies at a path below the site's root.
pub fn answer(site: &StaticSite, request: &Request, find: &dyn Fn(&str) -> Option<Kind>) -> Answer {
    let Some(path) = decoded(request.path) else { return Answer::Malformed };
    if let Some(elsewhere) = right_origin(site, request) {
        return elsewhere;
    }
    let found = |path: &str| find(path).filter(|_| is_served(path));
    let file = |path: String, status| Answer::File { path, status };
    let below = path.trim_start_matches('/');
    if let Some(found) = existing(site, below, &found) {
        return match found {
            Found::File(path) => file(path, 200),
            Found::WithSlash => Answer::Redirect {
                location: with_query(&format!("{}/", request.path), request.query),
                status: 301,
            },
        };
    }
    if let Some(redirect) = site.redirects.get(&path) {
        return Answer::Redirect { location: redirect.url.clone(), status: redirect.status };
    }
    for route in site.routes.iter().filter(|route| route.glob.matches(&path)) {
        let excepted = route.excepts.iter().any(|except| except.matches(&path));
        if !excepted && found(&route.path) == Some(Kind::File) {
            return file(route.path.clone(), 200);
        }
    }
    match &site.error_page {
        Some(page) if found(page) == Some(Kind::File) => file(page.clone(), 404),
        _ => Answer::NotFound,
    }
}

/// https, and the one host, where the site wants them. The router says what the client used.
fn right_origin(site: &StaticSite, request: &Request) -> Option<Answer> {
    let rest = with_query(request.path, request.query);
    if site.https_only && request.scheme != "https" {
        let location = format!("https://{}{rest}", request.host);
        return Some(Answer::Redirect { location, status: 301 });
    }
    let host = site.canonical_host.as_deref().filter(|host| *host != request.host)?;
    let scheme = if request.scheme.is_empty() { "http" } else { request.scheme };
    Some(Answer::Redirect { location: format!("{scheme}://{host}{rest}"), status: 301 })
}

enum Found {
    File(String),
    /// A directory with an index, asked for without its slash: links in it would go wrong.
    WithSlash,
}

fn existing(site: &StaticSite, below: &str, find: &dyn Fn(&str) -> Option<Kind>) -> Option<Found> {
    let is_file = |path: &str| find(path) == Some(Kind::File);
    if site.clean_urls && !below.is_empty() && !below.ends_with('/') {
        let page = format!("{below}.html");
        if is_file(&page) {
            return Some(Found::File(page));
        }
    }
    if is_file(below) && !below.ends_with('/') {
        return Some(Found::File(below.to_owned()));
    }
    let directory = below.trim_end_matches('/');
    let index = if directory.is_empty() {
        "index.html".to_owned()
    } else {
        format!("{directory}/index.html")
    };
    if !is_file(&index) {
        return None;
    }
    let complete = below.is_empty() || below.ends_with('/');
    Some(if complete { Found::File(index) } else { Found::WithSlash })
}

/// Whether a path may be served at all: nothing hidden but `.well-known`, and nothing of the app's.
fn is_served(path: &str) -> bool {
    let hidden = |part: &str| part.starts_with('.') && part != ".well-known";
    !NOT_SERVED.contains(&path) && !path.split('/').any(hidden)
}

/// The path without percent signs; `None` if it is no absolute path, or leads upwards.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
            bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    let path = String::from_utf8(bytes).ok()?;
    let upwards = path.split('/').any(|part| part == "..");
    let fine = path.starts_with('/') && !upwards && !path.contains(['\0', '\\']);
    fine.then_some(path)
}

fn with_query(path: &str, query: Option<&str>) -> String {
    // Two slashes at the start would name a host.
    let path = format!("/{}", path.trim_start_matches('/'));
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
