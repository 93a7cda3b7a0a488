//! A store and a tree in a directory that is removed afterwards.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use slugline_model::slug::SlugSummary;
use slugline_store::{IngestRequest, Store};

pub(crate) struct Scene {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) root: PathBuf,
    pub(crate) tree: PathBuf,
    pub(crate) store: Store,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    /// In memory, where there is such a place: for tests that store much, and whom no disk concerns.
    pub(crate) fn in_memory() -> Self {
        let memory = tempfile::tempdir_in("/dev/shm");
        Self::of(memory.or_else(|_| tempfile::tempdir()).unwrap())
    }

    fn of(directory: tempfile::TempDir) -> Self {
        let (root, tree) = (directory.path().join("store"), directory.path().join("tree"));
        fs_err::create_dir(&tree).unwrap();
        Self { store: Store::open(&root).unwrap(), directory, root, tree }
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.tree.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }

    pub(crate) fn ingest(&self) -> SlugSummary {
        self.store.ingest(&self.tree, &IngestRequest::default(), &mut |_| {}).unwrap()
    }

    /// As a build of an app: the store remembers the tree for the next one. The wait is what makes
    /// the files old enough to be remembered.
    pub(crate) fn ingest_in_series(&self) -> SlugSummary {
        std::thread::sleep(std::time::Duration::from_millis(60));
        let series = Some("library".parse().unwrap());
        let request = IngestRequest { series, ..IngestRequest::default() };
        self.store.ingest(&self.tree, &request, &mut |_| {}).unwrap()
    }

    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        contents(&self.root.join("objects")).iter().flat_map(|path| contents(path)).collect()
    }
}

pub(crate) fn contents(directory: &Path) -> Vec<PathBuf> {
    fs_err::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
