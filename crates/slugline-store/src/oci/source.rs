//! Images that came from elsewhere: a layout's directory, or an archive. Nothing in them is trusted:
//! each blob is held against its digest before any of it is used.

use std::collections::HashMap;
use std::io::{self, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::digest::Digest;
use super::document::{
    self, Config, DOCKER_INDEX, Descriptor, DocumentError, INDEX, Index, LARGEST, Manifest, Top,
    architecture,
};
use super::error::ImageError;
use super::layer::{Unnamed, unnamed};
use crate::Store;
use crate::archive::bounded::Bounded;
use crate::archive::digest::Hashed;
use crate::archive::place;
use crate::archive::read::{self, ArchiveError, Bounds, Kind};
use crate::error::writing;

/// How deep indexes may lie in each other.
const DEEPEST: usize = 3;

/// How many files an image archive may hold.
const ENTRIES: u64 = 10_000;

/// A blob of an image, in a file of its own or within an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BlobFile {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    /// Bytes.
    pub(crate) size: u64,
}

impl BlobFile {
    /// Its content from a byte on.
    pub(crate) fn open(&self, from: u64) -> io::Result<io::Take<fs_err::File>> {
        let mut file = fs_err::File::open(&self.path)?;
        file.seek(io::SeekFrom::Start(self.offset + from))?;
        Ok(file.take(self.size.saturating_sub(from)))
    }

    fn reading(&self) -> impl Fn(io::Error) -> ImageError {
        let path = self.path.clone();
        move |source| ImageError::Read { path: path.clone(), source }
    }
}

/// Where an image's blobs are.
#[derive(Debug)]
pub(crate) enum Blobs {
    /// An OCI layout.
    Layout(PathBuf),
    /// A tar archive, plain, with where each file of it lies.
    Archive {
        path: PathBuf,
        files: HashMap<Vec<u8>, Member>,
        /// Removed with this, where the archive had to be unpacked first.
        _spooled: Option<Unnamed>,
    },
}

/// What lies in an archive.
#[derive(Debug)]
pub(crate) enum Member {
    File { offset: u64, size: u64 },
    Link { target: Vec<u8> },
}

/// An image, with a layer's blob for each of its layers.
#[derive(Debug)]
pub(crate) struct SourceImage {
    pub(crate) config: Config,
    pub(crate) layers: Vec<SourceLayer>,
}

#[derive(Debug)]
pub(crate) struct SourceLayer {
    pub(crate) file: BlobFile,
    /// What the blob must hash to, where it is told.
    pub(crate) digest: Option<Digest>,
    pub(crate) diff_id: Digest,
}

impl Blobs {
    /// Opens an archive on the disk, packed or not; none if it holds no image.
    pub(crate) fn of_archive(
        store: &Store,
        path: &Path,
        largest: u64,
    ) -> Result<Option<Self>, ImageError> {
        let error = |source| ImageError::Read { path: path.to_path_buf(), source };
        let mut file = fs_err::File::open(path).map_err(error)?;
        let mut start = Vec::new();
        (&mut file).take(4).read_to_end(&mut start).map_err(error)?;
        file.rewind().map_err(error)?;
        if read::Packing::of(&start) == read::Packing::None {
            return Self::indexed(path, None);
        }
        Self::spooled(store, &mut file, largest)
    }

