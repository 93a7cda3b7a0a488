//! References of a page. Tags are found as browsers find them, as far as references go: comments,
//! quotes, and elements whose content is text.

use super::{Base, Kind, Reference, Trust, css, resolve, script};

/// What a tag, or the text of a script or a style element, begins with.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Tag { name: String, attributes: Vec<(String, String)> },
    Text { element: String, attributes: Vec<(String, String)>, text: String },
}

/// Elements whose content is text: a `<` in it begins nothing.
const TEXT: [&str; 8] =
    ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

/// The references of a page.
pub(super) fn references(text: &str, base: &Base) -> Vec<Reference> {
    let mut collected = Collected { base: base.clone(), based: false, found: vec![] };
    for token in tokens(text) {
        collected.take(&token);
    }
    collected.found
}

/// The pages of a sitemap. Its host is the one that the app has elsewhere.
pub(super) fn sitemap(text: &str) -> Vec<Reference> {
    let locations = text.split("<loc>").skip(1).filter_map(|rest| rest.split("</loc>").next());
    let path = |location: &str| {
        let location = decoded(location.trim());
        let (_, rest) = location.split_once("://")?;
        let host = rest.split('/').next()?;
        resolve(&Base::new(crate::route::host_name(host), "/"), &location)
    };
    let page = |url| Reference { url, kind: Kind::Page, trust: Trust::Guess };
    locations.filter_map(path).map(page).collect()
}

struct Collected {
    base: Base,
    /// Whether the page has named its base.
    based: bool,
    found: Vec<Reference>,
}

impl Collected {
    fn take(&mut self, token: &Token) {
        match token {
            Token::Tag { name, attributes } => self.tag(name, &Attributes(attributes)),
            Token::Text { element, attributes, text } => match element.as_str() {
                "style" => self.found.extend(css::references(text, &self.base, Trust::Certain)),
                _ => self.inline_script(&Attributes(attributes), text),
            },
        }
    }

    fn tag(&mut self, name: &str, attributes: &Attributes<'_>) {
        let get = |name| attributes.get(name);
        if let Some(style) = get("style") {
            self.found.extend(css::references(style, &self.base, Trust::Certain));
        }
        match name {
            "base" => self.rebase(get("href")),
            "link" => self.link(attributes),
            "script" => self.add(get("src"), Kind::Script, Trust::Certain),
            "img" | "source" | "video" | "audio" | "track" | "embed" | "input" => {
                self.media(name, attributes);
            }
            "object" => self.add_by_name(get("data"), Trust::Certain),
            "use" | "image" => {
                self.add(get("href").or(get("xlink:href")), Kind::Image, Trust::Certain);
            }
            "iframe" => self.add(get("src"), Kind::Page, Trust::Guess),
            "a" | "area" => self.anchor(attributes),
            "meta" => self.meta(attributes),
            _ => {}
        }
    }

    fn rebase(&mut self, href: Option<&str>) {
        if let Some(href) = href.filter(|_| !self.based) {
            self.based = true;
            if let Some(url) = resolve(&self.base, href) {
                self.base = self.base.at(&url);
            }
        }
    }

    fn link(&mut self, attributes: &Attributes<'_>) {
        let href = attributes.get("href");
        let rels = attributes.get("rel").unwrap_or_default().to_ascii_lowercase();
        for rel in rels.split_ascii_whitespace() {
            match rel {
                "stylesheet" => self.add(href, Kind::Style, Trust::Certain),
                "icon" | "apple-touch-icon" | "apple-touch-icon-precomposed" | "mask-icon" => {
                    self.add(href, Kind::Image, Trust::Certain);
                }
                "modulepreload" => self.add(href, Kind::Script, Trust::Certain),
                "preload" | "prefetch" => self.preload(attributes),
                "manifest" => self.add(href, Kind::Manifest, Trust::Certain),
                _ => {}
            }
        }
    }

    fn preload(&mut self, attributes: &Attributes<'_>) {
        let href = attributes.get("href");
        match attributes.get("as") {
            Some("style") => self.add(href, Kind::Style, Trust::Certain),
            Some("script") => self.add(href, Kind::Script, Trust::Certain),
            Some("font") => self.add(href, Kind::Font, Trust::Certain),
            Some("image") => self.add(href, Kind::Image, Trust::Certain),
            // What is fetched that way need not be a file.
            _ => self.add_by_name(href, Trust::Guess),
        }
    }

    fn media(&mut self, name: &str, attributes: &Attributes<'_>) {
        let image = name == "img" || attributes.get("srcset").is_some();
        if name != "input" || attributes.get("type") == Some("image") {
            match attributes.get("src") {
                Some(src) if image || name == "input" => {
                    self.add(Some(src), Kind::Image, Trust::Certain);
                }
                src => self.add_by_name(src, Trust::Certain),
            }
        }
        self.add(attributes.get("poster"), Kind::Image, Trust::Certain);
        for (name, trust) in [("srcset", Trust::Certain), ("data-srcset", Trust::Guess)] {
            for target in srcset(attributes.get(name).unwrap_or_default()) {
                self.add(Some(target), Kind::Image, trust);
            }
        }
        self.add_by_name(attributes.get("data-src"), Trust::Guess);
    }

