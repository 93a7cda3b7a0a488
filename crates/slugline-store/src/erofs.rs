//! A slug's tree as a file system image of names alone: EROFS, whose files say which object holds
//! their content.
//!
//! An overlay of this image and the directory of objects (a "data-only layer", Linux 6.5) is the
//! slug's tree: whatever its size, it is there as soon as the image is mounted, nothing is copied
//! and no inode is made. Composefs works the same way. The format is that of the kernel's
//! `fs/erofs/erofs_fs.h`; `fsck.erofs` reads what is written here.

use std::collections::HashMap;

use crate::manifest::{Entry, Manifest, split};
use crate::object::{FIXED_TIME, ObjectKey};

const BLOCK: usize = 4_096;
/// Inodes lie at multiples of this, which is what they are counted in (bytes).
const SLOT: usize = 32;
const SUPERBLOCK_AT: usize = 1_024;
const MAGIC: u32 = 0xE0F5_E1E2;
/// Inode times are those of modification.
const COMPATIBLE_MTIME: u32 = 0x2;
/// There are files in chunks.
const INCOMPATIBLE_CHUNKED: u32 = 0x4;
/// Chunks of 2^31 blocks, so that every file is one.
const CHUNK_FORMAT: u32 = 31;
/// A chunk that is nowhere: the content lies in another layer.
const NOWHERE: u32 = u32::MAX;
const FLAT_PLAIN: u16 = 0;
const FLAT_INLINE: u16 = 2;
const CHUNK_BASED: u16 = 4;
/// `trusted.`, in the format's numbering.
const TRUSTED: u8 = 4;
const METACOPY: &[u8] = b"overlay.metacopy";
const REDIRECT: &[u8] = b"overlay.redirect";
const XATTR_HEADER: usize = 12;
const DIRENT: usize = 12;

const DIRECTORY_MODE: u16 = 0o040_755;
const SYMLINK_MODE: u16 = 0o120_777;

/// The image of a slug whose tree is to be seen at `app`. The label, of 16 bytes, can be read back
/// by [`label`].
pub(crate) fn image(manifest: &Manifest, app: &str, label: [u8; 16]) -> Vec<u8> {
    let mut plan = Plan::new(manifest, app.as_bytes());
    plan.place();
    plan.write(label)
}

/// The label of an image, by the first bytes of it.
pub(crate) fn label(head: &[u8]) -> Option<[u8; 16]> {
    let superblock = head.get(SUPERBLOCK_AT..)?;
    let magic = superblock.first_chunk::<4>()?;
    (u32::from_le_bytes(*magic) == MAGIC).then_some(())?;
    superblock.get(48..64)?.try_into().ok()
}

/// So much of an image is needed to read its label (bytes).
pub(crate) const LABEL_WITHIN: usize = SUPERBLOCK_AT + 128;

enum Kind<'a> {
    /// Its children's numbers, in order of their names; and its parent's.
    Directory {
        children: Vec<usize>,
        parent: usize,
    },
    File {
        object: ObjectKey,
        size: u64,
    },
    Symlink {
        target: &'a [u8],
    },
}

struct Node<'a> {
    name: &'a [u8],
    kind: Kind<'a>,
    /// Where its inode lies in the image (bytes).
    at: usize,
    /// The first of its own blocks, where it has any.
    block: u32,
}

impl Node<'_> {
    /// Bytes of the inode itself.
    fn inode(&self) -> usize {
        let extended = match &self.kind {
            Kind::File { size, .. } => u32::try_from(*size).is_err(),
            Kind::Directory { children, .. } => children.len() > 60_000,
            Kind::Symlink { .. } => false,
        };
        if extended { 64 } else { 32 }
    }

    fn xattrs(&self) -> usize {
        match self.kind {
            Kind::File { object, size } if size > 0 => {
                let redirect = redirect(object).len();
                XATTR_HEADER
                    + (4 + METACOPY.len())
                    + (4 + REDIRECT.len() + redirect).next_multiple_of(4)
            }
            _ => 0,
        }
    }
}

/// Where the overlay finds a file's content, in the directory of objects.
fn redirect(object: ObjectKey) -> Vec<u8> {
    let name = object.to_string();
    format!("/{}/{name}", &name[..2]).into_bytes()
}

