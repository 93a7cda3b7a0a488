//! A slug to a registry, as an image.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::mpsc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use slugline_model::exchange::{RegistryTarget, StackChoice};
use slugline_model::size;
use slugline_model::slug::SlugId;

use super::client::{Access, Patience, Repository};
use super::reference::Reference;
use super::upload::check_told;
use super::{Manners, RegistryError};
use crate::Store;
use crate::oci::digest::Digest;
use crate::oci::document::MANIFEST;
use crate::oci::{BlobFile, Image, ImageRequest};

/// A blob that the registry lacks.
struct Wanted {
    digest: Digest,
    blob: BlobFile,
    what: String,
    /// A repository of the registry's that was given the blob before.
    mount: Option<String>,
}

impl Store {
    /// Sends a slug to a registry; gives the image's digest. What the registry has is not sent, and
    /// what broke off goes on where it did.
    pub fn push(
        &self,
        slug: &SlugId,
        stack: &StackChoice,
        target: &RegistryTarget,
        manners: &Manners,
        say: &mut dyn FnMut(&str),
    ) -> Result<Digest, RegistryError> {
        let reference: Reference = target.reference.parse()?;
        let repository = Repository::open(target, reference, manners.clone())?;
        let image = self.oci_image(&ImageRequest { slug, stack }, say)?;
        let given = Given::new(self, &repository);
        transfer(&repository, say, async |say| {
            let wanted = self.wanted(&repository, &image, &given, say).await?;
            send(&repository, &wanted, say).await?;
            given.remember(image.layers().iter().map(|layer| layer.facts.digest));
            put_config_and_manifest(&repository, &image).await
        })?;
        Ok(image.digest())
    }

    /// The layers that the registry lacks, with their blobs, which are packed now if they are no
    /// longer kept.
    async fn wanted(
        &self,
        repository: &Repository,
        image: &Image,
        given: &Given,
        say: &mut dyn FnMut(&str),
    ) -> Result<Vec<Wanted>, RegistryError> {
        let mut wanted: Vec<Wanted> = Vec::new();
        for layer in image.layers() {
            let (digest, what) = (layer.facts.digest, layer.what().to_owned());
            if wanted.iter().any(|known| known.digest == digest) {
                continue;
            }
            if repository.has_blob(&digest).await? {
                say(&format!("{what}: {}, already there", size::human(layer.size())));
                continue;
            }
            let blob = self.layer_blob(&image.cache, layer)?;
            wanted.push(Wanted { digest, blob, what, mount: given.repository_with(&digest) });
        }
        Ok(wanted)
    }
}

async fn send(
    repository: &Repository,
    wanted: &[Wanted],
    say: &mut dyn FnMut(&str),
) -> Result<(), RegistryError> {
    let said = RefCell::new(say);
    let uploads = wanted.iter().map(|wanted| {
        let Wanted { digest, blob, what, mount } = wanted;
        let said = &said;
        async move {
            let sent = std::cell::Cell::new(0);
            let progress = |more: u64| {
                sent.set(sent.get() + more);
                let (sent, of) = (size::human(sent.get()), size::human(blob.size));
                (said.borrow_mut())(&format!("{what}: {sent} of {of}"));
            };
            repository.upload(*digest, blob, mount.as_deref(), &progress).await
        }
    });
    let uploads = futures_util::stream::iter(uploads).buffer_unordered(repository.manners.parallel);
    uploads.try_collect().await
}

/// The manifest last: it is what makes the image visible.
async fn put_config_and_manifest(
    repository: &Repository,
    image: &Image,
) -> Result<(), RegistryError> {
    let config = Digest::of(&image.config);
    if !repository.has_blob(&config).await? {
        let file = crate::oci::unnamed_with(&image.cache, &image.config)?;
        let size = image.config.len() as u64;
        let blob = BlobFile { path: file.path().to_path_buf(), offset: 0, size };
        repository.upload(config, &blob, None, &|_| {}).await?;
    }
    put_manifest(repository, &image.manifest).await
}

async fn put_manifest(repository: &Repository, manifest: &[u8]) -> Result<(), RegistryError> {
    let what = format!("put the manifest of {}", repository.reference);
    let tag = repository.reference.tag.clone().unwrap_or_else(|| "latest".to_owned());
    let url = repository.url(&format!("manifests/{tag}"));
    let make = |request: reqwest::RequestBuilder| {
        request.header(CONTENT_TYPE, MANIFEST).body(manifest.to_vec())
    };
    let mut patience = Patience::new(&repository.manners);
    loop {
        let answer = repository.send(&what, (Method::PUT, &url), Access::Push, make).await;
        let error = match answer {
            Ok(answer) if answer.status().is_success() => {
                return check_told(&what, &answer, Digest::of(manifest));
            }
            Ok(answer) => repository.refused(&what, answer).await,
            Err(error) => error,
        };
        patience.after(error, 0).await?;
    }
}

/// Which repository of a registry was given which layer last, so that another one can have it from
/// there. What is wrong here costs time alone.
struct Given {
    directory: PathBuf,
    repository: String,
}

impl Given {
    fn new(store: &Store, repository: &Repository) -> Self {
        let host = repository.reference.host.replace(':', "_");
        let directory = store.layout.layers().join("given").join(host);
        Self { directory, repository: repository.reference.repository.clone() }
    }

    fn repository_with(&self, digest: &Digest) -> Option<String> {
        let name = fs_err::read_to_string(self.directory.join(digest.hex())).ok()?;
        let known = format!("localhost/{name}").parse::<Reference>().is_ok();
        (known && name != self.repository).then_some(name)
    }

    fn remember(&self, digests: impl Iterator<Item = Digest>) {
        let _ = fs_err::create_dir_all(&self.directory);
        for digest in digests {
            let _ = fs_err::write(self.directory.join(digest.hex()), &self.repository);
        }
    }
}

/// Runs a transfer to its end, on a thread of its own: what is said of it may block, and is said on
/// this one.
pub(crate) fn transfer<T: Send>(
    repository: &Repository,
    say: &mut dyn FnMut(&str),
    work: impl AsyncFnOnce(&mut dyn FnMut(&str)) -> Result<T, RegistryError> + Send,
) -> Result<T, RegistryError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let host = repository.reference.host.clone();
    let prepare = |error: std::io::Error| RegistryError::Prepare { host, source: error.into() };
    let runtime = runtime.map_err(prepare)?;
    let (sender, lines) = mpsc::channel::<String>();
    std::thread::scope(|scope| {
        let transfer = scope.spawn(move || {
            runtime.block_on(work(&mut |line: &str| drop(sender.send(line.to_owned()))))
        });
        for line in &lines {
            say(&line);
        }
        transfer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
