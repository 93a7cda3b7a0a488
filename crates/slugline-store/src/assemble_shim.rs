//! A slug put together from streams, by way of a directory.

use std::collections::BTreeMap;
use std::io::Read;

use slugline_model::slug::SlugSummary;

use crate::error::{reading, writing};
use crate::staging::Staging;
use crate::tree::as_path;
use crate::{IngestRequest, ObjectKey, Result, Store, StoreError};

#[derive(Debug)]
pub(crate) struct Assembly<'a> {
    store: &'a Store,
    staging: Staging,
    request: IngestRequest,
    directories: BTreeMap<Vec<u8>, bool>,
}

impl Store {
    pub(crate) fn assemble(&self, request: &IngestRequest) -> Result<Assembly<'_>> {
        let staging = Staging::new(&self.layout)?;
        let request = request.clone();
        Ok(Assembly { store: self, staging, request, directories: BTreeMap::new() })
    }

    pub(crate) fn open_object(&self, key: ObjectKey) -> Result<fs_err::File> {
        let path = self.layout.object(key);
        fs_err::File::open(&path).map_err(reading(&path))
    }
}

impl Assembly<'_> {
    fn bad(path: &[u8]) -> StoreError {
        let error = std::io::Error::other("a bad path");
        reading(as_path(path))(error)
    }

    fn parents(&mut self, path: &[u8]) -> Result<()> {
        for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.one(&path[..at], false)?;
        }
        Ok(())
    }

    fn one(&mut self, path: &[u8], replace: bool) -> Result<()> {
        match self.directories.get(path) {
            Some(true) => return Ok(()),
            Some(false) if !replace => return Err(Self::bad(path)),
            Some(false) => self.remove(path)?,
            None => {}
        }
        self.directories.insert(path.to_vec(), true);
        let place = self.staging.path().join(as_path(path));
        fs_err::create_dir(&place).map_err(writing(&place))
    }

    pub(crate) fn directory(&mut self, path: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.one(path, true)
    }

    pub(crate) fn file(
        &mut self,
        path: &[u8],
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<()> {
        use fs_err::os::unix::fs::OpenOptionsExt as _;
        self.parents(path)?;
        self.remove(path)?;
        self.directories.insert(path.to_vec(), false);
        let place = self.staging.path().join(as_path(path));
        let mode = if executable { 0o755 } else { 0o644 };
        let file = fs_err::OpenOptions::new().write(true).create_new(true).mode(mode).open(&place);
        let mut file = file.map_err(writing(&place))?;
        std::io::copy(content, &mut file).map_err(writing(&place))?;
        Ok(())
    }

    pub(crate) fn symlink(&mut self, path: &[u8], target: &[u8]) -> Result<()> {
        self.parents(path)?;
        self.remove(path)?;
        self.directories.insert(path.to_vec(), false);
        let place = self.staging.path().join(as_path(path));
        fs_err::os::unix::fs::symlink(as_path(target), &place).map_err(writing(&place))
    }

    pub(crate) fn hard_link(&mut self, path: &[u8], existing: &[u8]) -> Result<()> {
        self.parents(path)?;
        if self.directories.get(existing) != Some(&false) || path == existing {
            return Err(Self::bad(existing));
        }
        self.remove(path)?;
        self.directories.insert(path.to_vec(), false);
        let place = self.staging.path().join(as_path(path));
        fs_err::hard_link(self.staging.path().join(as_path(existing)), &place)
            .map_err(writing(&place))
    }

    pub(crate) fn remove(&mut self, path: &[u8]) -> Result<()> {
        self.clear(path)?;
        let place = self.staging.path().join(as_path(path));
        match self.directories.remove(path) {
            Some(true) => fs_err::remove_dir(&place).map_err(writing(&place)),
            Some(false) => fs_err::remove_file(&place).map_err(writing(&place)),
            None => Ok(()),
        }
    }

    pub(crate) fn clear(&mut self, path: &[u8]) -> Result<()> {
        let inside = [path, b"/"].concat();
        let below: Vec<_> = self
            .directories
            .keys()
            .filter(|known| path.is_empty() || known.starts_with(&inside))
            .cloned()
            .collect();
        for path in below.iter().rev() {
            let is_directory = self.directories.remove(path).unwrap_or_default();
            let place = self.staging.path().join(as_path(path));
            let removed = if is_directory {
                fs_err::remove_dir(&place)
            } else {
                fs_err::remove_file(&place)
            };
            removed.map_err(writing(&place))?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<SlugSummary> {
        self.store.ingest(self.staging.path(), &self.request, &mut |_| {})
    }
}