/// Every inode, and where it goes.
struct Plan<'a> {
    /// The root comes first: its place must be a small number.
    nodes: Vec<Node<'a>>,
    /// Where inodes end (bytes), and where all ends.
    inodes_end: usize,
    end: usize,
}

impl<'a> Plan<'a> {
    fn new(manifest: &'a Manifest, app: &'a [u8]) -> Self {
        let directory = |name, parent| Node {
            name,
            kind: Kind::Directory { children: vec![], parent },
            at: 0,
            block: 0,
        };
        let mut plan =
            Self { nodes: vec![directory(b"", 0), directory(app, 0)], inodes_end: 0, end: 0 };
        plan.adopt(0, 1);
        let mut directories: HashMap<&[u8], usize> = HashMap::new();
        for (path, entry) in &manifest.entries {
            let (above, name) = split(path);
            let parent = above.and_then(|above| directories.get(above).copied()).unwrap_or(1);
            let number = plan.nodes.len();
            let node = match entry {
                Entry::Directory => {
                    directories.insert(path, number);
                    directory(name, parent)
                }
                Entry::File { object, size } => Node {
                    name,
                    kind: Kind::File { object: *object, size: *size },
                    at: 0,
                    block: 0,
                },
                Entry::Symlink { target } => {
                    Node { name, kind: Kind::Symlink { target }, at: 0, block: 0 }
                }
            };
            plan.nodes.push(node);
            plan.adopt(parent, number);
        }
        // Paths in order do not give names in order: `a.b` comes before `a/c`, and after `a`.
        for number in 0..plan.nodes.len() {
            let mut children = match &mut plan.nodes[number].kind {
                Kind::Directory { children, .. } => std::mem::take(children),
                _ => continue,
            };
            children.sort_unstable_by_key(|child| plan.nodes[*child].name);
            if let Kind::Directory { children: place, .. } = &mut plan.nodes[number].kind {
                *place = children;
            }
        }
        plan
    }

    fn adopt(&mut self, parent: usize, child: usize) {
        if let Kind::Directory { children, .. } = &mut self.nodes[parent].kind {
            children.push(child);
        }
    }

    /// Gives every inode its place, and blocks to those whose data does not lie beside the inode.
    fn place(&mut self) {
        let mut at = BLOCK;
        let sizes: Vec<usize> =
            (0..self.nodes.len()).map(|number| self.data_size(number)).collect();
        for (node, size) in self.nodes.iter_mut().zip(&sizes) {
            let head = node.inode() + node.xattrs();
            let beside = match node.kind {
                Kind::File { size: 0, .. } => 0,
                Kind::File { .. } => 4,
                _ => inline_size(head, *size),
            };
            at = at.next_multiple_of(SLOT);
            // What lies beside an inode must lie in the block that the inode ends in.
            if at % BLOCK + head + beside > BLOCK && beside > 0 {
                at = at.next_multiple_of(BLOCK);
            }
            node.at = at;
            at += head + beside;
        }
        self.inodes_end = at;
        let mut block = at.div_ceil(BLOCK);
        for (node, size) in self.nodes.iter_mut().zip(&sizes) {
            let own = size - inline_size(node.inode() + node.xattrs(), *size);
            node.block = if own == 0 { NOWHERE } else { u32::try_from(block).unwrap_or(NOWHERE) };
            block += own.div_ceil(BLOCK);
        }
        self.end = block * BLOCK;
    }

    /// Bytes of a directory's or a link's data; a file has none here.
    fn data_size(&self, number: usize) -> usize {
        match &self.nodes[number].kind {
            Kind::Directory { .. } => {
                let blocks = self.dirent_blocks(number);
                let last = blocks.last().map_or(0, |names| block_size(names));
                (blocks.len() - 1) * BLOCK + last
            }
            Kind::Symlink { target } => target.len(),
            Kind::File { .. } => 0,
        }
    }

