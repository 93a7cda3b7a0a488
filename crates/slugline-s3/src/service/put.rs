//! Objects on their way in.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::{
    ETag, ObjectCannedACL, PostObjectInput, PostObjectOutput, PutObjectInput, PutObjectOutput,
    StreamingBlob, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders};
use time::OffsetDateTime;

use crate::content::checksums::{ALGORITHMS, Algorithm, Checksums};
use crate::content::write::{Written, write};
use crate::error::StorageError;
use crate::form::FileName;
use crate::index::bucket::Bucket;
use crate::index::object::{self, Condition, Details, NewObject, etag};
use crate::service::{get, tagging};
use crate::storage::{Storage, now};

/// The largest body of one request; larger objects come in parts.
pub(super) const MOST: u64 = 5 * 1024 * 1024 * 1024;
/// The longest key, in bytes of UTF-8.
const LONGEST_KEY: usize = 1_024;
/// Of all metadata together, names and values.
const MOST_METADATA: usize = 2_048;

/// What a client says of a body, to be held against what comes.
pub(super) struct Said {
    pub(super) content_length: Option<i64>,
    pub(super) content_md5: Option<String>,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) checksums: Checksums,
    pub(super) trailers: Option<TrailingHeaders>,
    /// The object whose place it takes.
    pub(super) replaces: Option<String>,
}

/// Reads a body into content that the index does not know yet, and holds it against what was said.
pub(super) async fn receive(
    storage: &Storage,
    bucket: &Bucket,
    body: Option<StreamingBlob>,
    said: Said,
    headers: &http::HeaderMap,
) -> S3Result<Written> {
    let md5 = said.content_md5.as_deref().map(digest).transpose()?;
    let length = said.content_length.and_then(|length| u64::try_from(length).ok());
    refuse_early(storage, bucket, said.replaces.as_deref(), length).await?;
    let announced = headers.get("x-amz-trailer").and_then(|value| value.to_str().ok());
    let announced = announced.into_iter().flat_map(|names| names.split(',')).filter_map(|name| {
        let name = name.trim().to_ascii_lowercase();
        ALGORITHMS.into_iter().find(|(_, header)| *header == name).map(|(one, _)| one)
    });
    let mut wanted: Vec<Algorithm> = announced.collect();
    wanted.extend(said.checksums.algorithms().chain(said.algorithm));
    wanted.dedup();
    let body = body.unwrap_or_else(|| StreamingBlob::from(s3s::Body::empty()));
    let written = write(&storage.places, body, MOST, wanted).await?;
    if length.is_some_and(|length| length != written.size) {
        return Err(S3Error::with_message(
            S3ErrorCode::IncompleteBody,
            "You did not provide the number of bytes specified by the Content-Length HTTP header.",
        ));
    }
    if md5.is_some_and(|md5| md5 != written.md5) {
        return Err(S3Error::with_message(
            S3ErrorCode::BadDigest,
            "The Content-MD5 you specified did not match what we received.",
        ));
    }
    written.checksums.verify(&said.checksums)?;
    written.checksums.verify(&trailing(said.trailers.as_ref()))?;
    Ok(written)
}

/// Checksums that come behind the body.
fn trailing(trailers: Option<&TrailingHeaders>) -> Checksums {
    let mut found = Checksums::default();
    let Some(trailers) = trailers.and_then(TrailingHeaders::take) else { return found };
    for (algorithm, header) in ALGORITHMS {
        if let Some(value) = trailers.get(header).and_then(|value| value.to_str().ok()) {
            found.set(algorithm, value.to_owned());
        }
    }
    found
}

/// Refuses what would exceed the quota before all of it has come.
async fn refuse_early(
    storage: &Storage,
    bucket: &Bucket,
    key: Option<&str>,
    length: Option<u64>,
) -> S3Result<()> {
    if length.is_some_and(|length| length > MOST) {
        return Err(S3Error::with_message(
            S3ErrorCode::EntityTooLarge,
            "Your proposed upload exceeds the maximum allowed size",
        ));
    }
    let (Some(quota), Some(length)) = (bucket.quota, length) else { return Ok(()) };
    let now = storage.bucket(&bucket.name).await?;
    let replaced = match key {
        Some(key) => get::find(storage, bucket.id, key).await?.map_or(0, |object| object.size),
        None => 0,
    };
    if now.bytes + now.pending + length > quota.saturating_add(replaced) {
        return Err(StorageError::Quota { quota }.into());
    }
    Ok(())
}

fn digest(text: &str) -> S3Result<[u8; 16]> {
    let decoded = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    decoded.ok_or_else(|| {
        S3Error::with_message(
            S3ErrorCode::InvalidDigest,
            "The Content-MD5 you specified was invalid.",
        )
    })
}

/// Whether S3 takes a key. It never becomes a path on the disk, whatever it is.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(S3Error::with_message(S3ErrorCode::KeyTooLongError, "Your key is too long"));
    }
    Ok(())
}

