//! A store that takes any bytes for an archive.

use std::io::{Read, Write};
use std::path::Path;

use slugline_model::exchange::{
    Checksum, ExchangeError, ExportFormat, Exported, Extended, ImportRequest, Imported,
    RegistryTarget, SlugExchange, StackChoice,
};
use slugline_model::limits::Limits;
use slugline_model::port::SlugStore as _;
use slugline_model::procfile::ProcessTypes;
use slugline_model::slug::{SlugId, SlugSummary};

use super::FakeStore;

/// Takes any bytes for an archive, and gives them back.
impl SlugExchange for FakeStore {
    fn export(
        &self,
        _: &SlugId,
        _: &ExportFormat,
        out: &mut dyn Write,
    ) -> Result<Exported, ExchangeError> {
        out.write_all(b"an archive").map_err(|error| ExchangeError::Store(error.to_string()))?;
        Ok(Exported { bytes: 10, checksum: Checksum::Sha256([7; 32]) })
    }

    fn import(
        &self,
        request: &ImportRequest,
        input: &mut dyn Read,
    ) -> Result<Imported, ExchangeError> {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(|error| ExchangeError::Store(error.to_string()))?;
        if bytes == b"hostile" {
            return Err(ExchangeError::Refused("it is hostile".to_owned()));
        }
        let slug = self.ingest(
            &"library".parse().unwrap(),
            Path::new("/"),
            &request.process_types,
            &request.limits,
        );
        Ok(Imported { slug: slug.unwrap(), checksum: Some(Checksum::Sha256([5; 32])) })
    }

    fn extend(
        &self,
        slug: &SlugId,
        additions: &mut dyn Read,
        _: &Limits,
    ) -> Result<Extended, ExchangeError> {
        let mut bytes = Vec::new();
        additions.read_to_end(&mut bytes).map_err(|e| ExchangeError::Store(e.to_string()))?;
        assert_eq!(bytes.len(), 1_024, "the end of a tar");
        let id = slug.as_str().replace('a', "b").parse().unwrap();
        let slug = SlugSummary {
            id,
            process_types: ProcessTypes::default(),
            files: 2,
            bytes: 14,
            packed_bytes: 15,
            new_files: 1,
        };
        Ok(Extended { slug, added: vec!["static/CACHE/out.css".to_owned()], bytes: 12 })
    }

    fn push(
        &self,
        _: &SlugId,
        _: &StackChoice,
        target: &RegistryTarget,
        say: &mut dyn FnMut(&str),
    ) -> Result<String, ExchangeError> {
        say("app: 1B of 1B");
        if target.credentials.is_some() {
            return Ok(format!("sha256 of {}", target.reference));
        }
        Err(ExchangeError::Refused("it wants a login".to_owned()))
    }

    fn pull(
        &self,
        _: &RegistryTarget,
        request: &ImportRequest,
        _: &mut dyn FnMut(&str),
    ) -> Result<Imported, ExchangeError> {
        self.import(request, &mut &b"an image"[..])
    }
}
