//! A slug's parts one by one, as they go to another store and come from one.

use std::io::{Read, Write};

use fs_err::os::unix::fs::OpenOptionsExt;
use slugline_model::slug::SlugId;

use crate::Store;
use crate::commit::sync_path;
use crate::error::{Result, StoreError, reading, writing};
use crate::lock::Lock;
use crate::manifest::{self, Head, Manifest};
use crate::object::ObjectKey;
use crate::pack::settle;
use crate::page::{Page, PageId};
use crate::staging::Staging;

impl Store {
    /// Whether there is an object under this key. Its content is not looked at.
    pub fn has_object(&self, object: ObjectKey) -> bool {
        let metadata = fs_err::symlink_metadata(self.layout.object(object));
        metadata.is_ok_and(|metadata| metadata.is_file())
    }

    /// Opens an object for reading. Its content is not checked.
    pub fn open_object(&self, object: ObjectKey) -> Result<fs_err::File> {
        let path = self.layout.object(object);
        fs_err::File::open(&path).map_err(reading(&path))
    }

    /// The text of a slug's head, as checked against its identity.
    pub fn head(&self, id: &SlugId) -> Result<Vec<u8>> {
        self.read_head(id)
    }

    /// The pages that a slug's head names, in order.
    pub fn pages_of(&self, id: &SlugId) -> Result<Vec<PageId>> {
        let head = Head::decode(&self.read_head(id)?);
        Ok(head.map_err(|source| StoreError::Manifest { id: id.clone(), source })?.pages)
    }

    /// Whether there is a page of this id. Its content is not looked at.
    pub fn has_page(&self, page: PageId) -> bool {
        self.layout.page(page).exists()
    }

    /// A page as it lies on the disk, squeezed; not checked.
    pub fn page(&self, page: PageId) -> Result<Vec<u8>> {
        let path = self.layout.page(page);
        fs_err::read(&path).map_err(reading(&path))
    }

    /// Takes in a page that came squeezed from elsewhere, if it is what its id says. It is safe on
    /// the disk once [`Store::put_head`] has returned.
    pub fn put_page(&self, id: PageId, squeezed: &[u8]) -> Result<()> {
        let _lock = self.lock_shared()?;
        if Page::from_squeezed(id, squeezed).is_none() {
            return Err(StoreError::WrongContent { name: format!("page {id}") });
        }
        let staging = Staging::new(&self.layout)?;
        let staged = staging.path().join("page");
        fs_err::write(&staged, squeezed).map_err(writing(&staged))?;
        sync_path(&staged)?;
        let place = self.layout.page(id);
        fs_err::rename(&staged, &place).map_err(writing(&place))
    }

    /// Takes in one object, if its content is what its key says. When it returns, the object
    /// survives power loss.
    pub fn put_object(&self, object: ObjectKey, content: &mut dyn Read) -> Result<()> {
        let mut intake = self.intake()?;
        intake.object(object, content)?;
        sync_path(&intake.staging.object(object))?;
        intake.place()
    }

    /// Begins to take in objects, many at once.
    pub fn intake(&self) -> Result<Intake<'_>> {
        let lock = self.lock_shared()?;
        let staging = Staging::new(&self.layout)?;
        Ok(Intake { store: self, staging, objects: vec![], buffer: vec![0; 1 << 16], _lock: lock })
    }

    /// Makes a slug visible whose pages and objects were taken in before, if none is missing. When
    /// it returns, the slug survives power loss.
    pub fn put_head(&self, id: &SlugId, head: &[u8]) -> Result<Manifest> {
        let _lock = self.lock_shared()?;
        if manifest::identity(head) != *id {
            return Err(StoreError::WrongContent { name: format!("slug {id}") });
        }
        let manifest = self.manifest_of(id, head)?;
        if let Some((path, object, _)) = manifest.files().find(|(_, o, _)| !self.has_object(*o)) {
            let path = crate::tree::as_path(path);
            return Err(StoreError::MissingObject { object, path, id: id.clone() });
        }
        let staging = Staging::new(&self.layout)?;
        self.place_head(id, head, staging.path(), || self.sync_all())?;
        Ok(manifest)
    }
}

/// Objects that come in and are not visible yet. What is dropped before [`Intake::settle`] leaves
/// nothing.
#[derive(Debug)]
pub struct Intake<'a> {
    store: &'a Store,
    staging: Staging,
    objects: Vec<ObjectKey>,
    buffer: Vec<u8>,
    _lock: Lock,
}

impl Intake<'_> {
    /// Takes in an object, if its content is what its key says.
    pub fn object(&mut self, object: ObjectKey, content: &mut dyn Read) -> Result<()> {
        let staged = self.staging.object(object);
        let mut options = fs_err::OpenOptions::new();
        let options = options.write(true).create(true).truncate(true);
        self.staging.note(object);
        let mode = object.mode().as_raw_mode();
        let mut file = options.mode(mode).open(&staged).map_err(writing(&staged))?;
        let mut hasher = blake3::Hasher::new();
        loop {
            let read = match content.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(reading(object.to_string())(error)),
            };
            hasher.update(&self.buffer[..read]);
            file.write_all(&self.buffer[..read]).map_err(writing(&staged))?;
        }
        if *hasher.finalize().as_bytes() != object.hash {
            return Err(StoreError::WrongContent { name: format!("object {object}") });
        }
        settle(&file, object).map_err(writing(&staged))?;
        self.objects.push(object);
        Ok(())
    }

    /// Makes all that came in visible, once it is safe on the disk.
    pub fn settle(self) -> Result<()> {
        self.store.sync_all()?;
        self.place()
    }

    fn place(self) -> Result<()> {
        self.staging.place(&self.objects)?;
        self.store.note_verified(&self.objects);
        Ok(())
    }
}
