//! `slug.tgz` to slug. Anyone may have made it.

use std::io::Read;

use slugline_model::exchange::{Checksum, ImportRequest, Imported};
use slugline_model::limits::Limits;

use crate::archive::bounded::Bounded;
use crate::archive::digest::Hashed;
use crate::archive::place::{self, Place, Unplaceable};
use crate::archive::read::{self, ArchiveError, Bounds, Item, Kind, display};
use crate::{Assembly, IngestRequest, Store, StoreError};

/// How much more gzip may take than the store's own packing, by which slugs are judged.
const LOOSER: u64 = 2;

/// How much larger than its limit a packed slug may be once it is unpacked.
const UNPACKED: u64 = 10;

/// What an entry of an archive may cost beside its bytes: a header, its padding, and long names.
const BYTES_PER_ENTRY: u64 = 1536;

/// The longest `Procfile` that is looked at (bytes).
const PROCFILE: u64 = 1 << 20;

/// Why a `slug.tgz` is not taken. Nothing of it is in the store.
#[derive(Debug, thiserror::Error)]
pub enum TgzError {
    /// It cannot be read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The store cannot take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is other bytes than were promised.
    #[error("check the archive: it is {found}, not {expected}")]
    Checksum {
        /// As promised.
        expected: Checksum,
        /// As it is.
        found: Checksum,
    },
    /// An entry lies where no entry of a slug may.
    #[error("import the archive's entry {name}: {why}")]
    Place {
        /// The entry.
        name: String,
        /// What is wrong with its path.
        why: Unplaceable,
    },
    /// An entry is not of the app.
    #[error("import the archive's entry {name}: a slug has everything below ./app/")]
    Elsewhere {
        /// The entry.
        name: String,
    },
    /// An entry is of a kind that no slug can hold.
    #[error("import the archive's entry {name}: a slug cannot hold {kind}")]
    Kind {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A link whose target nothing can have.
    #[error("import the archive's entry {name}: it links to {target:?}")]
    Link {
        /// The entry.
        name: String,
        /// What it names.
        target: String,
    },
    /// There is nothing in it.
    #[error("import the archive: it holds no app")]
    Empty,
}

impl Store {
    /// Makes a slug of a `slug.tgz`, or of the same unpacked by gzip. When it fails, no part of the
    /// slug is visible.
    ///
    /// Pipes, sockets and devices are refused: Heroku's own packing lets none in.
    pub fn import_tgz(
        &self,
        input: &mut dyn Read,
        request: &ImportRequest,
    ) -> Result<Imported, TgzError> {
        let limits = &request.limits;
        let packed = limits.slug_hard.saturating_mul(LOOSER);
        let mut input = Hashed::new(Bounded::new(input, packed));
        let mut assembly = self.assemble(&ingest_request(request))?;
        let mut empty = true;
        read::each(&mut input, bounds(limits), |item| {
            empty = false;
            import(&mut assembly, item)
        })?;
        let (_, sha256, _) = input.finish();
        let found = Checksum::Sha256(sha256);
        match request.checksum {
            Some(expected) if expected != found => {
                return Err(TgzError::Checksum { expected, found });
            }
            _ if empty => return Err(TgzError::Empty),
            _ => {}
        }
        Ok(Imported { slug: assembly.finish()?, checksum: Some(found) })
    }
}

/// What the slug is made with.
pub(crate) fn ingest_request(request: &ImportRequest) -> IngestRequest {
    let ImportRequest { process_types, limits, .. } = request.clone();
    IngestRequest { process_types, limits, series: None }
}

/// How much an archive of a slug may hold.
pub(crate) fn bounds(limits: &Limits) -> Bounds {
    let entries = limits.source_entries;
    let bytes = limits.slug_hard.saturating_mul(UNPACKED);
    Bounds { entries, bytes: bytes.saturating_add(entries.saturating_mul(BYTES_PER_ENTRY)) }
}

pub(super) fn import(assembly: &mut Assembly<'_>, mut item: Item<'_>) -> Result<(), TgzError> {
    let path = normal(&item.path, &item.path)?;
    let below = match place::below_app(&path) {
        Place::Root | Place::App if item.kind == Kind::Directory => return Ok(()),
        Place::Below(below) => below,
        _ => return Err(TgzError::Elsewhere { name: display(&item.path) }),
    };
    let refused = |kind| Err(TgzError::Kind { name: display(&item.path), kind });
    let link = || TgzError::Link { name: display(&item.path), target: display(&item.link) };
    match item.kind {
        Kind::Directory => Ok(assembly.directory(below)?),
        Kind::File => file(assembly, below, &mut item),
        Kind::Symlink if !place::is_target(&item.link) => Err(link()),
        Kind::Symlink => Ok(assembly.symlink(below, &item.link)?),
        Kind::HardLink => {
            let target = place::normal(&item.link).map_err(|_| link())?;
            let Place::Below(target) = place::below_app(&target) else { return Err(link()) };
            Ok(assembly.hard_link(below, target)?)
        }
        Kind::Sparse => refused("a sparse file: pack it again without --sparse"),
        Kind::Other => refused("a device, a pipe or a socket"),
    }
}

fn file(assembly: &mut Assembly<'_>, path: &[u8], item: &mut Item<'_>) -> Result<(), TgzError> {
    let mut content = Watched { inner: &mut *item.content, error: None };
    let stored = assembly.file(path, item.executable, &mut content);
    match content.error {
        // The archive's fault, not the store's.
        Some(error) => Err(read::reading_entry(&item.path, error).into()),
        None => Ok(stored?),
    }
}

/// Keeps what a reader said last, which whoever reads on its behalf may tell as its own.
struct Watched<'a> {
    inner: &'a mut dyn Read,
    error: Option<std::io::Error>,
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let told = error.kind().into();
            self.error = Some(error);
            told
        })
    }
}

fn normal(path: &[u8], name: &[u8]) -> Result<Vec<u8>, TgzError> {
    place::normal(path).map_err(|why| TgzError::Place { name: display(name), why })
}

/// The text of `app/Procfile` in an archive; none where there is none, or it is no text.
pub fn procfile(input: impl Read, limits: &Limits) -> Result<Option<String>, ArchiveError> {
    let mut found = None;
    read::each(input, bounds(limits), |item| {
        let is_it = place::normal(&item.path).is_ok_and(|path| path == b"app/Procfile");
        if is_it && item.kind == Kind::File {
            let mut text = String::new();
            let read = item.content.take(PROCFILE).read_to_string(&mut text);
            found = read.ok().map(|_| text);
        }
        Ok::<_, ArchiveError>(())
    })?;
    Ok(found)
}
