//! Layers that were packed before, below the store's `layers/`: what each is, by what went into it,
//! and its blob for as long as there is room.
//!
//! `facts/KEY` is a line `DIGEST SIZE DIFF_ID`; `blobs/HEX` is a gzip tar. A fact outlives its blob:
//! a registry that has the layer needs none.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::digest::Digest;
use super::error::ImageError;
use crate::Store;
use crate::archive::digest::Hashed;
use crate::archive::write::TarWriter;
use crate::error::writing;

/// How much is kept of blobs that nobody asks for now (bytes).
const QUOTA: u64 = 4 << 30;

/// As `gzip` packs.
const LEVEL: u32 = 6;

/// What a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Of the blob.
    pub(crate) digest: Digest,
    /// Of the blob (bytes).
    pub(crate) size: u64,
    /// Of the tar in the blob.
    pub(crate) diff_id: Digest,
}

/// A layer in the making.
pub(crate) type LayerWriter<'a> =
    TarWriter<Hashed<GzEncoder<Hashed<io::BufWriter<&'a mut fs_err::File>>>>>;

/// Writes all the entries of a layer.
pub(crate) type PackLayer<'a> = dyn FnMut(&mut LayerWriter<'_>) -> Result<(), ImageError> + 'a;

/// The layers of a store.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(crate) fn open(store: &Store) -> Result<Self, ImageError> {
        let root = store.layout.layers();
        for directory in [root.clone(), root.join("facts"), root.join("blobs")] {
            crate::make_private_directory(&directory).map_err(writing(&directory))?;
        }
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What a layer is; packed if it never was.
    pub(crate) fn facts(&self, key: &str, pack: &mut PackLayer<'_>) -> Result<Facts, ImageError> {
        let path = self.root.join("facts").join(key);
        let known = fs_err::read_to_string(&path).ok().and_then(|text| parse(&text));
        if let Some(facts) = known {
            return Ok(facts);
        }
        let facts = self.pack(pack)?;
        let line = format!("{} {} {}\n", facts.digest, facts.size, facts.diff_id);
        self.publish(&path, line.as_bytes())?;
        Ok(facts)
    }

    /// The blob of a layer; packed again if it is no longer kept.
    pub(crate) fn blob(
        &self,
        facts: &Facts,
        pack: &mut PackLayer<'_>,
    ) -> Result<PathBuf, ImageError> {
        let path = self.blob_path(&facts.digest);
        if let Ok(file) = fs_err::File::options().append(true).open(&path)
            && file.metadata().is_ok_and(|found| found.len() == facts.size)
        {
            // What was asked for last goes last.
            let _ = file.file().set_modified(SystemTime::now());
            return Ok(path);
        }
        let found = self.pack(pack)?;
        if found == *facts {
            Ok(path)
        } else {
            // What it is made of changed meanwhile: a stack that the operator updated.
            Err(ImageError::Damaged { expected: facts.digest, found: found.digest })
        }
    }

    /// Removes blobs that were not asked for lately, but for these, until the rest fits the quota.
    pub(crate) fn prune(&self, keep: &[Digest]) {
        let directory = self.root.join("blobs");
        let mut blobs: Vec<_> = fs_err::read_dir(&directory)
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        blobs.sort();
        let mut total: u64 = blobs.iter().map(|(_, size, _)| size).sum();
        let kept: Vec<PathBuf> = keep.iter().map(|digest| self.blob_path(digest)).collect();
        for (_, size, path) in blobs {
            if total > QUOTA && !kept.contains(&path) && fs_err::remove_file(&path).is_ok() {
                total -= size;
            }
        }
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("blobs").join(digest.hex())
    }

    fn pack(&self, pack: &mut PackLayer<'_>) -> Result<Facts, ImageError> {
        let blobs = self.root.join("blobs");
        let mut file = crate::oci::layer::unnamed(&self.root).map_err(writing(&blobs))?;
        let written = |source| ImageError::Pack { what: "a layer".to_owned(), source };
        let blob = Hashed::new(io::BufWriter::with_capacity(1 << 16, &mut file.file));
        let mut tar = TarWriter::new(Hashed::new(GzEncoder::new(blob, Compression::new(LEVEL))));
        pack(&mut tar)?;
        let (packed, diff_id, _) = tar.finish().map_err(written)?.finish();
        let (mut buffered, digest, size) = packed.finish().map_err(written)?.finish();
        buffered.flush().map_err(written)?;
        drop(buffered);
        let facts = Facts { digest: Digest(digest), size, diff_id: Digest(diff_id) };
        file.publish(&self.blob_path(&facts.digest)).map_err(writing(&blobs))?;
        Ok(facts)
    }

    fn publish(&self, path: &Path, content: &[u8]) -> Result<(), ImageError> {
        let mut file = crate::oci::layer::unnamed(&self.root).map_err(writing(path))?;
        file.file.write_all(content).map_err(writing(path))?;
        Ok(file.publish(path).map_err(writing(path))?)
    }
}

fn parse(line: &str) -> Option<Facts> {
    let mut fields = line.strip_suffix('\n')?.split(' ');
    let (digest, size, diff_id) = (fields.next()?, fields.next()?, fields.next()?);
    let facts = Facts {
        digest: digest.parse().ok()?,
        size: size.parse().ok()?,
        diff_id: diff_id.parse().ok()?,
    };
    fields.next().is_none().then_some(facts)
}
