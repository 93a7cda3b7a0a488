//! References of lists of files: webpack's and Vite's manifests, and those of web apps.

use serde_json::Value;

use super::{Base, Kind, Reference, Trust, looks_static, resolve};

/// The largest list that is read (bytes).
const LARGEST: usize = 4 << 20;

/// What of Vite's entries is served; its `src` is the source's own name.
const SERVED: [&str; 3] = ["file", "css", "assets"];

/// The references of a list.
pub(super) fn references(text: &str, base: &Base) -> Vec<Reference> {
    if text.len() > LARGEST {
        return vec![];
    }
    let list: Value = serde_json::from_str(text).unwrap_or_default();
    let mut names = vec![];
    collect(&list, &mut names);
    // Vite's lies in a directory beside what it lists.
    let directory = base.directory();
    let base = base.at(directory.strip_suffix(".vite/").unwrap_or(directory));
    names.into_iter().filter_map(|name| reference(name, &base)).collect()
}

fn reference(name: &str, base: &Base) -> Option<Reference> {
    let url = resolve(base, name)?;
    let kind = Kind::of_path(&url);
    // Others are often left out on purpose.
    let listed = matches!(kind, Kind::Style | Kind::Script);
    Some(Reference { url, kind, trust: if listed { Trust::Listed } else { Trust::Guess } })
}

fn collect<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::String(name) if looks_static(name) && !name.contains(' ') => names.push(name),
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(fields) if fields.get("file").is_some_and(Value::is_string) => {
            for field in SERVED.iter().filter_map(|name| fields.get(*name)) {
                collect(field, names);
            }
        }
        Value::Object(fields) => fields.values().for_each(|field| collect(field, names)),
        _ => {}
    }
}

/// Where lists of files usually lie, seen from a script: beside it, and at the top.
pub(super) fn places(script: &Base) -> Vec<Reference> {
    const NAMES: [&str; 4] =
        ["asset-manifest.json", "webpack-manifest.json", "manifest.json", ".vite/manifest.json"];
    let directory = script.directory();
    // Vite's scripts lie in a directory below its list.
    let above = directory.trim_end_matches('/').rfind('/').map_or("/", |at| &directory[..=at]);
    let mut places: Vec<String> = [directory, above, "/"]
        .into_iter()
        .flat_map(|place| NAMES.into_iter().map(move |name| format!("{place}{name}")))
        .collect();
    places.sort();
    places.dedup();
    let place = |url| Reference { url, kind: Kind::Manifest, trust: Trust::Guess };
    places.into_iter().map(place).collect()
}
