//! The slug store, as the platform's port asks for it.

use std::path::{Path, PathBuf};

use slugline_model::limits::Limits;
use slugline_model::name::AppName;
use slugline_model::port::{CheckoutError, IngestError, SlugStore, SweepError};
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::{SlugId, SlugSummary};
use slugline_store::{IngestRequest, Store, StoreError};

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

    fn sweep(&self, keep: &[SlugId]) -> Result<(), SweepError> {
        self.0.sweep(keep).map(drop).map_err(|error| SweepError(with_causes(&error)))
    }
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
