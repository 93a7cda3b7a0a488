//! What requests are answered with, by what static.json says and what lies there.

use proptest::prelude::*;

use super::*;

const FILES: [&str; 8] = [
    "index.html",
    "foo.html",
    "foo",
    "a b/é.txt",
    "docs/index.html",
    ".env",
    ".well-known/x",
    "Procfile",
];

fn find(path: &str) -> Option<Kind> {
    if FILES.contains(&path) {
        return Some(Kind::File);
    }
    let directory = format!("{path}/");
    FILES.iter().any(|file| file.starts_with(&directory)).then_some(Kind::Directory)
}

fn ask(json: &str, request: Request) -> String {
    let site = StaticSite::parse(json, &|_| None).unwrap();
    match answer(&site, &request, &find) {
        Answer::File { path, status } => format!("{status} {path}"),
        Answer::Redirect { location, status } => format!("{status} -> {location}"),
        Answer::NotFound => "404".to_owned(),
        Answer::Malformed => "400".to_owned(),
    }
}

fn check(json: &str, path: &str, expect: &str) {
    let request = Request { path, host: "a.example", scheme: "http", query: None };
    assert_eq!(ask(json, request), expect, "{path} with {json}");
}

#[test]
fn files_are_what_their_paths_say() {
    check("{}", "/", "200 index.html");
    check("{}", "/foo", "200 foo");
    check("{}", "/a%20b/%C3%A9.txt", "200 a b/é.txt");
    check("{}", "/docs/", "200 docs/index.html");
    check("{}", "/docs", "301 -> /docs/");
    check("{}", "/foo.html/", "404");
    check("{}", "/none", "404");
    check(r#"{"clean_urls": true}"#, "/foo", "200 foo.html");
    check(r#"{"error_page": "foo.html"}"#, "/none", "404 foo.html");
    check(r#"{"error_page": "none.html"}"#, "/none", "404");
}

#[test]
fn what_is_hidden_or_outside_is_not_served() {
    for path in ["/.env", "/Procfile", "/.git/config"] {
        check("{}", path, "404");
    }
    check("{}", "/.well-known/x", "200 .well-known/x");
    for path in ["/../x", "/a/%2e%2e/x", "/%00", "/%zz", "/%", "x", "/..%5cx", "/%ff"] {
        check("{}", path, "400");
    }
}

#[test]
fn routes_come_after_files_and_redirects() {
    let json = r#"{"routes": {"/assets/*": "/assets/", "/**": "index.html"},
        "redirects": {"/old/gone": {"url": "/gone.html", "status": 302},
                      "/foo": {"url": "/elsewhere"}}}"#;
    check(json, "/any/thing", "200 index.html");
    check(json, "/foo", "200 foo");
    check(json, "/old/gone", "302 -> /gone.html");
    let excepts = r#"{"routes": {"/**": {"path": "index.html", "excepts": ["/api/**"]}}}"#;
    check(excepts, "/any/thing", "200 index.html");
    check(excepts, "/api/thing", "404");
}

#[test]
fn https_and_the_host_come_first() {
    let request = |scheme, host| Request { path: "/foo", query: Some("a=1"), host, scheme };
    let https = r#"{"https_only": true}"#;
    assert_eq!(ask(https, request("http", "a.example")), "301 -> https://a.example/foo?a=1");
    assert_eq!(ask(https, request("https", "a.example")), "200 foo");
    let host = r#"{"canonical_host": "b.example"}"#;
    assert_eq!(ask(host, request("https", "a.example")), "301 -> https://b.example/foo?a=1");
    assert_eq!(ask(host, request("https", "b.example")), "200 foo");
    check("{}", "//docs", "301 -> /docs/");
}

proptest! {
    #[test]
    fn no_path_leads_out_of_the_site(path in "/[a-z./%0-9A-F]{0,20}") {
        let outside = |path: &str| {
            assert!(!path.starts_with('/') && !path.split('/').any(|part| part == ".."), "{path}");
            Some(Kind::File)
        };
        let request = Request { path: &path, ..Request::default() };
        let site = StaticSite::of_directory("");
        if let Answer::File { path, .. } = answer(&site, &request, &outside) {
            prop_assert!(!path.split('/').any(|part| part == ".."));
        }
    }
}