    /// A directory's names with the inodes that they name, block by block, in order.
    fn dirent_blocks(&self, number: usize) -> Vec<Vec<(&[u8], usize)>> {
        let Kind::Directory { children, parent } = &self.nodes[number].kind else { return vec![] };
        let mut names: Vec<(&[u8], usize)> =
            children.iter().map(|child| (self.nodes[*child].name, *child)).collect();
        names.extend([(&b"."[..], number), (&b".."[..], *parent)]);
        names.sort_unstable_by_key(|(name, _)| *name);
        let (mut blocks, mut used) = (vec![vec![]], 0);
        for entry in names {
            let size = DIRENT + entry.0.len();
            if used + size > BLOCK {
                blocks.push(vec![]);
                used = 0;
            }
            used += size;
            blocks.last_mut().expect("there is one").push(entry);
        }
        blocks
    }

    fn write(&self, label: [u8; 16]) -> Vec<u8> {
        let mut out = vec![0; self.end];
        self.superblock(&mut out, label);
        for (number, node) in self.nodes.iter().enumerate() {
            self.inode(&mut out, number);
            if let Kind::File { object, size } = node.kind {
                file_tail(&mut out[node.at + node.inode()..], object, size);
                continue;
            }
            let data = self.data(number);
            let head = node.inode() + node.xattrs();
            let (own, beside) = data.split_at(data.len() - inline_size(head, data.len()));
            out[node.at + head..][..beside.len()].copy_from_slice(beside);
            if !own.is_empty() {
                out[node.block as usize * BLOCK..][..own.len()].copy_from_slice(own);
            }
        }
        out
    }

    fn superblock(&self, out: &mut [u8], label: [u8; 16]) {
        let superblock = &mut out[SUPERBLOCK_AT..];
        let root = u16::try_from(self.nodes[0].at / SLOT).unwrap_or(0);
        put(superblock, 0, &MAGIC.to_le_bytes());
        put(superblock, 8, &COMPATIBLE_MTIME.to_le_bytes());
        put(superblock, 12, &[12]);
        put(superblock, 14, &root.to_le_bytes());
        put(superblock, 16, &(self.nodes.len() as u64).to_le_bytes());
        put(superblock, 24, &u64::from(FIXED_TIME).to_le_bytes());
        put(superblock, 36, &u32::try_from(self.end / BLOCK).unwrap_or(NOWHERE).to_le_bytes());
        put(superblock, 48, &label);
        put(superblock, 80, &INCOMPATIBLE_CHUNKED.to_le_bytes());
    }

    fn inode(&self, out: &mut [u8], number: usize) {
        let node = &self.nodes[number];
        let size = match node.kind {
            Kind::File { size, .. } => size,
            _ => self.data_size(number) as u64,
        };
        let beside = inline_size(node.inode() + node.xattrs(), self.data_size(number));
        let (layout, mode, links, union) = match &node.kind {
            Kind::File { size: 0, object } => (FLAT_PLAIN, file_mode(*object), 1, NOWHERE),
            Kind::File { object, .. } => (CHUNK_BASED, file_mode(*object), 1, CHUNK_FORMAT),
            Kind::Symlink { .. } => (flat(beside), SYMLINK_MODE, 1, node.block),
            Kind::Directory { children, .. } => {
                let is_directory =
                    |child: &&usize| matches!(self.nodes[**child].kind, Kind::Directory { .. });
                let below = children.iter().filter(is_directory).count();
                (flat(beside), DIRECTORY_MODE, 2 + below, node.block)
            }
        };
        let inode = &mut out[node.at..];
        let extended = node.inode() == 64;
        put(inode, 0, &(layout << 1 | u16::from(extended)).to_le_bytes());
        let xattr_words =
            node.xattrs().saturating_sub(XATTR_HEADER) / 4 + usize::from(node.xattrs() > 0);
        put(inode, 2, &u16::try_from(xattr_words).unwrap_or(0).to_le_bytes());
        put(inode, 4, &mode.to_le_bytes());
        put(inode, 16, &union.to_le_bytes());
        put(inode, 20, &u32::try_from(number + 1).unwrap_or(0).to_le_bytes());
        let links = u32::try_from(links).unwrap_or(u32::MAX);
        if extended {
            put(inode, 8, &size.to_le_bytes());
            put(inode, 32, &u64::from(FIXED_TIME).to_le_bytes());
            put(inode, 44, &links.to_le_bytes());
        } else {
            put(inode, 6, &u16::try_from(links).unwrap_or(u16::MAX).to_le_bytes());
            put(inode, 8, &u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes());
        }
    }

