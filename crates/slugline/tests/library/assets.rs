//! Every static file that the page, its style sheets and its scripts may ask for.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::support::scene::Scene;

/// Where webpack's files are served.
const CLIENT: &str = "/static/client/";

/// URL → SHA-256 of each static asset. All of them are served, and as what they are.
pub(crate) fn hashes(scene: &Scene) -> BTreeMap<String, String> {
    let page = scene.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("Content-Type").starts_with("text/html"), "{page:?}");
    let mut waiting: Vec<String> = attributes(&page.text()).collect();
    waiting.extend(manifest(scene));
    let mut hashes = BTreeMap::new();
    while let Some(url) = waiting.pop() {
        if hashes.contains_key(&url) {
            continue;
        }
        let answer = scene.get(&url);
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(media_type(answer.header("Content-Type")), expected_type(&url), "{url}");
        waiting.extend(references(&url, &answer.text()));
        hashes.insert(url, format!("{:x}", Sha256::digest(&answer.body)));
    }
    assert_kinds(hashes.keys());
    hashes
}

/// The page's own, the late chunk, the font and the picture: else the search has missed something.
fn assert_kinds<'a>(urls: impl Iterator<Item = &'a String>) {
    let found: BTreeSet<&str> = urls.filter_map(|url| url.rsplit('/').next()).collect();
    let has = |start: &str, end: &str| {
        found.iter().any(|name| name.starts_with(start) && name.ends_with(end))
    };
    for (start, end) in [
        ("main.", ".js"),
        ("main.", ".css"),
        ("add-book.", ".js"),
        ("add-book.", ".css"),
        ("favicon.", ".svg"),
        ("no-cover.", ".svg"),
        ("lora-", ".woff2"),
    ] {
        assert!(has(start, end), "no {start}…{end} among {found:?}");
    }
}

/// What webpack says that it made.
fn manifest(scene: &Scene) -> Vec<String> {
    let answer = scene.get(&format!("{CLIENT}webpack-manifest.json"));
    let files: BTreeMap<String, String> = serde_json::from_slice(&answer.body).expect("a manifest");
    files.into_values().map(|name| format!("{CLIENT}{name}")).collect()
}

fn references(url: &str, text: &str) -> Vec<String> {
    match url.rsplit('.').next() {
        Some("css") => style_urls(text).map(|target| absolute(url, target)).collect(),
        Some("js") => chunk_names(text).map(|name| format!("{CLIENT}{name}")).collect(),
        _ => vec![],
    }
}

/// `src` and `href` of a page that lie on this server.
fn attributes(page: &str) -> impl Iterator<Item = String> {
    [" src=\"", " href=\""]
        .into_iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|url| url.starts_with("/static/"))
        .map(str::to_owned)
}

/// Targets of `url(…)`, with or without quotes, that are no `data:`.
fn style_urls(text: &str) -> impl Iterator<Item = &str> {
    text.split("url(")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .map(|target| target.trim_matches(['"', '\'']))
        .filter(|target| !target.starts_with("data:"))
}

fn absolute(from: &str, target: &str) -> String {
    match from.rsplit_once('/') {
        Some((folder, _)) if !target.starts_with('/') => format!("{folder}/{target}"),
        _ => target.to_owned(),
    }
}

/// String literals of a script that are names with webpack's content hash: `a.0123456789abcdef.js`.
fn chunk_names(text: &str) -> impl Iterator<Item = &str> {
    text.split(['"', '\'', '`']).filter(|literal| {
        let parts: Vec<&str> = literal.rsplitn(3, '.').collect();
        let is_hash = |part: &str| part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit());
        parts.len() == 3 && is_hash(parts[1]) && !parts[2].contains('/')
    })
}

fn media_type(header: &str) -> &str {
    header.split(';').next().unwrap_or_default().trim()
}

fn expected_type(url: &str) -> &'static str {
    match url.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        _ => panic!("what is {url}?"),
    }
}

#[test]
fn references_are_found_as_browsers_find_them() {
    let page = r#"<link href="/static/a.css"><script src="/static/b.js"></script><a href="/x">"#;
    assert_eq!(attributes(page).collect::<Vec<_>>(), ["/static/b.js", "/static/a.css"]);
    let style = "a{b:url(/c.svg)}d{e:url(\"f.woff2\")}g{h:url(data:x)}";
    assert_eq!(references("/static/a.css", style), ["/c.svg", "/static/f.woff2"]);
    let script = r#"t.u=e=>"add-book.eda2d5fe360578eb.js",x="1.2.3""#;
    assert_eq!(references("/static/a.js", script), ["/static/client/add-book.eda2d5fe360578eb.js"]);
}
