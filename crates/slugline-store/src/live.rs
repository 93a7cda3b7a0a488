//! What slugs need: their pages and objects, each page read once however many slugs share it.

use std::collections::{HashMap, HashSet};

use slugline_model::retention::Object;
use slugline_model::slug::SlugId;

use crate::Store;
use crate::error::{Result, StoreError};
use crate::manifest::ManifestError;
use crate::object::ObjectKey;
use crate::page::PageId;

/// What some slugs need.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) slugs: HashSet<SlugId>,
    pub(crate) pages: HashSet<PageId>,
    /// With their sizes (bytes).
    pub(crate) objects: HashMap<ObjectKey, u64>,
}

/// A file as a page names it: its object, its size (bytes), and its path as it is written there.
pub(crate) type Named<'a> = (ObjectKey, u64, &'a str);

/// The files of a page. None where a line that should name one cannot be read.
pub(crate) fn files_of(page: &[u8]) -> Option<Vec<Named<'_>>> {
    let text = str::from_utf8(page).ok()?;
    let files = text.lines().filter_map(|line| line.strip_prefix("f "));
    files.map(file_of).collect()
}

fn file_of(line: &str) -> Option<Named<'_>> {
    let (key, rest) = line.split_once(' ')?;
    let (size, path) = rest.split_once(' ')?;
    Some((ObjectKey::parse(key)?, size.parse().ok()?, path))
}

impl Store {
    /// Adds what a slug needs.
    pub(crate) fn mark(&self, live: &mut Live, id: &SlugId) -> Result<()> {
        if live.slugs.contains(id) {
            return Ok(());
        }
        for page in self.pages_of(id)? {
            if live.pages.contains(&page) {
                continue;
            }
            let text = self.read_page(id, page)?;
            let files = files_of(&text).ok_or_else(|| unreadable(id))?;
            live.objects.extend(files.into_iter().map(|(object, size, _)| (object, size)));
            live.pages.insert(page);
        }
        live.slugs.insert(id.clone());
        Ok(())
    }

    /// The objects of some slugs, each once, with their sizes (bytes): what they take of the store.
    pub fn objects_of(&self, slugs: &[SlugId]) -> Result<HashMap<Object, u64>> {
        let _lock = self.lock_shared()?;
        let mut live = Live::default();
        slugs.iter().try_for_each(|id| self.mark(&mut live, id))?;
        let plain = |(object, size): (ObjectKey, u64)| ((object.hash, object.executable), size);
        Ok(live.objects.into_iter().map(plain).collect())
    }
}

fn unreadable(id: &SlugId) -> StoreError {
    StoreError::Manifest { id: id.clone(), source: ManifestError::Form }
}
