//! Where whole copies of damaged parts may be: another store, the trees of builds, a bucket.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use slugline_model::slug::SlugId;

use crate::layout::Layout;
use crate::object::{FIXED_TIME, ObjectKey};
use crate::page::PageId;
use crate::pyc;
use crate::tree::Tree;

/// Files below this are compared as the store would keep them; larger ones as they are (bytes).
const SMALL: u64 = 1 << 20;

/// A place that may have whole copies. What it gives is checked before it is used.
pub trait Copies {
    /// What people call it.
    fn name(&self) -> String;
    /// The text of a slug's head.
    fn head(&self, id: &SlugId) -> Option<Vec<u8>>;
    /// A page, squeezed as stores keep it.
    fn page(&self, id: PageId) -> Option<Vec<u8>>;
    /// An object's content. The paths are those that it has in slugs.
    fn object(&self, object: ObjectKey, paths: &[Vec<u8>]) -> Option<Box<dyn Read + '_>>;
}

/// Another store's directory, or the data directory that it lies in. Nothing is written there.
#[derive(Debug)]
pub struct Backup(Layout);

impl Backup {
    /// The copy of a store at a path; none where there is none.
    pub fn at(path: &Path) -> Option<Self> {
        let places = [path.join("store"), path.to_path_buf()];
        let there = places.into_iter().find(|place| place.join("objects").is_dir())?;
        Some(Self(Layout::new(there)))
    }
}

impl Copies for Backup {
    fn name(&self) -> String {
        self.0.root().display().to_string()
    }

    fn head(&self, id: &SlugId) -> Option<Vec<u8>> {
        fs_err::read(self.0.slug(id)).ok()
    }

    fn page(&self, id: PageId) -> Option<Vec<u8>> {
        fs_err::read(self.0.page(id)).ok()
    }

    fn object(&self, object: ObjectKey, _: &[Vec<u8>]) -> Option<Box<dyn Read + '_>> {
        Some(Box::new(fs_err::File::open(self.0.object(object)).ok()?))
    }
}

/// The trees that builds left: a file is looked for where the slug has it.
#[derive(Debug)]
pub struct KeptTrees {
    trees: Vec<(PathBuf, Tree)>,
}

impl KeptTrees {
    /// Those of the trees that can be opened.
    pub fn of(paths: &[PathBuf]) -> Self {
        let open = |path: &PathBuf| Some((path.clone(), Tree::open(path).ok()?));
        Self { trees: paths.iter().filter_map(open).collect() }
    }
}

impl Copies for KeptTrees {
    fn name(&self) -> String {
        "the tree of the last build".to_owned()
    }

    fn head(&self, _: &SlugId) -> Option<Vec<u8>> {
        None
    }

    fn page(&self, _: PageId) -> Option<Vec<u8>> {
        None
    }

    fn object(&self, object: ObjectKey, paths: &[Vec<u8>]) -> Option<Box<dyn Read + '_>> {
        let candidates = self
            .trees
            .iter()
            .flat_map(|(_, tree)| paths.iter().map(move |path| (tree, path.as_slice())));
        for (tree, path) in candidates {
            if let Some(content) = same_content(tree, path, object) {
                return Some(content);
            }
        }
        None
    }
}

/// A file of a tree, if it is what the object was made of.
fn same_content(tree: &Tree, path: &[u8], object: ObjectKey) -> Option<Box<dyn Read>> {
    let (file, _, size) = tree.open_file(path).ok()?;
    if size >= SMALL {
        return Some(Box::new(file));
    }
    let mut content = Vec::new();
    file.take(SMALL).read_to_end(&mut content).ok()?;
    // Compiled files are kept with another time than the build gave them.
    pyc::settle(path, &mut content, FIXED_TIME, |source| tree.time_and_size(source));
    (*blake3::hash(&content).as_bytes() == object.hash)
        .then(|| Box::new(Cursor::new(content)) as Box<dyn Read>)
}
