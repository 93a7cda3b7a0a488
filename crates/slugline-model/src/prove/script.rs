//! References of a script: names of files in it, the map of its source, and the maps by which
//! webpack finds the chunks that it loads later. Scripts are not run and not parsed: what is found
//! has the form of an address, and what only may be one is a guess.

use std::collections::BTreeMap;

use super::{Base, Kind, Reference, Trust, looks_static, resolve};
use crate::bridge::has_hash;

/// The longest name that is taken for one (bytes).
const LONGEST: usize = 300;

/// Chunks of one map that are looked at.
const CHUNKS: usize = 2_000;

/// The references of a script file.
pub(super) fn references(text: &str, base: &Base) -> Vec<Reference> {
    let public = public_path(text, base);
    let mut found = chunks(text, base, public.as_deref());
    for name in literals(text) {
        found.extend(literal(name, text, base, public.as_deref()));
    }
    found.extend(source_map(text, base));
    found
}

/// The references of a script that stands in a page.
pub(super) fn inline(text: &str, base: &Base) -> Vec<Reference> {
    literals(text)
        .filter_map(|(_, name)| guess(name, base))
        .chain(chunks(text, base, public_path(text, base).as_deref()))
        .collect()
}

fn guess(name: &str, base: &Base) -> Option<Reference> {
    let url = resolve(base, name)?;
    Some(Reference { kind: Kind::of_path(&url), url, trust: Trust::Guess })
}

/// A name in quotes, at this place of the text.
fn literal(
    (at, name): (usize, &str),
    text: &str,
    base: &Base,
    public: Option<&str>,
) -> Vec<Reference> {
    let mut found: Vec<Reference> = guess(name, base).into_iter().collect();
    let before = text[..at - 1].trim_end();
    let imported = ["import(", "import", "from"].iter().any(|word| before.ends_with(word));
    if imported && (name.starts_with('.') || name.starts_with('/')) && has_hash(name) {
        for reference in &mut found {
            reference.trust = Trust::Certain;
        }
    }
    if let Some(public) = public.filter(|_| !name.starts_with(['.', '/'])) {
        // `.u=e=>"chunk.0123.js"`: webpack's only chunk, which needs no map.
        let only = before.ends_with("=>") && before.contains(".u=") && {
            let tail = &before[before.rfind(".u=").unwrap_or_default()..];
            tail.len() < 16
        };
        let trust = if only { Trust::Certain } else { Trust::Guess };
        found.extend(guess(&format!("{public}{name}"), base).map(|r| Reference { trust, ..r }));
    } else if !name.contains(':') && !name.starts_with(['.', '/']) {
        // Vite names what it loads from the top.
        found.extend(guess(&format!("/{name}"), base));
    }
    found
}

/// Texts in quotes that look like names of static files, each with its place.
fn literals(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bytes = text.as_bytes();
    let quotes = bytes.iter().enumerate().filter(|(_, byte)| matches!(byte, b'"' | b'\'' | b'`'));
    quotes.filter_map(move |(at, quote)| {
        let rest = &bytes[at + 1..];
        let length = rest.iter().take(LONGEST).position(|byte| !is_of_name(*byte))?;
        let name = text.get(at + 1..at + 1 + length)?;
        let whole = rest[length] == *quote && !name.starts_with("//");
        (whole && looks_static(name) && stem(name) > 0).then_some((at + 1, name))
    })
}

/// How long the name is before its extension.
fn stem(name: &str) -> usize {
    let name = name.rsplit('/').next().unwrap_or_default();
    name.rfind('.').unwrap_or(0)
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./@~%+-?=&:,".contains(&byte)
}

fn source_map(text: &str, base: &Base) -> Option<Reference> {
    let (_, rest) = text.rsplit_once("//# sourceMappingURL=")?;
    let url = resolve(base, rest.split_whitespace().next()?)?;
    Some(Reference { url, kind: Kind::Map, trust: Trust::Guess })
}

/// Where webpack's chunks are: as its configuration says, or beside the script.
fn public_path(text: &str, base: &Base) -> Option<String> {
    let mut relative = None;
    for (at, _) in text.match_indices(".p=") {
        let rest = &text[at + 3..];
        if let Some(path) = quoted(rest)
            && (path.starts_with('/') || path.starts_with("http"))
            && path.ends_with('/')
        {
            return Some(path.to_owned());
        }
        let ident = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        relative = ident.strip_prefix('+').and_then(quoted).or(relative);
    }
    let finds_itself = text.contains("Automatic publicPath is not supported");
    finds_itself.then(|| format!("{}{}", base.directory(), relative.unwrap_or_default()))
}

/// The text of the quotes that a text begins with.
fn quoted(text: &str) -> Option<&str> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let rest = &text[1..];
    rest.split_once(quote).map(|(text, _)| text).filter(|text| text.len() < LONGEST)
}

/// A part of a chunk's name.
#[derive(Debug, PartialEq, Eq)]
enum Term<'a> {
    Text(&'a str),
    /// The chunk's number or name.
    Id,
    /// What a map has for it.
    Map(BTreeMap<&'a str, &'a str>),
    /// The same, or the number or name itself.
    MapOrId(BTreeMap<&'a str, &'a str>),
}

