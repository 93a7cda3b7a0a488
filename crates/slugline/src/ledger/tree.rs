//! A ledger or a receipt as a tree: what holds most comes first.

use std::collections::BTreeMap;

use slugline_model::ledger::{Change, ChangeKind, Class, Receipt, Tally};
use slugline_model::logline::timestamp;
use slugline_model::size;

/// How much of a ledger is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// So many entries of each directory.
    pub(super) entries: usize,
}

impl Depth {
    pub(super) const SHORT: Self = Self { entries: 8 };
    pub(super) const ALL: Self = Self { entries: usize::MAX };
}

/// A directory or a file.
#[derive(Debug, Default)]
struct Node<'a> {
    tally: Tally,
    below: BTreeMap<&'a str, Node<'a>>,
    file: Option<&'a Change>,
    class: Class,
}

/// The lines of a ledger.
pub(super) fn lines(ledger: &Receipt, depth: Depth) -> Vec<String> {
    let mut root = Node::default();
    for change in &ledger.largest {
        root.take(&split(&change.path), change);
    }
    // All files are counted there, and only the largest are listed one by one.
    for (name, group) in &ledger.groups {
        let node = root.below.entry(name).or_default();
        (node.tally, node.class) = (group.tally, group.class);
    }
    root.tally = ledger.content;
    let mut lines = vec![];
    root.write(0, depth, &mut lines);
    lines
}

/// `media/`, `covers/`, `a.png`; outside of the app `/srv/`, `a`. As the ledger groups them.
fn split(path: &str) -> Vec<&str> {
    let (rest, first) = match path.strip_prefix("/app/") {
        Some(rest) => (rest, 0),
        // The first name keeps its slash before it.
        None => (path, 1),
    };
    let mut parts = vec![];
    let (mut start, mut from) = (0, first);
    while let Some(at) = rest.get(from..).and_then(|rest| rest.find('/')) {
        parts.push(&rest[start..=from + at]);
        (start, from) = (from + at + 1, from + at + 1);
    }
    parts.push(&rest[start..]);
    parts
}

impl<'a> Node<'a> {
    fn take(&mut self, parts: &[&'a str], change: &'a Change) {
        self.tally.files += 1;
        self.tally.bytes += change.bytes;
        match parts {
            [] => (self.file, self.class) = (Some(change), change.class),
            [name, rest @ ..] => self.below.entry(name).or_default().take(rest, change),
        }
    }

    fn write(&self, level: usize, depth: Depth, lines: &mut Vec<String>) {
        let mut below: Vec<(&&str, &Node<'_>)> = self.below.iter().collect();
        below.sort_by(|a, b| b.1.tally.bytes.cmp(&a.1.tally.bytes).then_with(|| a.0.cmp(b.0)));
        let mut rest = self.tally;
        for (name, node) in below.into_iter().take(depth.entries) {
            rest.files = rest.files.saturating_sub(node.tally.files);
            rest.bytes = rest.bytes.saturating_sub(node.tally.bytes);
            node.write_named(name, level, depth, lines);
        }
        if rest.files > 0 {
            let more = format!("and {} more", size::files(rest.files));
            lines.push(row(rest.bytes, "", level, &more, None));
        }
    }

    /// A directory of one entry stands in a line with it.
    fn write_named(&self, name: &str, level: usize, depth: Depth, lines: &mut Vec<String>) {
        let class = (level == 0).then_some(self.class);
        let (mut name, mut node) = (shown(name), self);
        while let Some((below, only)) = node.only() {
            name.push_str(&shown(below));
            node = only;
        }
        let Some(file) = node.file else {
            let files = size::files(self.tally.files);
            lines.push(row(self.tally.bytes, &files, level, &name, class));
            return node.write(level + 1, depth, lines);
        };
        let kind = match file.kind {
            ChangeKind::Created => None,
            ChangeKind::Changed => Some("changed".to_owned()),
            ChangeKind::Deleted => Some("deleted".to_owned()),
        };
        let by = file.by.as_deref().map(|by| format!("by {}", shown(by)));
        let notes: Vec<String> = kind.into_iter().chain(by).collect();
        if !notes.is_empty() {
            name = format!("{name} ({})", notes.join(" "));
        }
        lines.push(row(file.bytes, &when(file.time), level, &name, class));
    }

    fn only(&self) -> Option<(&str, &Self)> {
        let mut below = self.below.iter();
        let (name, node) = below.next()?;
        let all = below.next().is_none() && node.tally.files == self.tally.files;
        all.then_some((*name, node))
    }
}

/// A name may hold anything; what a terminal would obey was taken out, but for what this program
/// does not know.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// `2026-11-24 14:03:12`, in UTC; nothing for a file that is gone.
fn when(time: i64) -> String {
    if time <= 0 { String::new() } else { timestamp(time)[..19].replace('T', " ") }
}

fn row(bytes: u64, when: &str, level: usize, name: &str, class: Option<Class>) -> String {
    let (size, indent) = (size::human(bytes), "  ".repeat(level));
    let name = format!("{indent}{name}");
    match class {
        Some(class) => format!("{size:>8}  {when:<19}  {name:<32}  {}", class.as_str()),
        None => format!("{size:>8}  {when:<19}  {name}").trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use slugline_model::ledger::{Found, classify};

    fn ledger(files: &[(&str, u64)]) -> Receipt {
        let mut ledger = Receipt::default();
        for (path, bytes) in files {
            let (path, kind) = ((*path).to_owned(), ChangeKind::Created);
            let found = Found { path: &path, kind, bytes: *bytes, head: b"" };
            let class = classify(&found, &[]);
            let time = 1_795_442_592_000_000;
            ledger.add(Change { path, kind, bytes: *bytes, class, time, hash: None, by: None });
        }
        ledger.finish()
    }

    #[test]
    fn the_biggest_come_first_and_all_are_counted() {
        let ledger = ledger(&[
            ("/app/media/covers/2026/a.png", 1_000_000),
            ("/app/media/covers/2026/b.png", 100_000),
            ("/app/db.sqlite3", 132_000),
            ("/app/media/covers/2026/c.png", 10_000),
            ("/srv/x", 5),
        ]);
        let lines = lines(&ledger, Depth { entries: 2 });
        let expected = [
            "   1.1MB  3 files              media/covers/2026/",
            "   1.0MB  2026-11-23 14:03:12    a.png",
            "   100kB  2026-11-23 14:03:12    b.png",
            "    10kB                         and 1 file more",
            "   132kB  2026-11-23 14:03:12  db.sqlite3",
            "      5B                       and 1 file more",
        ];
        assert_eq!(lines.len(), expected.len(), "{lines:#?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{lines:#?}");
        }
        assert!(lines[0].ends_with("  upload") && lines[4].ends_with("  database"), "{lines:#?}");
    }

    #[test]
    fn a_path_is_split_as_the_ledger_groups_it() {
        assert_eq!(split("/app/media/a/b"), ["media/", "a/", "b"]);
        assert_eq!(split("/app/db"), ["db"]);
        assert_eq!(split("/srv/a/b"), ["/srv/", "a/", "b"]);
        assert_eq!(split("/x"), ["/x"]);
        for path in ["/app/media/a", "/app/db", "/srv/x", "/é/x"] {
            let ledger = ledger(&[(path, 1)]);
            assert_eq!(ledger.groups.keys().next().unwrap(), split(path)[0], "{path}");
        }
    }
}
