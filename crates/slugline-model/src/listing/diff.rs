//! How two slugs differ: files, bytes, folders, packages and process types.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Item, Listing, shown};
use crate::build::TreeSize;
use crate::parts::{self, Growth};
use crate::size;

/// How many lines of changed paths are worth reading; more of them are told by folder.
const LINES: usize = 20;

/// How two slugs differ.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// Paths that only the later one has.
    pub added: Vec<Change>,
    /// Paths that are another thing in the later one: other content, another mode, another target.
    pub changed: Vec<Change>,
    /// Paths that only the earlier one has.
    pub removed: Vec<Change>,
    /// Packages, runtimes and folders that grew, those that grew most first.
    pub grown: Vec<Growth>,
    /// Process types that came, went, or have another command.
    pub process_types: Vec<ProcessTypeChange>,
    /// All files of the earlier one.
    pub before: TreeSize,
    /// All files of the later one.
    pub after: TreeSize,
}

/// A path that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The path.
    pub path: String,
    /// Its size before (bytes); none where it was no file.
    pub before: Option<u64>,
    /// Its size now (bytes); none where it is no file.
    pub after: Option<u64>,
}

/// A process type that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessTypeChange {
    /// `web`.
    pub process_type: String,
    /// The command before.
    pub before: Option<String>,
    /// The command now.
    pub after: Option<String>,
}

/// What changed in one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderChange {
    /// `client/build/`, or a file's own path.
    pub path: String,
    /// Files added below it.
    pub added: u64,
    /// Files changed below it.
    pub changed: u64,
    /// Files removed below it.
    pub removed: u64,
    /// Bytes more, or less.
    pub bytes: i64,
}

/// How a later slug differs from an earlier one. Directories count only by what is in them.
pub fn diff(before: &Listing, after: &Listing) -> Diff {
    let mut diff = Diff {
        grown: parts::growth(&parts_of(before), &parts_of(after)),
        process_types: process_types(before, after),
        before: total(before),
        after: total(after),
        ..Diff::default()
    };
    let paths: BTreeSet<&Vec<u8>> = before.items.keys().chain(after.items.keys()).collect();
    for path in paths {
        let (old, new) = (thing(before, path), thing(after, path));
        let change = || Change {
            path: shown(path),
            before: old.and_then(file_size),
            after: new.and_then(file_size),
        };
        match (old, new) {
            (None, Some(_)) => diff.added.push(change()),
            (Some(_), None) => diff.removed.push(change()),
            (Some(old), Some(new)) if old != new => diff.changed.push(change()),
            _ => {}
        }
    }
    diff
}

fn thing<'a>(listing: &'a Listing, path: &Vec<u8>) -> Option<&'a Item> {
    listing.items.get(path).filter(|item| **item != Item::Directory)
}

fn file_size(item: &Item) -> Option<u64> {
    if let Item::File { size, .. } = item { Some(*size) } else { None }
}

fn files(listing: &Listing) -> impl Iterator<Item = (&Vec<u8>, u64)> {
    listing.items.iter().filter_map(|(path, item)| Some((path, file_size(item)?)))
}

fn parts_of(listing: &Listing) -> Vec<parts::Part> {
    let files: Vec<(String, u64)> =
        files(listing).map(|(path, size)| (shown(path), size)).collect();
    parts::parts(files.iter().map(|(path, size)| (path.as_str(), *size)))
}

fn total(listing: &Listing) -> TreeSize {
    files(listing).fold(TreeSize::default(), |size, (_, bytes)| TreeSize {
        files: size.files + 1,
        bytes: size.bytes + bytes,
    })
}

fn process_types(before: &Listing, after: &Listing) -> Vec<ProcessTypeChange> {
    let (old, new) = (&before.process_types, &after.process_types);
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let differing = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    differing
        .map(|name| ProcessTypeChange {
            process_type: name.to_string(),
            before: old.get(name).cloned(),
            after: new.get(name).cloned(),
        })
        .collect()
}

impl Diff {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        [&self.added, &self.changed, &self.removed].iter().all(|changes| changes.is_empty())
            && self.process_types.is_empty()
    }
}

