//! The slug store, as the platform's port asks for it.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use slugline_model::care::{Checked, Removed};
use slugline_model::limits::Limits;
use slugline_model::listing::Listing;
use slugline_model::name::AppName;
use slugline_model::port::{
    CheckRequest, CheckoutError, IngestError, Keep, ReadError, SlugStore, SweepError,
};
use slugline_model::procfile::ProcessTypes;
use slugline_model::retention::Object;
use slugline_model::slug::{SlugId, SlugSummary};
use slugline_store::{IngestRequest, ObjectKey, Store, StoreError};

use crate::{slug_reading, store_care};

/// The local directory of slugs.
pub(crate) struct LocalSlugs(pub(crate) Store);

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
        self.0.ingest(tree, &request, &mut |_| {}).map_err(|error| match error {
            StoreError::TooLarge { packed_bytes, .. } => IngestError::TooLarge { packed_bytes },
            StoreError::DiskFull { .. } => IngestError::DiskFull,
            other => IngestError::Store(with_causes(&other)),
        })
    }

    fn checkout(&self, id: &SlugId) -> Result<PathBuf, CheckoutError> {
        let app = self.0.checkout(id).map_err(|error| CheckoutError(with_causes(&error)))?;
        let root = app.parent().map(Path::to_path_buf);
        root.ok_or_else(|| CheckoutError(format!("{} has no parent", app.display())))
    }

    // The care of the store, and reading what is in it.

    fn sweep(&self, keep: &mut Keep<'_>) -> Result<Option<Removed>, SweepError> {
        let swept = self.0.sweep_but(keep).map_err(|error| SweepError(with_causes(&error)))?;
        Ok(swept.map(store_care::removed))
    }

    fn sweep_preview(&self, keep: &[SlugId]) -> Result<Removed, SweepError> {
        let swept = self.0.sweep_preview(keep);
        swept.map(store_care::removed).map_err(|error| SweepError(with_causes(&error)))
    }

    fn fsck(
        &self,
        request: &CheckRequest,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Checked, ReadError> {
        store_care::fsck(&self.0, request, progress)
    }

    fn objects(&self, slugs: &[SlugId]) -> Result<HashMap<Object, u64>, ReadError> {
        self.0.objects_of(slugs).map_err(unread)
    }

    fn listing(&self, id: &SlugId) -> Result<Listing, ReadError> {
        slug_reading::listing(&self.0, id).map_err(unread)
    }

    fn open(&self, (hash, executable): Object) -> Result<Box<dyn Read + Send>, ReadError> {
        let object = ObjectKey { hash, executable };
        Ok(Box::new(slug_reading::open_whole(&self.0, object)?))
    }

    fn archive(&self, id: &SlugId, path: &[u8], out: &mut dyn Write) -> Result<(), ReadError> {
        slug_reading::archive(&self.0, id, path, out)
    }

    fn verify(&self, id: &SlugId) -> Result<(), ReadError> {
        self.0.verify(id).map_err(unread)
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
