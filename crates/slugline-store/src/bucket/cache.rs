//! What is known here of a bucket: its indexes, which slugs this machine put there, and how far an
//! interrupted transfer came. All of it only saves time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slugline_model::slug::SlugId;

use crate::bucket::index::{self, Entry, Index, Thing, is_pack};
use crate::bucket::packing::pack_name;
use crate::bucket::record::is_hash;
use crate::bucket::trouble::Trouble;
use crate::bucket::{Bucket, crew, write_small};
use crate::error::{Result, reading, writing};
use crate::object::ObjectKey;

/// Files about one bucket.
#[derive(Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

/// Where things lie in the bucket.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By number in `packs`.
    pub(crate) of: HashMap<Thing, (usize, Entry)>,
    pub(crate) packs: Vec<KnownPack>,
}

/// A pack of which an index tells.
#[derive(Debug)]
pub(crate) struct KnownPack {
    pub(crate) index: String,
    pub(crate) name: String,
}

impl Cache {
    pub(crate) fn open(root: PathBuf) -> Result<Self> {
        let cache = Self { root };
        for directory in [cache.indexes(), cache.mine(), cache.uploads(), cache.parts()] {
            fs_err::create_dir_all(&directory).map_err(writing(&directory))?;
        }
        Ok(cache)
    }

    fn indexes(&self) -> PathBuf {
        self.root.join("indexes")
    }

    fn mine(&self) -> PathBuf {
        self.root.join("mine")
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// How far the upload of a large object came.
    pub(crate) fn upload(&self, object: ObjectKey) -> PathBuf {
        self.uploads().join(object.to_string())
    }

    /// The parts of a large object that have come.
    pub(crate) fn parts_of(&self, object: ObjectKey) -> PathBuf {
        self.parts().join(object.to_string())
    }

    /// The slugs that this machine has put into the bucket, or found there when it would have.
    pub(crate) fn slugs(&self) -> Result<Vec<SlugId>> {
        let names = list(&self.mine())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    pub(crate) fn note_slug(&self, id: &SlugId) -> Result<()> {
        let path = self.mine().join(id.as_str());
        fs_err::write(&path, "").map_err(writing(&path))
    }

    pub(crate) fn forget_slug(&self, id: &SlugId) -> Result<()> {
        remove(&self.mine().join(id.as_str()))
    }

    pub(crate) fn note_index(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_small(&self.indexes().join(name), bytes)
    }

    pub(crate) fn forget_index(&self, name: &str) -> Result<()> {
        remove(&self.indexes().join(name))
    }

    /// Forgets the indexes that the bucket no longer has.
    pub(crate) fn keep_indexes(&self, there: &BTreeSet<String>) -> Result<()> {
        let known = list(&self.indexes())?;
        let gone = known.iter().filter(|name| !there.contains(*name));
        gone.into_iter().try_for_each(|name| self.forget_index(name))
    }

    /// An index that is known here, if it is whole.
    pub(crate) fn index(&self, name: &str) -> Option<Index> {
        Index::decode(name, &self.index_bytes(name)?)
    }

    pub(crate) fn index_bytes(&self, name: &str) -> Option<Vec<u8>> {
        fs_err::read(self.indexes().join(name)).ok()
    }

    /// Where in the bucket it is said that this machine needs a slug.
    pub(crate) fn owner_name(&self, id: &SlugId) -> Result<String> {
        Ok(format!("owners/{id}/{}", self.machine()?))
    }

    /// What tells this machine from others, made at the first asking.
    fn machine(&self) -> Result<String> {
        let path = self.root.join("machine");
        let is_mark = |mark: &String| is_pack(&format!("{}-{mark}", "0".repeat(64)));
        if let Some(mark) = fs_err::read_to_string(&path).ok().filter(is_mark) {
            return Ok(mark);
        }
        let name = pack_name(blake3::hash(b"machine"));
        let mark = name.rsplit('-').next().unwrap_or_default().to_owned();
        write_small(&path, mark.as_bytes())?;
        Ok(mark)
    }

    /// Whether this machine has said that it needs a slug.
    pub(crate) fn has_slug(&self, id: &SlugId) -> bool {
        self.mine().join(id.as_str()).exists()
    }

    /// Gets the indexes that are not known here yet. Those that the bucket does not have, or has
    /// damaged, are passed over: what only they know of is missing then.
    pub(crate) fn learn(&self, bucket: &Bucket, names: &BTreeSet<String>) -> Result<()> {
        let lacking = names.iter().filter(|name| is_hash(name) && self.index(name).is_none());
        let jobs = lacking.map(|name| {
            let (client, name) = (Arc::clone(&bucket.client), name.clone());
            Ok(async move {
                match client.get(&format!("indexes/{name}"), index::SQUEEZED).await {
                    Ok(bytes) => Ok(Some((name, bytes))),
                    Err(error) if error.trouble.is_of_content() => Ok(None),
                    Err(error) => Err(error.into()),
                }
            })
        });
        crew::each(bucket.runtime(), jobs, |learnt| match learnt {
            Some((name, bytes)) if Index::decode(&name, &bytes).is_some() => {
                self.note_index(&name, &bytes)
            }
            _ => Ok(()),
        })
    }

    /// Finds things by these indexes. Only what is looked for is kept in memory.
    pub(crate) fn find(&self, wanted: &HashSet<Thing>, indexes: &BTreeSet<String>) -> Places {
        let mut places = Places::default();
        for name in indexes {
            let Some(index) = self.index(name) else { continue };
            let number = places.packs.len();
            for entry in &index.entries {
                if wanted.contains(&entry.thing) {
                    places.of.entry(entry.thing).or_insert((number, *entry));
                }
            }
            places.packs.push(KnownPack { index: name.clone(), name: index.pack });
        }
        places
    }
}

impl Bucket {
    /// The names of all indexes.
    pub(crate) fn index_names(&self) -> Result<BTreeSet<String>> {
        let listed = self.wait(self.client.list("indexes"))?;
        Ok(listed.into_iter().map(|(name, _)| name).filter(|name| is_hash(name)).collect())
    }

    /// That something is not in the bucket which should be.
    pub(crate) fn missing(&self, name: &str) -> crate::StoreError {
        self.client.error("find", name, Trouble::Missing).into()
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs_err::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(writing(path)(error)),
        _ => Ok(()),
    }
}

fn list(directory: &Path) -> Result<Vec<String>> {
    let entries = fs_err::read_dir(directory).map_err(reading(directory))?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name()));
    let names = names.collect::<std::io::Result<Vec<_>>>().map_err(reading(directory))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}