/// The changes by folder: as deep as the number of lines allows, and at least by top-level folder.
pub fn folders(diff: &Diff, lines: usize) -> Vec<FolderChange> {
    let deepest = all(diff).map(|(change, _)| change.path.matches('/').count()).max().unwrap_or(0);
    let at = |depth: usize| by_folder(diff, depth);
    let fitting = (1..=deepest).rev().map(at).find(|folders| folders.len() <= lines);
    fitting.unwrap_or_else(|| at(1))
}

/// Each change with what became of its path.
fn all(diff: &Diff) -> impl Iterator<Item = (&Change, Became)> {
    let added = diff.added.iter().map(|change| (change, Became::Added));
    let changed = diff.changed.iter().map(|change| (change, Became::Changed));
    added.chain(changed).chain(diff.removed.iter().map(|change| (change, Became::Removed)))
}

#[derive(Debug, Clone, Copy)]
enum Became {
    Added,
    Changed,
    Removed,
}

fn by_folder(diff: &Diff, depth: usize) -> Vec<FolderChange> {
    let mut folders: BTreeMap<&str, FolderChange> = BTreeMap::new();
    for (change, became) in all(diff) {
        let end = change.path.match_indices('/').nth(depth - 1).map(|(at, _)| at + 1);
        let path = &change.path[..end.unwrap_or(change.path.len())];
        let folder = folders.entry(path).or_default();
        match became {
            Became::Added => folder.added += 1,
            Became::Changed => folder.changed += 1,
            Became::Removed => folder.removed += 1,
        }
        folder.bytes += more(change);
    }
    let named =
        folders.into_iter().map(|(path, folder)| FolderChange { path: path.into(), ..folder });
    named.collect()
}

fn more(change: &Change) -> i64 {
    let bytes = |size: Option<u64>| i64::try_from(size.unwrap_or(0)).unwrap_or(i64::MAX);
    bytes(change.after) - bytes(change.before)
}

/// The lines that people read.
pub fn describe(diff: &Diff) -> Vec<String> {
    if diff.is_empty() {
        return vec!["No file differs, and no process type.".to_owned()];
    }
    let mut lines = Vec::new();
    let paths = diff.added.len() + diff.changed.len() + diff.removed.len();
    if paths <= LINES {
        lines.extend(all(diff).map(|(change, became)| path_line(change, became)));
    } else {
        lines.extend(shown_folders(&folders(diff, LINES)));
    }
    section(&mut lines, "Grew:", parts::describe_growth(&diff.grown));
    section(
        &mut lines,
        "Process types:",
        diff.process_types.iter().flat_map(command_lines).collect(),
    );
    lines.push(total_line(diff));
    lines
}

fn path_line(change: &Change, became: Became) -> String {
    let mark = match became {
        Became::Added => 'A',
        Became::Changed => 'M',
        Became::Removed => 'D',
    };
    format!("{mark} {:>8}  {}", signed(more(change)), change.path)
}

/// Those where most happened, where even the top level has more than can be read.
fn shown_folders(folders: &[FolderChange]) -> Vec<String> {
    let mut most: Vec<&FolderChange> = folders.iter().collect();
    most.sort_by_key(|folder| std::cmp::Reverse(folder.added + folder.changed + folder.removed));
    let hidden = most.len().saturating_sub(LINES);
    most.truncate(LINES);
    most.sort_by(|a, b| a.path.cmp(&b.path));
    let mut lines: Vec<String> = most.into_iter().map(folder_line).collect();
    if hidden > 0 {
        lines.push(format!(
            "{:>10}  and {} other paths (--json has all)",
            "",
            size::count(hidden as u64)
        ));
    }
    lines
}

fn folder_line(folder: &FolderChange) -> String {
    let counts =
        [("added", folder.added), ("changed", folder.changed), ("removed", folder.removed)];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{} {what}", size::count(*count)))
        .collect();
    format!("{:>10}  {}  {}", signed(folder.bytes), folder.path, counts.join(", "))
}

fn command_lines(change: &ProcessTypeChange) -> Vec<String> {
    let line = |sign: char, command: &Option<String>| {
        command.as_ref().map(|command| format!("{sign} {}: {command}", change.process_type))
    };
    line('-', &change.before).into_iter().chain(line('+', &change.after)).collect()
}

