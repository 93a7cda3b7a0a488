//! What a slug is made of: packages, runtimes, folders and big files, and which of them grew.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::build::TreeSize;
use crate::size;

/// A file of at least this size is a part of its own (bytes).
pub const BIG_FILE: u64 = 1_000_000;

/// A part below this is not worth a line of a build's output (bytes).
pub const WORTH_A_LINE: u64 = 100_000;

/// How many parts of a slug are kept for the comparison with the next build.
pub const KEPT: usize = 500;

/// How many parts are shown.
pub const SHOWN: usize = 10;

/// Folders that hold one package an entry.
pub(crate) const SHELVES: [&str; 4] = ["site-packages", "dist-packages", "node_modules", "gems"];

/// The root, for its files that are not big.
const ROOT: &str = "./";

/// A part of a slug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its path: `client/node_modules/webpack`, `.heroku/node`, `media/tour.mp4`.
    pub name: String,
    /// How much lies there.
    #[serde(flatten)]
    pub size: TreeSize,
}

/// A part that is larger than it was in the build before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Growth {
    /// The part's path.
    pub name: String,
    /// In the build before; 0 for a part that is new (bytes).
    pub before: u64,
    /// Now (bytes).
    pub after: u64,
}

/// The part that a file belongs to, by the file's path and size (bytes).
pub fn part_of(path: &str, bytes: u64) -> &str {
    if let Some(end) = package_end(path).or_else(|| runtime_end(path)) {
        return &path[..end];
    }
    if bytes >= BIG_FILE {
        return path;
    }
    match path.rmatch_indices('/').map(|(at, _)| at).collect::<Vec<_>>().as_slice() {
        [] => ROOT,
        [only] => &path[..*only],
        [.., second, _] => &path[..*second],
    }
}

/// Where the name of the outermost package ends that a path lies in.
fn package_end(path: &str) -> Option<usize> {
    let shelf = segments(path).find(|(_, name)| SHELVES.contains(name))?;
    let below = shelf.0 + shelf.1.len() + 1;
    let mut package = segments(path.get(below..)?);
    let (_, first) = package.next()?;
    let scope = if first.starts_with('@') { package.next() } else { None };
    Some(below + scope.map_or(first.len(), |(at, name)| at + name.len()))
}

/// Runtimes are put below `.heroku`, by the buildpacks' convention.
fn runtime_end(path: &str) -> Option<usize> {
    let rest = path.strip_prefix(".heroku/")?;
    let depth = if rest.starts_with("vendor/") { 2 } else { 1 };
    let end = rest.match_indices('/').nth(depth - 1).map_or(rest.len(), |(at, _)| at);
    Some(".heroku/".len() + end)
}

/// Each segment of a path with where it starts.
fn segments(path: &str) -> impl Iterator<Item = (usize, &str)> {
    path.split('/').scan(0, |at, name| {
        let start = *at;
        *at += name.len() + 1;
        Some((start, name))
    })
}

/// The parts of a tree, the biggest first, from the path and the size (bytes) of each file.
pub fn parts<'a>(files: impl Iterator<Item = (&'a str, u64)>) -> Vec<Part> {
    let mut sizes: HashMap<&str, TreeSize> = HashMap::new();
    for (path, bytes) in files {
        let size = sizes.entry(part_of(path, bytes)).or_default();
        size.files += 1;
        size.bytes += bytes;
    }
    let part = |(name, size): (&str, TreeSize)| Part { name: name.to_owned(), size };
    let mut parts: Vec<Part> = sizes.into_iter().map(part).collect();
    parts.sort_by(|a, b| b.size.bytes.cmp(&a.size.bytes).then_with(|| a.name.cmp(&b.name)));
    parts.truncate(KEPT);
    parts
}