    /// What a person may open: a page, or a file to be fetched.
    fn anchor(&mut self, attributes: &Attributes<'_>) {
        let rel = attributes.get("rel").unwrap_or_default();
        let Some(url) = attributes.get("href").and_then(|href| resolve(&self.base, href)) else {
            return;
        };
        let is_file = super::looks_static(&url) || attributes.get("download").is_some();
        let kind = if is_file { Kind::of_path(&url) } else { Kind::Page };
        if !rel.split_ascii_whitespace().any(|rel| rel.eq_ignore_ascii_case("nofollow")) {
            self.found.push(Reference { url, kind, trust: Trust::Guess });
        }
    }

    fn meta(&mut self, attributes: &Attributes<'_>) {
        let name = attributes.get("property").or(attributes.get("name")).unwrap_or_default();
        if matches!(name, "og:image" | "twitter:image" | "msapplication-TileImage") {
            self.add(attributes.get("content"), Kind::Image, Trust::Guess);
        }
    }

    fn inline_script(&mut self, attributes: &Attributes<'_>, text: &str) {
        let kind = attributes.get("type").unwrap_or_default();
        match kind {
            "" | "module" | "text/javascript" | "application/javascript" => {
                self.found.extend(script::inline(text, &self.base));
            }
            "importmap" => {
                let map: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
                for target in map["imports"].as_object().into_iter().flat_map(|map| map.values()) {
                    let target = target.as_str().filter(|target| !target.ends_with('/'));
                    self.add(target, Kind::Script, Trust::Certain);
                }
            }
            _ => {}
        }
    }

    fn add(&mut self, target: Option<&str>, kind: Kind, trust: Trust) {
        if let Some(url) = target.and_then(|target| resolve(&self.base, target)) {
            self.found.push(Reference { url, kind, trust });
        }
    }

    fn add_by_name(&mut self, target: Option<&str>, trust: Trust) {
        self.add(target, target.map_or(Kind::Other, Kind::of_path), trust);
    }
}

struct Attributes<'a>(&'a [(String, String)]);

impl Attributes<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The addresses of `a.png 1x, b.png 2x`. One may hold commas, but neither begin nor end with one.
fn srcset(text: &str) -> Vec<&str> {
    let mut found = vec![];
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
        if rest.is_empty() {
            return found;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (target, after) = rest.split_at(end);
        found.push(target.trim_end_matches(','));
        rest = if target.ends_with(',') {
            after
        } else {
            after.find(',').map_or("", |comma| &after[comma..])
        };
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = vec![];
    let mut rest = text;
    while let Some(open) = rest.find('<') {
        rest = &rest[open..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
        } else if rest[1..].starts_with(|c: char| c.is_ascii_alphabetic()) {
            let (name, attributes, after) = tag(&rest[1..]);
            rest = after;
            if TEXT.contains(&name.as_str()) {
                let (text, after) = raw_text(rest, &name);
                rest = after;
                if matches!(name.as_str(), "script" | "style") {
                    let (element, attributes) = (name.clone(), attributes.clone());
                    tokens.push(Token::Text { element, attributes, text: text.to_owned() });
                }
            }
            tokens.push(Token::Tag { name, attributes });
        } else if rest[1..].starts_with(['!', '?', '/']) {
            rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        } else {
            rest = &rest[1..];
        }
    }
    tokens
}

/// The text up to the end tag, and what follows.
fn raw_text<'a>(rest: &'a str, name: &str) -> (&'a str, &'a str) {
    let end = rest.match_indices("</").map(|(at, _)| at).find(|at| {
        let after = rest.as_bytes().get(at + 2..at + 2 + name.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes()))
    });
    end.map_or((rest, ""), |end| rest.split_at(end))
}

/// A tag from its name on: its name, its attributes, and what follows it.
fn tag(text: &str) -> (String, Vec<(String, String)>, &str) {
    let ends_name = |c: char| c.is_whitespace() || matches!(c, '/' | '>');
    let end = text.find(ends_name).unwrap_or(text.len());
    let name = text[..end].to_ascii_lowercase();
    let mut attributes = vec![];
    let mut rest = &text[end..];
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (name, attributes, after);
        }
        if rest.is_empty() {
            return (name, attributes, rest);
        }
        let (attribute, after) = attribute(rest);
        attributes.push(attribute);
        rest = after;
    }
}

fn attribute(rest: &str) -> ((String, String), &str) {
    // A name may begin with `=`, so that there is always one.
    let skip = rest.chars().next().map_or(0, char::len_utf8);
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '>' | '=');
    let end = rest[skip..].find(ends).map_or(rest.len(), |end| end + skip);
    let name = rest[..end].to_ascii_lowercase();
    let Some(value) = rest[end..].trim_start().strip_prefix('=') else {
        return ((name, String::new()), &rest[end..]);
    };
    let value = value.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (value, after) = if let Some(quote) = quote {
        value[1..].split_once(quote).unwrap_or((&value[1..], ""))
    } else {
        let end = value.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(value.len());
        value.split_at(end)
    };
    ((name, decoded(value)), after)
}

/// With the character references that addresses have.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.find(';').filter(|end| *end <= 8);
        let known = end.and_then(|end| Some((character(&rest[1..end])?, end)));
        if let Some((c, end)) = known {
            out.push(c);
            rest = &rest[end + 1..];
        } else {
            out.push('&');
            rest = &rest[1..];
        }
    }
    out + rest
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        name => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
    }
}
