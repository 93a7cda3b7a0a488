//! A blob from a registry: in one go, or, after a failure, from where it broke off. It is held
//! against its digest before it gets its name.

use std::io::{Seek as _, Write as _};
use std::path::Path;

use reqwest::header::{ACCEPT, CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::RegistryError;
use super::client::{Access, Patience, Repository};
use crate::archive::digest::Hashed;
use crate::oci::ImageError;
use crate::oci::digest::Digest;
use crate::oci::document::{self, DOCKER_INDEX, DOCKER_MANIFEST, Descriptor, INDEX, MANIFEST, Top};

/// What is taken for an image.
const ACCEPTED: [&str; 4] = [MANIFEST, INDEX, DOCKER_MANIFEST, DOCKER_INDEX];

impl Repository {
    /// A manifest or an index by its tag or digest, as it is, and its digest.
    pub(crate) async fn manifest(
        &self,
        wanted: &str,
        expected: Option<Digest>,
    ) -> Result<(Vec<u8>, Digest), RegistryError> {
        let what = format!("fetch {wanted} of {}", self.reference);
        let url = self.url(&format!("manifests/{wanted}"));
        let accept = |request: reqwest::RequestBuilder| request.header(ACCEPT, ACCEPTED.join(", "));
        let mut patience = Patience::new(&self.manners);
        loop {
            let answer = self.send(&what, (Method::GET, &url), Access::Pull, accept).await;
            let error = match answer {
                Ok(answer) if answer.status().is_success() => {
                    let told = answer.headers().get("Docker-Content-Digest").cloned();
                    match self.small(&what, answer).await {
                        Ok(bytes) => return checked(&what, bytes, expected, told.as_ref()),
                        Err(error) => error,
                    }
                }
                Ok(answer) => self.refused(&what, answer).await,
                Err(error) => error,
            };
            patience.after(error, 0).await?;
        }
    }

    /// Fetches a blob to a file of this name, which is there whole or not at all.
    pub(crate) async fn download(
        &self,
        wanted: &Descriptor,
        path: &Path,
    ) -> Result<(), RegistryError> {
        let what = format!("fetch {} of {}", wanted.digest, self.reference);
        let broken = |source| RegistryError::File { path: path.to_path_buf(), source };
        let part = path.with_extension("part");
        let mut file = fs_err::File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&part)
            .map_err(broken)?;
        let mut patience = Patience::new(&self.manners);
        let mut got = 0;
        while let Err(error) = self.fetch(&what, wanted, &mut file, &mut got).await {
            patience.after(error, got).await?;
        }
        file.rewind().map_err(broken)?;
        let mut content = Hashed::new(&mut file);
        std::io::copy(&mut content, &mut std::io::sink()).map_err(broken)?;
        let (_, digest, _) = content.finish();
        if Digest(digest) != wanted.digest {
            let (expected, found) = (wanted.digest, Digest(digest).to_string());
            return Err(RegistryError::Digest { what, expected, found });
        }
        fs_err::rename(&part, path).map_err(broken)
    }

    /// Fetches what is missing of a blob.
    async fn fetch(
        &self,
        what: &str,
        wanted: &Descriptor,
        file: &mut fs_err::File,
        got: &mut u64,
    ) -> Result<(), RegistryError> {
        if *got == wanted.size {
            return Ok(());
        }
        let url = self.url(&format!("blobs/{}", wanted.digest));
        let from = *got;
        let make = |request: reqwest::RequestBuilder| match from {
            0 => request,
            from => request.header(RANGE, format!("bytes={from}-")),
        };
        let mut answer = self.send(what, (Method::GET, &url), Access::Pull, make).await?;
        match answer.status() {
            StatusCode::PARTIAL_CONTENT if begins_at(&answer, from) => {}
            // It knows no ranges, and gives all of it again.
            StatusCode::OK => *got = 0,
            _ => return Err(self.refused(what, answer).await),
        }
        let error = |source| RegistryError::File { path: file.path().to_path_buf(), source };
        let mut place = file.try_clone().map_err(error)?;
        place.seek(std::io::SeekFrom::Start(*got)).map_err(error)?;
        while let Some(chunk) = self.chunk(what, &mut answer).await? {
            if *got + chunk.len() as u64 > wanted.size {
                let why = "the blob is longer than the image says";
                return Err(RegistryError::Answer { what: what.to_owned(), why });
            }
            place.write_all(&chunk).map_err(error)?;
            *got += chunk.len() as u64;
        }
        if *got == wanted.size {
            return Ok(());
        }
        let told = format!("only {got} of {} bytes came", wanted.size);
        // As one that may pass: the rest may come.
        Err(RegistryError::Status { what: what.to_owned(), status: 500, told })
    }

    /// A document of an image, by its descriptor.
    pub(crate) async fn document(&self, wanted: &Descriptor) -> Result<Vec<u8>, RegistryError> {
        let (bytes, _) = self.manifest(&wanted.digest.to_string(), Some(wanted.digest)).await?;
        Ok(bytes)
    }
}

fn begins_at(answer: &Response, from: u64) -> bool {
    let range = answer.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

fn checked(
    what: &str,
    bytes: Vec<u8>,
    expected: Option<Digest>,
    told: Option<&reqwest::header::HeaderValue>,
) -> Result<(Vec<u8>, Digest), RegistryError> {
    let found = Digest::of(&bytes);
    let told = told.and_then(|told| told.to_str().ok()).and_then(|told| told.parse().ok());
    match expected.or(told) {
        Some(expected) if expected != found => {
            let found = found.to_string();
            Err(RegistryError::Digest { what: what.to_owned(), expected, found })
        }
        _ => Ok((bytes, found)),
    }
}

/// An index or a manifest of the registry's.
pub(crate) fn top(bytes: &[u8]) -> Result<Top, RegistryError> {
    let told = |source| ImageError::Document { what: "manifest".to_owned(), source };
    Ok(document::parse_top(bytes).map_err(told)?)
}