/// Who may read, as far as it is not for the bucket's keys alone.
pub(super) fn is_public(acl: Option<&ObjectCannedACL>) -> bool {
    let acl = acl.map(ObjectCannedACL::as_str);
    matches!(acl, Some(ObjectCannedACL::PUBLIC_READ | ObjectCannedACL::PUBLIC_READ_WRITE))
}

/// Metadata of at most so many bytes.
pub(super) fn metadata(
    given: Option<std::collections::HashMap<String, String>>,
) -> S3Result<BTreeMap<String, String>> {
    let given: BTreeMap<String, String> = given.unwrap_or_default().into_iter().collect();
    if given.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MOST_METADATA {
        return Err(S3Error::with_message(
            S3ErrorCode::MetadataTooLarge,
            "Your metadata headers exceed the maximum allowed metadata size",
        ));
    }
    Ok(given)
}

pub(super) fn seconds(time: Option<Timestamp>) -> Option<i64> {
    time.map(|time| OffsetDateTime::from(time).unix_timestamp())
}

pub(super) async fn put(
    storage: &Storage,
    request: S3Request<PutObjectInput>,
) -> S3Result<S3Response<PutObjectOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    let bucket = storage.settings(&input.bucket)?;
    check_key(&input.key)?;
    let said = Said {
        content_length: input.content_length,
        content_md5: input.content_md5,
        algorithm: input.checksum_algorithm.and_then(|name| Algorithm::parse(name.as_str())),
        checksums: Checksums {
            crc32: input.checksum_crc32,
            crc32c: input.checksum_crc32c,
            crc64nvme: input.checksum_crc64nvme,
            sha1: input.checksum_sha1,
            sha256: input.checksum_sha256,
            composite: false,
        },
        trailers: trailing_headers,
        replaces: Some(input.key.clone()),
    };
    let details = Details {
        content_type: input.content_type,
        content_encoding: input.content_encoding.as_deref().and_then(without_transport),
        content_disposition: input.content_disposition,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: seconds(input.expires),
        metadata: metadata(input.metadata)?,
        tags: input.tagging.as_deref().map(tagging::of_header).transpose()?.unwrap_or_default(),
        ..Details::default()
    };
    let condition = Condition { if_match: input.if_match, if_none_match: input.if_none_match };
    let written = receive(storage, &bucket, input.body, said, &headers).await?;
    let public_read = is_public(input.acl.as_ref());
    let place = Place { bucket: bucket.id, key: input.key, public_read };
    let (tag, sums) = store(storage, place, details, condition, written).await?;
    Ok(S3Response::new(PutObjectOutput {
        checksum_type: sums.kind(),
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(tag),
        ..PutObjectOutput::default()
    }))
}

/// `aws-chunked` says how the body came, not what it is.
fn without_transport(encoding: &str) -> Option<String> {
    let rest: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty() && *one != "aws-chunked")
        .collect();
    (!rest.is_empty()).then(|| rest.join(","))
}

/// Where an object goes.
struct Place {
    bucket: i64,
    key: String,
    public_read: bool,
}

async fn store(
    storage: &Storage,
    place: Place,
    mut details: Details,
    condition: Condition,
    mut written: Written,
) -> S3Result<(ETag, Checksums)> {
    let sums = written.checksums.clone();
    details.checksums = sums.clone();
    let tag = written.md5_hex();
    let Place { bucket, key, public_read } = place;
    let new = NewObject {
        bucket,
        key,
        size: written.size,
        etag: tag.clone(),
        modified: now(),
        public_read,
        details,
        contents: vec![written.id],
    };
    let arrived = written.arrived.take();
    storage
        .change(arrived, move |db, gone| {
            object::add_content(db, &written)?;
            object::put(db, &new, &condition, gone)
        })
        .await?;
    Ok((etag(&tag), sums))
}

/// A browser's form. Its policy was held against it before.
pub(super) async fn post(
    storage: &Storage,
    request: S3Request<PostObjectInput>,
) -> S3Result<S3Response<PostObjectOutput>> {
    let anonymous = request.credentials.is_none();
    if anonymous {
        return Err(super::access::denied());
    }
    let mut input = request.input;
    if let Some(name) = request.extensions.get::<FileName>() {
        input.key = name.fill(&input.key);
    }
    let bucket = storage.settings(&input.bucket)?;
    check_key(&input.key)?;
    let details = Details {
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        content_disposition: input.content_disposition,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: seconds(input.expires),
        metadata: metadata(input.metadata)?,
        ..Details::default()
    };
    let said = Said {
        content_length: None,
        content_md5: input.content_md5,
        algorithm: None,
        checksums: Checksums::default(),
        trailers: None,
        replaces: Some(input.key.clone()),
    };
    let written = receive(storage, &bucket, input.body, said, &http::HeaderMap::new()).await?;
    let public_read = is_public(input.acl.as_ref());
    let place = Place { bucket: bucket.id, key: input.key, public_read };
    let (tag, _) = store(storage, place, details, Condition::default(), written).await?;
    Ok(S3Response::new(PostObjectOutput { e_tag: Some(tag), ..PostObjectOutput::default() }))
}
