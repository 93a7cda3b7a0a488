//! A blob to a registry: not at all if it is there, else piece by piece, and after a failure from
//! where the registry says that it is.

use std::io::Read as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE};
use reqwest::{Method, Response, StatusCode, Url};

use super::RegistryError;
use super::client::{Access, Patience, Repository};
use crate::oci::BlobFile;
use crate::oci::digest::Digest;

/// What a body is sent in (bytes), so that it can be seen to go on.
const SLICE: usize = 1 << 16;

/// What a registry does with an upload.
enum Begun {
    /// It has the blob from another repository.
    Mounted,
    /// It waits for the blob here.
    At(Url),
}

/// An upload in the making.
struct Upload<'a> {
    repository: &'a Repository,
    what: String,
    digest: Digest,
    blob: &'a BlobFile,
    /// Where the registry takes the next piece.
    location: Url,
    /// How much has arrived (bytes).
    arrived: u64,
}

impl Repository {
    /// Whether the registry has a blob in this repository.
    pub(crate) async fn has_blob(&self, digest: &Digest) -> Result<bool, RegistryError> {
        let what = format!("look for {digest} in {}", self.reference);
        let url = self.url(&format!("blobs/{digest}"));
        let mut patience = Patience::new(&self.manners);
        loop {
            let answer = self.send(&what, (Method::HEAD, &url), Access::Push, |r| r).await;
            let error = match answer {
                Ok(answer) if answer.status().is_success() => return Ok(true),
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => return Ok(false),
                Ok(answer) => self.refused(&what, answer).await,
                Err(error) => error,
            };
            patience.after(error, 0).await?;
        }
    }