    /// Takes an archive from a stream, packed or not, to a file that goes when this does.
    pub(crate) fn spooled(
        store: &Store,
        input: &mut dyn Read,
        largest: u64,
    ) -> Result<Option<Self>, ImageError> {
        let staging = store.layout.staging();
        let mut spool = unnamed(&staging).map_err(writing(&staging))?;
        let reading = |source| ImageError::from(read::reading(1, source));
        let mut input = Bounded::new(read::unpacked(input).map_err(reading)?, largest);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = input.read(&mut buffer).map_err(reading)?;
            if read == 0 {
                break;
            }
            spool.file.write_all(&buffer[..read]).map_err(writing(&staging))?;
        }
        let path = spool.file.path().to_path_buf();
        Self::indexed(&path, Some(spool))
    }

    fn indexed(path: &Path, spooled: Option<Unnamed>) -> Result<Option<Self>, ImageError> {
        let files = index(path)?;
        let is_image =
            files.contains_key(&b"index.json"[..]) || files.contains_key(&b"manifest.json"[..]);
        let path = path.to_path_buf();
        Ok(is_image.then_some(Self::Archive { path, files, _spooled: spooled }))
    }

    /// The image for this kind of machine.
    pub(crate) fn image(&self) -> Result<SourceImage, ImageError> {
        match self.document("index.json")? {
            Some(index) => self.oci_image(&index),
            None => self.docker_image(),
        }
    }

    fn oci_image(&self, index: &[u8]) -> Result<SourceImage, ImageError> {
        let index = document::parse_index(index).map_err(told("index.json"))?;
        let manifest = choose(&Top::Index(index), &mut |wanted| self.blob_bytes(wanted))?;
        let config = self.blob_bytes(&manifest.config)?;
        let config = document::parse_config(&config).map_err(told("configuration"))?;
        let diff_ids = diff_ids(&config, manifest.layers.len())?;
        let layers = manifest.layers.iter().zip(diff_ids).map(|(descriptor, diff_id)| {
            let (file, digest) = (self.blob(descriptor)?, Some(descriptor.digest));
            Ok(SourceLayer { file, digest, diff_id })
        });
        let layers = layers.collect::<Result<_, ImageError>>()?;
        Ok(SourceImage { config, layers })
    }

    fn docker_image(&self) -> Result<SourceImage, ImageError> {
        let missing = |name: &str| ImageError::Missing { digest: name.to_owned() };
        let list = self.document("manifest.json")?.ok_or_else(|| missing("manifest.json"))?;
        let images = document::parse_docker_images(&list).map_err(told("manifest.json"))?;
        let [image] = images.as_slice() else {
            let what = format!("an archive of {} images", images.len());
            return Err(ImageError::NoImage { architecture: architecture(), what });
        };
        let config = self.document(&image.config)?.ok_or_else(|| missing(&image.config))?;
        let config = document::parse_config(&config).map_err(told("configuration"))?;
        let diff_ids = diff_ids(&config, image.layers.len())?;
        let layers = image.layers.iter().zip(diff_ids).map(|(name, diff_id)| {
            let file = self.file(name.as_bytes()).ok_or_else(|| missing(name))?;
            Ok(SourceLayer { file, digest: None, diff_id })
        });
        let layers = layers.collect::<Result<_, ImageError>>()?;
        Ok(SourceImage { config, layers })
    }

    fn blob_bytes(&self, wanted: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let bytes = small(&self.blob(wanted)?, &wanted.digest.to_string())?;
        match Digest::of(&bytes) {
            found if found == wanted.digest => Ok(bytes),
            found => Err(ImageError::Damaged { expected: wanted.digest, found }),
        }
    }

    fn blob(&self, wanted: &Descriptor) -> Result<BlobFile, ImageError> {
        let name = format!("blobs/sha256/{}", wanted.digest.hex());
        let missing = || ImageError::Missing { digest: wanted.digest.to_string() };
        let file = self.file(name.as_bytes()).ok_or_else(missing)?;
        if file.size == wanted.size {
            return Ok(file);
        }
        let (digest, expected, found) = (wanted.digest, wanted.size, file.size);
        Err(ImageError::Size { digest, expected, found })
    }

    /// A small file by its name; none if there is none.
    fn document(&self, name: &str) -> Result<Option<Vec<u8>>, ImageError> {
        self.file(name.as_bytes()).map(|file| small(&file, name)).transpose()
    }

    fn file(&self, name: &[u8]) -> Option<BlobFile> {
        match self {
            Self::Layout(root) => {
                // Names of a layout are ours, and never a manifest's.
                let path = root.join(crate::tree::as_path(name));
                let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file)?;
                Some(BlobFile { path, offset: 0, size: metadata.len() })
            }
            Self::Archive { path, files, .. } => {
                let member = match files.get(name)? {
                    // `docker save` of old wrote a layer that it had already so.
                    Member::Link { target } => files.get(&beside(name, target)?)?,
                    member @ Member::File { .. } => member,
                };
                let Member::File { offset, size } = *member else { return None };
                Some(BlobFile { path: path.clone(), offset, size })
            }
        }
    }
}

/// The image of an index that is for this kind of machine.
pub(crate) fn fitting(index: &Index) -> Option<&Descriptor> {
    index.manifests.iter().find(|candidate| match &candidate.platform {
        Some(platform) => platform.os == "linux" && platform.architecture == architecture(),
        None => true,
    })
}