/// The parts that grew, those that grew most first. Both lists come from [`parts`].
pub fn growth(before: &[Part], after: &[Part]) -> Vec<Growth> {
    // What is not on a list that was cut may have been just too small for it.
    let cut = before.get(KEPT - 1).map_or(0, |smallest| smallest.size.bytes);
    let old: HashMap<&str, u64> =
        before.iter().map(|part| (part.name.as_str(), part.size.bytes)).collect();
    let mut grown: Vec<Growth> = after
        .iter()
        .map(|part| {
            let before = old.get(part.name.as_str()).copied();
            Growth { name: part.name.clone(), before: before.unwrap_or(0), after: part.size.bytes }
        })
        .filter(|growth| growth.after > growth.before.max(if growth.before == 0 { cut } else { 0 }))
        .collect();
    grown.sort_by_key(|growth| std::cmp::Reverse(growth.after - growth.before));
    grown
}

/// The lines that name the biggest parts; none where all are small.
pub fn describe_biggest(parts: &[Part]) -> Vec<String> {
    let shown = parts.iter().filter(|part| part.size.bytes >= WORTH_A_LINE).take(SHOWN);
    shown
        .map(|part| {
            let bytes = size::human(part.size.bytes);
            let files = match part.size.files {
                1 => String::new(),
                files => format!(", {}", size::files(files)),
            };
            format!("{bytes:>7}  {}{files}", part.name)
        })
        .collect()
}

/// The lines that name what grew; none where little did.
pub fn describe_growth(growth: &[Growth]) -> Vec<String> {
    let shown =
        growth.iter().filter(|growth| growth.after - growth.before >= WORTH_A_LINE).take(SHOWN);
    shown
        .map(|growth| {
            let more = format!("+{}", size::human(growth.after - growth.before));
            let before = match growth.before {
                0 => "new".to_owned(),
                before => {
                    format!("{} before, {} now", size::human(before), size::human(growth.after))
                }
            };
            format!("{more:>8}  {} ({before})", growth.name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_package_runtime_or_folder() {
        let django = ".heroku/python/lib/python3.12/site-packages/django";
        for (path, part) in [
            (format!("{django}/db/models/base.py"), django),
            ("client/node_modules/@babel/core/lib/a.js".into(), "client/node_modules/@babel/core"),
            ("node_modules/a/node_modules/b/c.js".into(), "node_modules/a"),
            (".heroku/python/bin/python3".into(), ".heroku/python"),
            (".heroku/vendor/node/bin/node".into(), ".heroku/vendor/node"),
            ("client/build/static/js/a.js".into(), "client/build"),
            ("client/index.html".into(), "client"),
            ("manage.py".into(), "./"),
            (".heroku/x".into(), ".heroku/x"),
            ("node_modules/.package-lock.json".into(), "node_modules/.package-lock.json"),
            ("a/node_modules".into(), "a"),
        ] {
            assert_eq!(part_of(&path, 5), part, "{path}");
        }
        assert_eq!(part_of("media/2024/tour.mp4", BIG_FILE), "media/2024/tour.mp4");
    }

    fn of(files: &[(&str, u64)]) -> Vec<Part> {
        parts(files.iter().copied())
    }

    #[test]
    fn the_biggest_come_first_and_small_ones_get_no_line() {
        let parts = of(&[("a/x", 60_000), ("a/y", 60_000), ("tour.mp4", 5_000_000), ("b/z", 10)]);
        assert_eq!(
            parts.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(),
            ["tour.mp4", "a", "b"]
        );
        assert_eq!(describe_biggest(&parts), ["  5.0MB  tour.mp4", "  120kB  a, 2 files"]);
    }

    #[test]
    fn what_is_new_and_what_grew_is_named() {
        let before = of(&[("a/x", 60_000), ("tour.mp4", 5_000_000), ("gone/z", 900_000)]);
        let after = of(&[("a/x", 260_000), ("tour.mp4", 5_000_000), ("new/z", 900_000)]);
        let growth = growth(&before, &after);
        assert_eq!(
            describe_growth(&growth),
            ["  +900kB  new (new)", "  +200kB  a (60kB before, 260kB now)"]
        );
    }

    #[test]
    fn what_a_cut_list_may_have_left_out_is_not_called_new() {
        let names: Vec<String> = (0..=KEPT).map(|number| format!("d{number:04}/x")).collect();
        let many: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 200_000)).collect();
        let before = of(&many);
        assert_eq!(before.len(), KEPT);
        assert_eq!(growth(&before, &of(&many[1..])), []);
    }
}