    /// Sends a blob. `mount` is a repository of the same registry that may have it; `progress` is
    /// told how many bytes went.
    pub(crate) async fn upload(
        &self,
        digest: Digest,
        blob: &BlobFile,
        mount: Option<&str>,
        progress: &dyn Fn(u64),
    ) -> Result<(), RegistryError> {
        let what = format!("send {digest} to {}", self.reference);
        let mut patience = Patience::new(&self.manners);
        let mut furthest = 0;
        // From the start again where the registry knows nothing of an upload any more.
        loop {
            let error = match self.begin(&what, &digest, mount).await {
                Ok(Begun::Mounted) => return Ok(()),
                Ok(Begun::At(location)) => {
                    let what = what.clone();
                    let mut upload =
                        Upload { repository: self, what, digest, blob, location, arrived: 0 };
                    match upload.run(&mut patience, &mut furthest, progress).await {
                        Ok(true) => return Ok(()),
                        Ok(false) => continue,
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if self.is_there_after(&error, &digest).await {
                return Ok(());
            }
            patience.after(error, furthest).await?;
        }
    }

    /// A blob may have arrived although its last answer did not.
    async fn is_there_after(&self, error: &RegistryError, digest: &Digest) -> bool {
        error.may_pass() && self.has_blob(digest).await.unwrap_or(false)
    }

    async fn begin(
        &self,
        what: &str,
        digest: &Digest,
        mount: Option<&str>,
    ) -> Result<Begun, RegistryError> {
        let mut url = self.url("blobs/uploads/");
        if let Some(from) = mount {
            url.query_pairs_mut()
                .append_pair("mount", &digest.to_string())
                .append_pair("from", from);
        }
        let empty = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let answer = self.send(what, (Method::POST, &url), Access::Push, empty).await?;
        match answer.status() {
            StatusCode::CREATED => Ok(Begun::Mounted),
            StatusCode::ACCEPTED => self.location(what, &answer).map(Begun::At),
            _ => Err(self.refused(what, answer).await),
        }
    }
}

impl Upload<'_> {
    /// Sends the blob; false where the registry has forgotten the upload on the way.
    async fn run(
        &mut self,
        patience: &mut Patience<'_>,
        furthest: &mut u64,
        progress: &dyn Fn(u64),
    ) -> Result<bool, RegistryError> {
        while self.arrived < self.blob.size {
            let before = self.arrived;
            match self.piece().await {
                Err(error @ RegistryError::Forgotten { .. }) => {
                    patience.after(error, *furthest).await?;
                    return Ok(false);
                }
                Err(error) => {
                    if !self.resume(error, patience, *furthest).await? {
                        return Ok(false);
                    }
                }
                Ok(()) => {}
            }
            progress(self.arrived.saturating_sub(before));
            *furthest = self.arrived.max(*furthest);
        }
        self.end().await.map(|()| true)
    }

    /// Waits until the registry says how much has arrived; false where it has forgotten.
    async fn resume(
        &mut self,
        mut error: RegistryError,
        patience: &mut Patience<'_>,
        furthest: u64,
    ) -> Result<bool, RegistryError> {
        loop {
            patience.after(error, furthest).await?;
            match self.ask().await {
                Ok(known) => return Ok(known),
                Err(failed) => error = failed,
            }
        }
    }

    /// Sends what comes next.
    async fn piece(&mut self) -> Result<(), RegistryError> {
        let piece = self.read()?;
        let (from, length) = (self.arrived, piece.len());
        let sent = Arc::new(AtomicU64::new(0));
        let make = |request: reqwest::RequestBuilder| {
            let range = format!("{from}-{}", from + length as u64 - 1);
            request
                .header(CONTENT_TYPE, "application/octet-stream")
                .header(CONTENT_RANGE, range)
                .header(CONTENT_LENGTH, length)
                .body(body(piece.clone(), Arc::clone(&sent)))
        };
        let to = (Method::PATCH, &self.location);
        let repository = self.repository;
        let answer = repository.send_watched(&self.what, to, Access::Push, &sent, make).await?;
        if !answer.status().is_success() {
            return Err(self.refused(answer).await);
        }
        self.heed(&answer)?;
        if self.arrived > from {
            return Ok(());
        }
        let why = "it takes pieces, and has no more than before";
        Err(RegistryError::Answer { what: self.what.clone(), why })
    }

    /// Asks how much has arrived; false where the registry has forgotten the upload.
    async fn ask(&mut self) -> Result<bool, RegistryError> {
        let what = format!("{}: go on after {} bytes", self.what, self.arrived);
        let to = (Method::GET, &self.location);
        let answer = self.repository.send(&what, to, Access::Push, |request| request).await?;
        match answer.status() {
            StatusCode::NO_CONTENT | StatusCode::ACCEPTED | StatusCode::OK => {
                self.heed(&answer).map(|()| true)
            }
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::BAD_REQUEST => {
                Ok(false)
            }
            _ => Err(self.repository.refused(&what, answer).await),
        }
    }

    /// Takes from an answer how much has arrived, and where to go on.
    fn heed(&mut self, answer: &Response) -> Result<(), RegistryError> {
        let range = answer.headers().get(RANGE).and_then(|value| value.to_str().ok());
        let why = "it does not say how much of the blob it has";
        let error = || RegistryError::Answer { what: self.what.clone(), why };
        let arrived = range.and_then(parse_range).ok_or_else(error)?;
        if arrived > self.blob.size {
            return Err(error());
        }
        // `0-0` is said of nothing and of one byte alike.
        self.arrived = if arrived == 1 && self.blob.size > 1 { 0 } else { arrived };
        if answer.headers().contains_key(reqwest::header::LOCATION) {
            self.location = self.repository.location(&self.what, answer)?;
        }
        Ok(())
    }

    /// Says that the blob is whole, and what it must be.
    async fn end(&mut self) -> Result<(), RegistryError> {
        let mut url = self.location.clone();
        url.query_pairs_mut().append_pair("digest", &self.digest.to_string());
        let empty = |request: reqwest::RequestBuilder| request.header(CONTENT_LENGTH, 0);
        let to = (Method::PUT, &url);
        let answer = self.repository.send(&self.what, to, Access::Push, empty).await?;
        if answer.status() != StatusCode::CREATED {
            return Err(self.refused(answer).await);
        }
        check_told(&self.what, &answer, self.digest)
    }

    /// Why a piece or the end was not taken: one refusal means that the upload is lost.
    async fn refused(&self, answer: Response) -> RegistryError {
        match self.repository.refused(&self.what, answer).await {
            RegistryError::Status { what, status: 404 | 416, told } => {
                RegistryError::Forgotten { what, told }
            }
            error => error,
        }
    }

    fn read(&self) -> Result<Bytes, RegistryError> {
        let error = |source| RegistryError::File { path: self.blob.path.clone(), source };
        let content = self.blob.open(self.arrived).map_err(error)?;
        let mut piece = Vec::new();
        let most = self.repository.manners.piece as u64;
        content.take(most).read_to_end(&mut piece).map_err(error)?;
        if piece.is_empty() {
            return Err(error(std::io::ErrorKind::UnexpectedEof.into()));
        }
        Ok(piece.into())
    }
}

/// What a registry says that it has taken must be what was sent.
pub(crate) fn check_told(
    what: &str,
    answer: &Response,
    expected: Digest,
) -> Result<(), RegistryError> {
    let told = answer.headers().get("Docker-Content-Digest").and_then(|value| value.to_str().ok());
    match told {
        Some(told) if told != expected.to_string() => {
            let found = told.chars().take(100).collect();
            Err(RegistryError::Digest { what: what.to_owned(), expected, found })
        }
        _ => Ok(()),
    }
}

/// `0-99` or `bytes=0-99`: so many bytes have arrived.
pub(crate) fn parse_range(range: &str) -> Option<u64> {
    let (start, end) = range.trim().trim_start_matches("bytes=").split_once('-')?;
    let end: u64 = end.parse().ok()?;
    (start == "0").then(|| end.checked_add(1)).flatten()
}

fn body(piece: Bytes, sent: Arc<AtomicU64>) -> reqwest::Body {
    let slices = futures_util::stream::unfold((piece, sent), |(mut piece, sent)| async move {
        if piece.is_empty() {
            return None;
        }
        let slice = piece.split_to(SLICE.min(piece.len()));
        sent.fetch_add(slice.len() as u64, Ordering::Relaxed);
        Some((Ok::<_, std::io::Error>(slice), (piece, sent)))
    });
    reqwest::Body::wrap_stream(slices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_tells_how_much_has_arrived() {
        assert_eq!(parse_range("0-99"), Some(100));
        assert_eq!(parse_range("bytes=0-0"), Some(1));
        for junk in ["", "5-99", "0-", "-1", "0-x", "0-18446744073709551615"] {
            assert_eq!(parse_range(junk), None, "{junk}");
        }
    }
}
