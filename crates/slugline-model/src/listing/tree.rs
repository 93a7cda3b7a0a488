//! A slug's tree with what lies in each directory.

use serde::{Deserialize, Serialize};

use super::{Item, Kind, Listing, shown};
use crate::build::TreeSize;
use crate::size;

/// In which order entries of a directory come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// The biggest first.
    Size,
}

/// A path, and how much lies there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// From the top of the slug; empty for the top itself.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Whether it is a file that may be executed.
    #[serde(default)]
    pub executable: bool,
    /// Where a link points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The files there and below.
    #[serde(flatten)]
    pub size: TreeSize,
    /// What lies in a directory, as deep as was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Node>,
}

/// The tree at a path, so many levels deep; none where nothing lies there.
pub fn tree(listing: &Listing, path: &[u8], depth: usize, order: Order) -> Option<Node> {
    let (path, item) = listing.at(path)?;
    let mut node = node(&path, &item);
    if node.kind == Kind::Directory {
        let start = if path.is_empty() { 0 } else { path.len() + 1 };
        let below: Vec<(&[u8], &Item)> = listing.below(&path).collect();
        fill(&mut node, &below, start, depth, order);
    }
    Some(node)
}

fn node(path: &[u8], item: &Item) -> Node {
    let target = match item {
        Item::Symlink { target } => Some(shown(target)),
        Item::Directory | Item::File { .. } => None,
    };
    let files = u64::from(item.kind() == Kind::File);
    Node {
        path: shown(path),
        kind: item.kind(),
        executable: matches!(item, Item::File { executable: true, .. }),
        target,
        size: TreeSize { files, bytes: item.size() },
        children: vec![],
    }
}

/// Sums up what lies below a directory, and adds its entries while there is depth left. Each name
/// below starts at `start`; all of one entry follow each other, but for entries whose name begins
/// with another's: `a`, `a.txt`, `a/x`.
fn fill(parent: &mut Node, below: &[(&[u8], &Item)], start: usize, depth: usize, order: Order) {
    for (_, item) in below {
        parent.size.files += u64::from(item.kind() == Kind::File);
        parent.size.bytes += item.size();
    }
    if depth == 0 {
        return;
    }
    for (path, item) in below.iter().filter(|(path, _)| !path[start..].contains(&b'/')) {
        let mut child = node(path, item);
        if child.kind == Kind::Directory {
            let prefix = [path, &b"/"[..]].concat();
            let from = below.partition_point(|(path, _)| *path < prefix.as_slice());
            let count =
                below[from..].iter().take_while(|(path, _)| path.starts_with(&prefix)).count();
            fill(&mut child, &below[from..from + count], prefix.len(), depth - 1, order);
        }
        parent.children.push(child);
    }
    if order == Order::Size {
        parent.children.sort_by_key(|child| std::cmp::Reverse(child.size.bytes));
    }
}

/// The lines that people read: size, files, and the path, indented by depth.
pub fn describe(root: &Node) -> Vec<String> {
    let mut lines = Vec::new();
    describe_below(root, 0, &mut lines);
    lines
}

fn describe_below(node: &Node, depth: usize, lines: &mut Vec<String>) {
    let name = node.path.rsplit('/').next().unwrap_or_default();
    let name = match node.kind {
        Kind::Directory if node.path.is_empty() => "./".to_owned(),
        Kind::Directory => format!("{name}/"),
        Kind::File if node.executable => format!("{name}*"),
        Kind::File => name.to_owned(),
        Kind::Symlink => format!("{name} -> {}", node.target.as_deref().unwrap_or_default()),
    };
    let files = match node.kind {
        Kind::Directory => format!("  ({})", size::files(node.size.files)),
        Kind::File | Kind::Symlink => String::new(),
    };
    let bytes = size::human(node.size.bytes);
    lines.push(format!("{bytes:>8}  {:indent$}{name}{files}", "", indent = depth * 2));
    for child in &node.children {
        describe_below(child, depth + 1, lines);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::listing;
    use super::*;

    #[test]
    fn directories_sum_up_what_is_below_at_any_depth() {
        let listing = listing(&[("a/b/big", 3_000), ("a/small", 5), ("a.txt", 1), ("top", 40)]);
        let whole = tree(&listing, b"", 1, Order::Size).unwrap();
        assert_eq!(whole.size, TreeSize { files: 4, bytes: 3_046 });
        assert_eq!(
            describe(&whole),
            [
                "     3kB  ./  (4 files)",
                "     3kB    a/  (2 files)",
                "     40B    top",
                "      1B    a.txt"
            ]
        );
        let by_name = tree(&listing, b"a", 2, Order::Name).unwrap();
        assert_eq!(
            describe(&by_name),
            [
                "     3kB  a/  (2 files)",
                "     3kB    b/  (1 file)",
                "     3kB      big",
                "      5B    small"
            ]
        );
    }

    #[test]
    fn a_file_and_a_link_are_trees_of_their_own_and_nothing_is_none() {
        let mut listing = listing(&[("run", 5)]);
        listing.items.insert(b"link".to_vec(), Item::Symlink { target: b"run".to_vec() });
        assert_eq!(describe(&tree(&listing, b"run", 3, Order::Name).unwrap()), ["      5B  run"]);
        assert_eq!(
            describe(&tree(&listing, b"link", 3, Order::Name).unwrap()),
            ["      0B  link -> run"]
        );
        assert_eq!(tree(&listing, b"nowhere", 3, Order::Name), None);
    }
}