    /// A directory's or a link's data.
    fn data(&self, number: usize) -> Vec<u8> {
        if let Kind::Symlink { target } = self.nodes[number].kind {
            return target.to_vec();
        }
        let mut data = Vec::new();
        for names in self.dirent_blocks(number) {
            data.resize(data.len().next_multiple_of(BLOCK), 0);
            let mut name_at = names.len() * DIRENT;
            for (name, node) in &names {
                let node = &self.nodes[*node];
                data.extend_from_slice(&((node.at / SLOT) as u64).to_le_bytes());
                data.extend_from_slice(&u16::try_from(name_at).unwrap_or(0).to_le_bytes());
                data.extend_from_slice(&[file_type(node), 0]);
                name_at += name.len();
            }
            for (name, _) in &names {
                data.extend_from_slice(name);
            }
        }
        data
    }
}

/// What follows a file's inode: where its content is, for the overlay, and that it is nowhere here.
fn file_tail(out: &mut [u8], object: ObjectKey, size: u64) {
    if size == 0 {
        return;
    }
    let redirect = redirect(object);
    let mut tail = vec![0; XATTR_HEADER];
    for (name, value) in [(METACOPY, &b""[..]), (REDIRECT, redirect.as_slice())] {
        let (name_len, value_len) = (u8::try_from(name.len()), u16::try_from(value.len()));
        tail.extend_from_slice(&[name_len.unwrap_or(0), TRUSTED]);
        tail.extend_from_slice(&value_len.unwrap_or(0).to_le_bytes());
        tail.extend_from_slice(name);
        tail.extend_from_slice(value);
        tail.resize(tail.len().next_multiple_of(4), 0);
    }
    tail.extend_from_slice(&NOWHERE.to_le_bytes());
    out[..tail.len()].copy_from_slice(&tail);
}

fn put(out: &mut [u8], at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

fn block_size(names: &[(&[u8], usize)]) -> usize {
    names.iter().map(|(name, _)| DIRENT + name.len()).sum()
}

/// How many of a node's last bytes lie beside its inode.
fn inline_size(head: usize, size: usize) -> usize {
    let tail = size % BLOCK;
    if head + tail <= BLOCK { tail } else { 0 }
}

fn flat(beside: usize) -> u16 {
    if beside > 0 { FLAT_INLINE } else { FLAT_PLAIN }
}

fn file_mode(object: ObjectKey) -> u16 {
    if object.executable { 0o100_755 } else { 0o100_644 }
}

/// As `dirent` numbers them.
fn file_type(node: &Node<'_>) -> u8 {
    match node.kind {
        Kind::File { .. } => 1,
        Kind::Directory { .. } => 2,
        Kind::Symlink { .. } => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_back_and_junk_has_none() {
        let image = image(&Manifest::default(), "app", [7; 16]);
        assert_eq!(label(&image[..LABEL_WITHIN]), Some([7; 16]));
        assert_eq!(label(&image[..LABEL_WITHIN - 100]), None);
        assert_eq!(label(&[0; LABEL_WITHIN]), None);
    }

    #[test]
    fn no_inode_lies_in_another_whatever_the_names() {
        for count in [0_u16, 1, 300, 5_000] {
            let object = ObjectKey { hash: [9; 32], executable: true };
            let mut manifest = Manifest::default();
            let entries = &mut manifest.entries;
            entries.insert(b"d".to_vec(), Entry::Directory);
            for number in 0..count {
                let size = u64::from(number) * 3_000_000;
                let name = format!("d/{}{number}", "n".repeat(usize::from(number % 200)));
                entries.insert(name.clone().into_bytes(), Entry::File { object, size });
                let target = vec![b't'; usize::from(number % 4_090) + 1];
                entries.insert(format!("{name}.l").into_bytes(), Entry::Symlink { target });
            }
            let mut plan = Plan::new(&manifest, b"app");
            plan.place();
            let mut end = BLOCK;
            for node in &plan.nodes {
                assert!(node.at >= end && node.at % SLOT == 0);
                end = node.at + node.inode() + node.xattrs();
            }
            assert!(plan.inodes_end >= end && plan.end >= plan.inodes_end);
            assert_eq!(plan.write([0; 16]).len(), plan.end);
        }
    }
}