/// The chunks of `"js/"+e+"."+{1:"0a1b",2:"2c3d"}[e]+".chunk.js"` and its kin.
fn chunks(text: &str, base: &Base, public: Option<&str>) -> Vec<Reference> {
    let mut found = vec![];
    for end in [".js", ".mjs", ".css"] {
        for quote in ['"', '\'', '`'] {
            for (at, ending) in text.match_indices(&format!("{end}{quote}")) {
                let terms = expression(&text[..at + ending.len()]);
                for name in names(&terms).into_iter().take(CHUNKS) {
                    found.extend(chunk(&name, base, public));
                }
            }
        }
    }
    found
}

/// Where it is not known which directory it lies in, each likely one is a guess.
fn chunk(name: &str, base: &Base, public: Option<&str>) -> Vec<Reference> {
    let at = |place: &str, trust| {
        guess(&format!("{place}{name}"), base).map(|found| Reference { trust, ..found })
    };
    match public {
        Some(public) => at(public, Trust::Certain).into_iter().collect(),
        None => ["/", base.directory()].iter().filter_map(|p| at(p, Trust::Guess)).collect(),
    }
}

/// Every name that the parts make; none where there is no map.
fn names(terms: &[Term<'_>]) -> Vec<String> {
    let maps = || {
        terms.iter().filter_map(|term| match term {
            Term::Map(map) => Some((0, map)),
            Term::MapOrId(map) => Some((1, map)),
            _ => None,
        })
    };
    let Some((_, ids)) = maps().min_by_key(|(rank, _)| *rank) else { return vec![] };
    let name = |id: &str| {
        let part = |term: &Term<'_>| match term {
            Term::Text(text) => Some((*text).to_owned()),
            Term::Id => Some(id.to_owned()),
            Term::Map(map) => map.get(id).map(|text| (*text).to_owned()),
            Term::MapOrId(map) => Some(map.get(id).copied().unwrap_or(id).to_owned()),
        };
        terms.iter().map(part).collect::<Option<String>>()
    };
    ids.keys().filter_map(|id| name(id)).collect()
}

/// The parts of the sum that a text ends with.
fn expression(text: &str) -> Vec<Term<'_>> {
    let mut terms = vec![];
    let mut rest = text;
    while let Some((term, before)) = last_term(rest.trim_end()) {
        terms.push(term);
        match before.trim_end().strip_suffix('+') {
            Some(before) if terms.len() < 12 => rest = before,
            _ => break,
        }
    }
    terms.reverse();
    terms
}

/// The last part of a sum, and what stands before it.
fn last_term(text: &str) -> Option<(Term<'_>, &str)> {
    match text.chars().next_back()? {
        quote @ ('"' | '\'' | '`') => {
            let inner = &text[..text.len() - 1];
            let open = inner.rfind(quote)?;
            let sound = inner.len() - open <= LONGEST && !inner[open..].contains(['\n', '\\', '$']);
            sound.then(|| (Term::Text(&inner[open + 1..]), &inner[..open]))
        }
        ']' => {
            let before = looked_up(text)?;
            let (map, before) = last_map(before)?;
            Some((Term::Map(map), before))
        }
        ')' => {
            let inner = text[..text.len() - 1].trim_end();
            // `({…}[e]||e)`
            let end = inner.trim_end_matches(is_ident);
            let before = looked_up(end.trim_end().strip_suffix("||")?.trim_end())?;
            let (map, before) = last_map(before)?;
            Some((Term::MapOrId(map), before.trim_end().strip_suffix('(')?))
        }
        c if is_ident(c) => {
            let before = text.trim_end_matches(is_ident);
            // `r.p+…`: where all chunks lie, which is known.
            (!before.ends_with('.')).then_some((Term::Id, before))
        }
        _ => None,
    }
}

fn is_ident(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '$')
}

/// What stands before `[e]`.
fn looked_up(text: &str) -> Option<&str> {
    let inner = text.strip_suffix(']')?;
    let before = inner.trim_end_matches(is_ident);
    (before.len() < inner.len()).then(|| before.strip_suffix('[')).flatten()
}

/// The map that a text ends with, `{1:"0a1b"}` or `({1:"0a1b"})`, and what stands before it.
fn last_map(text: &str) -> Option<(BTreeMap<&str, &str>, &str)> {
    let text = text.trim_end();
    let bare = text.strip_suffix(')').map(str::trim_end);
    let inner = bare.unwrap_or(text).strip_suffix('}')?;
    let open = inner.rfind('{')?;
    let before = inner[..open].trim_end();
    let before = if bare.is_some() { before.strip_suffix('(')? } else { before };
    let mut map = BTreeMap::new();
    for field in inner[open + 1..].split(',').map(str::trim).filter(|field| !field.is_empty()) {
        let (id, value) = field.split_once(':')?;
        map.insert(id.trim().trim_matches(['"', '\'']), quoted(value.trim())?);
    }
    Some((map, before))
}