/// The manifest for this kind of machine, by way of indexes that may lie in each other.
fn choose(
    top: &Top,
    fetch: &mut dyn FnMut(&Descriptor) -> Result<Vec<u8>, ImageError>,
) -> Result<Manifest, ImageError> {
    let mut top = top.clone();
    for _ in 0..DEEPEST {
        let index = match top {
            Top::Manifest(manifest) => return Ok(manifest),
            Top::Index(index) => index,
        };
        let chosen = fitting(&index).ok_or_else(|| ImageError::NoImage {
            architecture: architecture(),
            what: format!("an index of {} images", index.manifests.len()),
        })?;
        let bytes = fetch(chosen)?;
        let is_index = [INDEX, DOCKER_INDEX].contains(&chosen.media_type.as_str());
        top = if is_index {
            document::parse_index(&bytes).map(Top::Index).map_err(told("index"))?
        } else {
            document::parse_manifest(&bytes).map(Top::Manifest).map_err(told("manifest"))?
        };
    }
    match top {
        Top::Manifest(manifest) => Ok(manifest),
        Top::Index(_) => Err(ImageError::TooDeep),
    }
}

fn diff_ids(config: &Config, listed: usize) -> Result<Vec<Digest>, ImageError> {
    let diff_ids = config.rootfs.diff_ids.clone();
    if diff_ids.len() == listed {
        return Ok(diff_ids);
    }
    let source = DocumentError::Layers { configured: diff_ids.len(), listed };
    Err(ImageError::Document { what: "configuration".to_owned(), source })
}

/// Makes an error of what is wrong with a document.
pub(crate) fn told(what: &str) -> impl FnOnce(DocumentError) -> ImageError {
    let what = what.to_owned();
    move |source| ImageError::Document { what, source }
}

fn small(file: &BlobFile, what: &str) -> Result<Vec<u8>, ImageError> {
    if file.size > LARGEST {
        return Err(told(what)(DocumentError::TooLarge));
    }
    let mut bytes = Vec::new();
    let mut content = file.open(0).map_err(file.reading())?;
    content.read_to_end(&mut bytes).map_err(file.reading())?;
    Ok(bytes)
}

/// Where each file of a plain archive lies.
fn index(path: &Path) -> Result<HashMap<Vec<u8>, Member>, ImageError> {
    let error = |source| ImageError::Read { path: path.to_path_buf(), source };
    let file = fs_err::File::open(path).map_err(error)?;
    let bounds = Bounds { entries: ENTRIES, bytes: file.metadata().map_err(error)?.len() };
    let mut files = HashMap::new();
    read::each_unpacked(io::BufReader::new(file), bounds, |item| {
        // A name that has no place below a root names nothing that is asked for.
        let Ok(name) = place::normal(&item.path) else { return Ok(()) };
        match item.kind {
            Kind::File => {
                let member = Member::File { offset: item.offset, size: item.size };
                files.insert(name, member);
            }
            Kind::Symlink => {
                files.insert(name, Member::Link { target: item.link });
            }
            _ => {}
        }
        Ok::<_, ArchiveError>(())
    })?;
    Ok(files)
}

/// The path that a link beside a file names, from the root.
fn beside(name: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut names: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    names.pop();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b".." => drop(names.pop()?),
            b"" | b"." => {}
            part => names.push(part),
        }
    }
    Some(names.join(&b'/'))
}

/// Reads a blob to its end; gives what it hashes to, and what it does unpacked.
pub(crate) fn digests(
    file: &BlobFile,
    bounds: Bounds,
    visit: &mut dyn FnMut(read::Item<'_>) -> Result<(), ImageError>,
) -> Result<(Digest, Digest, u64), ImageError> {
    let mut blob = Hashed::new(file.open(0).map_err(file.reading())?);
    let first = |source| ImageError::from(read::reading(1, source));
    let mut tar = Hashed::new(read::unpacked(&mut blob).map_err(first)?);
    read::each_unpacked(&mut tar, bounds, visit)?;
    let (rest, diff_id, bytes) = tar.finish();
    drop(rest);
    io::copy(&mut blob, &mut io::sink()).map_err(file.reading())?;
    let (_, digest, _) = blob.finish();
    Ok((Digest(digest), Digest(diff_id), bytes))
}
