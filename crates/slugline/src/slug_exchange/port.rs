//! The store, as the platform's port asks for it where slugs come and go.

use std::error::Error;
use std::io::{Read, Write};

use slugline_model::exchange::{
    ExchangeError, ExportFormat, Exported, Extended, ImportRequest, Imported, RegistryTarget,
    SlugExchange, StackChoice,
};
use slugline_model::limits::Limits;
use slugline_model::slug::SlugId;
use slugline_store::StoreError;
use slugline_store::oci::{ImageError, ImageRequest};
use slugline_store::registry::{Manners, RegistryError};
use slugline_store::tgz::TgzError;

use crate::slugs::{LocalSlugs, with_causes};

impl SlugExchange for LocalSlugs {
    fn export(
        &self,
        slug: &SlugId,
        format: &ExportFormat,
        out: &mut dyn Write,
    ) -> Result<Exported, ExchangeError> {
        match format {
            ExportFormat::Tgz => self.store.export_tgz(slug, out).map_err(|error| failed(&error)),
            ExportFormat::OciArchive { stack, name } => {
                let image = self.store.oci_image(&ImageRequest { slug, stack }, &mut |_| {});
                let image = image.map_err(|error| of_image(&error))?;
                let written = self.store.write_image(&image, name.as_deref(), out);
                written.map_err(|error| of_image(&error))
            }
        }
    }

    fn import(
        &self,
        request: &ImportRequest,
        input: &mut dyn Read,
    ) -> Result<Imported, ExchangeError> {
        let imported = self.store.import(input, request);
        self.shared(imported.map_err(|error| told(&error, error.of_store()))?)
    }

    fn extend(
        &self,
        slug: &SlugId,
        additions: &mut dyn Read,
        limits: &Limits,
    ) -> Result<Extended, ExchangeError> {
        let extended = self.store.extend(slug, additions, limits).map_err(|error| {
            let of_store = if let TgzError::Store(store) = &error { Some(store) } else { None };
            told(&error, of_store)
        })?;
        self.store.share(&extended.slug.id).map_err(|error| failed(&error))?;
        Ok(extended)
    }

    fn push(
        &self,
        slug: &SlugId,
        stack: &StackChoice,
        target: &RegistryTarget,
        say: &mut dyn FnMut(&str),
    ) -> Result<String, ExchangeError> {
        let pushed = self.store.push(slug, stack, target, &Manners::default(), say);
        pushed.map(|digest| digest.to_string()).map_err(|error| of_registry(&error))
    }

    fn pull(
        &self,
        target: &RegistryTarget,
        request: &ImportRequest,
        say: &mut dyn FnMut(&str),
    ) -> Result<Imported, ExchangeError> {
        let pulled = self.store.pull(target, request, &Manners::default(), say);
        self.shared(pulled.map_err(|error| of_registry(&error))?)
    }
}

impl LocalSlugs {
    /// As after a build: what runs can be had again by whoever has the bucket.
    fn shared(&self, imported: Imported) -> Result<Imported, ExchangeError> {
        self.store.share(&imported.slug.id).map_err(|error| failed(&error))?;
        Ok(imported)
    }
}

fn of_image(error: &ImageError) -> ExchangeError {
    match error {
        ImageError::Store(store) => told(error, Some(store)),
        other => told(other, None),
    }
}

fn of_registry(error: &RegistryError) -> ExchangeError {
    match error {
        RegistryError::Store(store) | RegistryError::Image(ImageError::Store(store)) => {
            told(error, Some(store))
        }
        other => told(other, None),
    }
}

fn failed(error: &StoreError) -> ExchangeError {
    told(error, Some(error))
}

/// What is the store's own fault is told apart from what came, or what was asked for.
fn told(error: &dyn Error, of_store: Option<&StoreError>) -> ExchangeError {
    match of_store {
        Some(StoreError::TooLarge { packed_bytes, .. }) => {
            ExchangeError::TooLarge { packed_bytes: *packed_bytes }
        }
        Some(StoreError::DiskFull { .. }) => ExchangeError::DiskFull,
        Some(
            StoreError::BadPath { .. } | StoreError::TooMany { .. } | StoreError::TooMuch { .. },
        )
        | None => ExchangeError::Refused(with_causes(error)),
        Some(_) => ExchangeError::Store(with_causes(error)),
    }
}