fn total_line(diff: &Diff) -> String {
    let (before, after) = (diff.before, diff.after);
    let bytes = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    format!(
        "{} added, {} changed, {} removed; {}, {} ({})",
        size::files(diff.added.len() as u64),
        size::count(diff.changed.len() as u64),
        size::count(diff.removed.len() as u64),
        size::files(after.files),
        size::human(after.bytes),
        signed(bytes(after.bytes) - bytes(before.bytes)),
    )
}

fn section(lines: &mut Vec<String>, title: &str, below: Vec<String>) {
    if !below.is_empty() {
        lines.push(title.to_owned());
        lines.extend(below.into_iter().map(|line| format!("  {line}")));
    }
}

fn signed(bytes: i64) -> String {
    let sign = if bytes < 0 { '-' } else { '+' };
    format!("{sign}{}", size::human(bytes.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::super::samples::listing;
    use super::*;

    #[test]
    fn files_that_came_went_and_changed_are_told_with_their_bytes() {
        let before = listing(&[("a/same", 5), ("a/changed", 10), ("gone", 7)]);
        let mut after = listing(&[("a/same", 5), ("a/changed", 2_010), ("b/new", 3)]);
        after.process_types.insert("web".parse().unwrap(), "serve".into());
        let diff = diff(&before, &after);
        let paths = |changes: &[Change]| -> Vec<String> {
            changes.iter().map(|change| change.path.clone()).collect()
        };
        assert_eq!(paths(&diff.added), ["b/new"]);
        assert_eq!(paths(&diff.changed), ["a/changed"]);
        assert_eq!(paths(&diff.removed), ["gone"]);
        assert_eq!((diff.before.bytes, diff.after.bytes), (22, 2_018));
        assert_eq!(
            describe(&diff),
            [
                "A      +3B  b/new",
                "M     +2kB  a/changed",
                "D      -7B  gone",
                "Process types:",
                "  + web: serve",
                "1 file added, 1 changed, 1 removed; 3 files, 2kB (+1kB)",
            ]
        );
    }

    #[test]
    fn a_mode_a_target_and_a_kind_are_changes_and_equal_slugs_have_none() {
        let before = listing(&[("run", 5), ("dir/x", 1)]);
        let mut after = before.clone();
        assert!(diff(&before, &after).is_empty());
        assert_eq!(describe(&diff(&before, &after)).len(), 1);
        let Some(Item::File { executable, .. }) = after.items.get_mut(&b"run"[..]) else {
            panic!()
        };
        *executable = true;
        after.items.insert(b"dir/x".to_vec(), Item::Symlink { target: b"../run".to_vec() });
        let found = diff(&before, &after);
        assert_eq!(found.changed.len(), 2);
        assert_eq!((found.changed[0].before, found.changed[0].after), (Some(1), None));
        assert_eq!((found.added.len(), found.removed.len()), (0, 0));
    }

    #[test]
    fn many_changes_are_told_by_folder_as_deep_as_fits() {
        let names: Vec<String> =
            (0..600).map(|n| format!("node_modules/p{}/d{}/{n}.js", n % 3, n % 50)).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1_000)).collect();
        let found = diff(&listing(&[]), &listing(&files));
        let folders = folders(&found, 20);
        let paths: Vec<&str> = folders.iter().map(|folder| folder.path.as_str()).collect();
        assert_eq!(paths, ["node_modules/p0/", "node_modules/p1/", "node_modules/p2/"]);
        assert_eq!((folders[0].added, folders[0].bytes), (200, 200_000));
        let lines = describe(&found);
        assert_eq!(lines[0], "    +200kB  node_modules/p0/  200 added");
        assert!(lines.iter().any(|line| line.ends_with("node_modules/p0 (new)")), "{lines:?}");
    }

    #[test]
    fn more_top_level_paths_than_can_be_read_are_counted() {
        let names: Vec<String> = (0..100).map(|n| format!("file{n:03}")).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let lines = describe(&diff(&listing(&[]), &listing(&files)));
        assert_eq!(lines.len(), 22);
        assert!(lines[20].contains("and 80 other paths"), "{lines:?}");
    }
}
