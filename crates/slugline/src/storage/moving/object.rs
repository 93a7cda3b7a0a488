//! One object from one bucket into another: it is there only once it has been read back and is the
//! same.

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{
    CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH,
};
use reqwest::Response;
use sha2::{Digest as _, Sha256};
use slugline_model::carry::{Carried, Seen};

use crate::storage::wire::{self, Wire, WireError, bare, description};

/// An object up to this size is put whole; larger ones come in parts (bytes).
const WHOLE: u64 = 16 * 1024 * 1024;
/// Parts of one object.
const MOST_PARTS: u64 = 10_000;

/// What an object is, as it was read.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    size: u64,
    hash: [u8; 32],
}

/// What must still be true of the target when the object gets there.
#[derive(Debug)]
pub(super) enum Only {
    /// Nothing: nobody else writes there.
    Always,
    /// It is as it was seen.
    IfAsSeen(Option<Seen>),
}

impl Only {
    fn headers(&self) -> HeaderMap {
        let (name, value) = match self {
            Self::Always => return HeaderMap::new(),
            Self::IfAsSeen(None) => (IF_NONE_MATCH, "*".to_owned()),
            Self::IfAsSeen(Some(seen)) => (IF_MATCH, format!("\"{}\"", seen.tag)),
        };
        HeaderValue::from_str(&value).map(|value| (name, value)).into_iter().collect()
    }
}

/// Reads both; gives what they are if they are the same.
pub(super) async fn compare(
    (source, target): (&Wire, &Wire),
    key: &str,
) -> wire::Result<Option<Carried>> {
    let (ours, theirs) = (source.get(key).await?, target.get(key).await?);
    let (from, to) = (seen(&ours)?, seen(&theirs)?);
    if from.size != to.size {
        return Ok(None);
    }
    let (ours, theirs) = tokio::try_join!(read(ours), read(theirs))?;
    Ok((ours == theirs).then_some(Carried { source: from, target: to }))
}

/// Carries an object, and reads it back. What anybody may read stays so, where the new server knows
/// such a thing.
pub(super) async fn carry(
    (source, target): (&Wire, &Wire),
    key: &str,
    only: &Only,
) -> wire::Result<Carried> {
    let public = source.is_public(key).await;
    match carry_as((source, target), key, only, public).await {
        Err(error) if public && error.knows_no_grants() => {
            carry_as((source, target), key, only, false).await
        }
        carried => carried,
    }
}

async fn carry_as(
    (source, target): (&Wire, &Wire),
    key: &str,
    only: &Only,
    public: bool,
) -> wire::Result<Carried> {
    let answer = source.get(key).await?;
    let from = seen(&answer)?;
    let mut headers = description(answer.headers());
    if answer.headers().contains_key("x-amz-tagging-count")
        && let Some(tags) = source.tags(key).await?
    {
        headers.insert(HeaderName::from_static("x-amz-tagging"), tags);
    }
    if public {
        let grant = HeaderValue::from_static("public-read");
        headers.insert(HeaderName::from_static("x-amz-acl"), grant);
    }
    let sent = if from.size <= WHOLE {
        let body = answer.bytes().await?;
        let sent = Content { size: body.len() as u64, hash: Sha256::digest(&body).into() };
        headers.extend(only.headers());
        target.put(key, &headers, body).await?;
        sent
    } else {
        in_parts(target, key, (answer, &from), &headers, only).await?
    };
    let back = target.get(key).await?;
    let to = seen(&back)?;
    let there = read(back).await?;
    if sent != there || sent.size != from.size {
        return Err(WireError::Strange(format!(
            "what was carried ({} bytes) reads otherwise ({} bytes)",
            sent.size, there.size
        )));
    }
    Ok(Carried { source: from, target: to })
}

async fn in_parts(
    target: &Wire,
    key: &str,
    (answer, from): (Response, &Seen),
    headers: &HeaderMap,
    only: &Only,
) -> wire::Result<Content> {
    let upload = target.begin(key, headers).await?;
    let sent = send_parts(target, key, &upload, (answer, from), only).await;
    if sent.is_err() {
        // Whoever tries again gives up what is left.
        let _ = target.abort(key, &upload).await;
    }
    sent
}

async fn send_parts(
    target: &Wire,
    key: &str,
    upload: &str,
    (answer, from): (Response, &Seen),
    only: &Only,
) -> wire::Result<Content> {
    let part = usize::try_from(WHOLE.max(from.size.div_ceil(MOST_PARTS))).unwrap_or(usize::MAX);
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let (mut buffer, mut tags) = (BytesMut::new(), Vec::new());
    let mut body = answer.bytes_stream();
    loop {
        let chunk = body.next().await.transpose()?;
        let is_over = chunk.is_none();
        let chunk = chunk.unwrap_or_default();
        hasher.update(&chunk);
        size += chunk.len() as u64;
        buffer.extend_from_slice(&chunk);
        while buffer.len() >= part || (is_over && !buffer.is_empty()) {
            let piece: Bytes = buffer.split_to(part.min(buffer.len())).freeze();
            tags.push(target.part(key, upload, tags.len() + 1, piece).await?);
        }
        if is_over {
            break;
        }
    }
    target.complete(key, upload, &tags, &only.headers()).await?;
    Ok(Content { size, hash: hasher.finalize().into() })
}

/// An object as its own answer tells of it.
fn seen(answer: &Response) -> wire::Result<Seen> {
    let text = |name| answer.headers().get(name).and_then(|value| value.to_str().ok());
    let size = text(CONTENT_LENGTH).and_then(|size| size.parse().ok());
    let size = size.or_else(|| answer.content_length());
    let strange = || WireError::Strange("an object without a size or a tag".to_owned());
    let tag = text(ETAG).map(bare).ok_or_else(strange)?;
    Ok(Seen { size: size.ok_or_else(strange)?, tag })
}

async fn read(answer: Response) -> wire::Result<Content> {
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await.transpose()? {
        hasher.update(&chunk);
        size += chunk.len() as u64;
    }
    Ok(Content { size, hash: hasher.finalize().into() })
}
