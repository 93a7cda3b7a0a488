//! The slug store, as the platform's port asks for it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;

use slugline_model::care::{Checked, Removed};
use slugline_model::limits::Limits;
use slugline_model::listing::Listing;
use slugline_model::name::AppName;
use slugline_model::port::{
    CheckRequest, CheckoutError, IngestError, Keep, ReadError, SlugStore, SweepError,
};
use slugline_model::procfile::ProcessTypes;
use slugline_model::retention::Object;
use slugline_model::slug::{SlugId, SlugSummary, SlugView};
use slugline_store::bucket::Bucket;
use slugline_store::{IngestRequest, ObjectKey, Store, StoreError};

use crate::bucket::not_shared;
use crate::{slug_reading, store_care};

/// The local directory of slugs, and its home where it has one.
pub(crate) struct LocalSlugs {
    pub(crate) store: Store,
    /// Whether dynos see slugs as mounts of their images, or as trees of hard links.
    mounted: bool,
}

impl LocalSlugs {
    /// A store in this data directory. Slugs are mounted where the kernel lets this process do so.
    pub(crate) fn new(store: Store, data_dir: &Path) -> Self {
        let mounted = try_to_mount(data_dir);
        if let Err(why) = &mounted {
            tracing::debug!(why, "slugs are checked out as hard links");
        }
        Self { store, mounted: mounted.is_ok() }
    }
}

/// Whether a slug of a store in this directory can be mounted; why not, if not.
pub(crate) fn try_to_mount(directory: &Path) -> Result<(), String> {
    if !slugline_dyno::is_host_root() {
        return Err("only root may mount them".to_owned());
    }
    let probe = || -> Result<_, StoreError> {
        let failed = |source| StoreError::Write { path: directory.to_owned(), source };
        let scratch = tempfile::tempdir_in(directory).map_err(failed)?;
        let tree = scratch.path().join("tree");
        fs_err::create_dir(&tree)
            .and_then(|()| fs_err::write(tree.join("probe"), "probe"))
            .map_err(failed)?;
        let store = Store::open(scratch.path().join("store"))?;
        let slug = store.ingest(&tree, &IngestRequest::default(), &mut |_| {})?;
        Ok((store.image(&slug.id)?, store.objects(), scratch))
    };
    let (image, objects, _scratch) = probe().map_err(|error| with_causes(&error))?;
    slugline_dyno::can_mount_slugs(&image, &objects)
}

impl SlugStore for LocalSlugs {
    fn ingest(
        &self,
        app: &AppName,
        tree: &Path,
        process_types: &ProcessTypes,
        limits: &Limits,
    ) -> Result<SlugSummary, IngestError> {
        let request = IngestRequest {
            process_types: process_types.clone(),
            limits: limits.clone(),
            series: Some(app.clone()),
        };
        let summary = self.store.ingest(tree, &request, &mut |_| {}).map_err(ingest_error)?;
        // Before the release is written: what runs can be had again by whoever has the bucket.
        self.store.share(&summary.id).map_err(ingest_error)?;
        Ok(summary)
    }

    fn checkout(&self, id: &SlugId) -> Result<SlugView, CheckoutError> {
        self.view(id).map_err(|error| CheckoutError(with_causes(&error)))
    }

    // The care of the store, and reading what is in it.

    fn sweep(&self, keep: &mut Keep<'_>) -> Result<Option<Removed>, SweepError> {
        let swept = self.store.sweep_but(keep).map_err(|error| SweepError(with_causes(&error)))?;
        if swept.is_some() {
            self.collect(keep);
        }
        Ok(swept.map(store_care::removed))
    }

    fn sweep_preview(&self, keep: &[SlugId]) -> Result<Removed, SweepError> {
        let swept = self.store.sweep_preview(keep);
        swept.map(store_care::removed).map_err(|error| SweepError(with_causes(&error)))
    }

    fn fsck(
        &self,
        request: &CheckRequest,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Checked, ReadError> {
        store_care::fsck(&self.store, request, progress)
    }

    fn objects(&self, slugs: &[SlugId]) -> Result<HashMap<Object, u64>, ReadError> {
        self.store.objects_of(slugs).map_err(unread)
    }

    fn listing(&self, id: &SlugId) -> Result<Listing, ReadError> {
        slug_reading::listing(&self.store, id).map_err(unread)
    }

    fn open(&self, (hash, executable): Object) -> Result<Box<dyn Read + Send>, ReadError> {
        let object = ObjectKey { hash, executable };
        Ok(Box::new(slug_reading::open_whole(&self.store, object)?))
    }

    fn archive(&self, id: &SlugId, path: &[u8], out: &mut dyn Write) -> Result<(), ReadError> {
        slug_reading::archive(&self.store, id, path, out)
    }

    fn verify(&self, id: &SlugId) -> Result<(), ReadError> {
        self.store.verify(id).map_err(unread)
    }
}

impl LocalSlugs {
    /// What is to go from the bucket can go the next time too: it is no reason for a sweep to fail.
    fn collect(&self, keep: &mut Keep<'_>) {
        // A server that starts does not wait for a bucket that may not answer.
        if !self.store.bucket().is_some_and(Bucket::has_answered) {
            return;
        }
        match self.store.collect_but(keep) {
            Ok(collected) => tracing::debug!(?collected, "the bucket is swept"),
            Err(error) => tracing::warn!(why = with_causes(&error), "the bucket is not swept"),
        }
    }

    fn view(&self, id: &SlugId) -> Result<SlugView, StoreError> {
        if self.mounted {
            return Ok(SlugView::Image {
                image: self.store.image(id)?,
                objects: self.store.objects(),
            });
        }
        let app = self.store.checkout(id)?;
        Ok(SlugView::Tree(app.parent().unwrap_or(&app).to_path_buf()))
    }
}

fn ingest_error(error: StoreError) -> IngestError {
    match error {
        StoreError::TooLarge { packed_bytes, .. } => IngestError::TooLarge { packed_bytes },
        StoreError::DiskFull { .. } => IngestError::DiskFull,
        StoreError::Bucket(error) => IngestError::NotShared(not_shared(&error)),
        other => IngestError::Store(with_causes(&other)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(crate) fn unread(error: StoreError) -> ReadError {
    ReadError(with_causes(&error))
}

pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
