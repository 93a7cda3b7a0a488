//! Objects on their way out.

use std::ops::Range;

use futures_util::{StreamExt as _, stream};
use s3s::dto::{
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, StreamingBlob, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};
use time::OffsetDateTime;

use crate::content::Pin;
use crate::content::read::{Segment, read};
use crate::error::{Result, StorageError};
use crate::index::object::{self, Condition, Object, etag, no_such_key};
use crate::service::access::denied;
use crate::storage::Storage;

/// An object that is about to be read.
pub(super) struct Found {
    pub(super) object: Object,
    pub(super) segments: Vec<Segment>,
    pub(super) pin: Option<Pin>,
}

/// Times that an object is looked for that is replaced just then.
const LOOKS: usize = 20;

/// Finds an object, and sees to it that its content stays until it is read.
pub(super) async fn open(storage: &Storage, bucket: i64, key: &str) -> Result<Option<Found>> {
    let (pins, key) = (storage.pins.clone(), key.to_owned());
    let look = move |db: &rusqlite::Connection| {
        for _ in 0..LOOKS {
            let Some(object) = object::find(db, bucket, &key)? else { return Ok(None) };
            let segments = object::segments(db, object.id)?;
            let files: Vec<_> =
                segments.iter().filter(|one| one.data.is_none()).map(|one| one.id).collect();
            let pin = (!files.is_empty()).then(|| pins.hold(files));
            // What was replaced before the pin may be gone.
            let whole = segments.iter().map(|one| one.size).sum::<u64>() == object.size;
            if whole && (pin.is_none() || object::stands(db, object.id)?) {
                return Ok(Some(Found { object, segments, pin }));
            }
        }
        Err(StorageError::refused(
            S3ErrorCode::SlowDown,
            "The object is being replaced all the time; try again.",
        ))
    };
    storage.index.read(look).await
}

/// What of an object a client wants, if it still wants it.
pub(super) struct Wish<'a> {
    pub(super) anonymous: bool,
    pub(super) version: Option<&'a str>,
    pub(super) condition: Condition,
    pub(super) modified_since: Option<&'a Timestamp>,
    pub(super) unmodified_since: Option<&'a Timestamp>,
    pub(super) range: Option<&'a dto::Range>,
    pub(super) part: Option<i32>,
}

impl Wish<'_> {
    /// The range of an object, whether it is a part of it, and of how many parts.
    pub(super) fn check(&self, object: &Object, bucket_is_public: bool) -> S3Result<Range<u64>> {
        if self.anonymous && !bucket_is_public && !object.public_read {
            return Err(denied());
        }
        no_version(self.version)?;
        self.check_conditions(object)?;
        let unsatisfiable = || {
            S3Error::with_message(
                S3ErrorCode::InvalidRange,
                "The requested range is not satisfiable",
            )
        };
        match (self.part, self.range) {
            (Some(_), Some(_)) => Err(S3Error::with_message(
                S3ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            )),
            (Some(number), None) => part(object, number).ok_or_else(|| {
                S3Error::with_message(
                    S3ErrorCode::InvalidRange,
                    "The requested partnumber is not satisfiable",
                )
            }),
            (None, Some(range)) => range.check(object.size).map_err(|_| unsatisfiable()),
            (None, None) => Ok(0..object.size),
        }
    }

    fn check_conditions(&self, object: &Object) -> S3Result<()> {
        let is = |condition: &dto::ETagCondition| match condition {
            dto::ETagCondition::Any => true,
            dto::ETagCondition::ETag(tag) => tag.value() == object.etag,
        };
        let seconds = object.modified.div_euclid(1_000_000);
        let of = |time: &Timestamp| OffsetDateTime::from(time.clone()).unix_timestamp();
        let failed = match (&self.condition.if_match, self.unmodified_since) {
            (Some(condition), _) => !is(condition),
            (None, Some(time)) => seconds > of(time),
            (None, None) => false,
        };
        if failed {
            return Err(S3Error::with_message(
                S3ErrorCode::PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold",
            ));
        }
        let unchanged = match (&self.condition.if_none_match, self.modified_since) {
            (Some(condition), _) => is(condition),
            (None, Some(time)) => seconds <= of(time),
            (None, None) => false,
        };
        if unchanged { Err(not_modified(object)) } else { Ok(()) }
    }
}

/// Browsers take the entity tag and the time from here, too.
fn not_modified(object: &Object) -> S3Error {
    let mut error = S3Error::new(S3ErrorCode::NotModified);
    let mut headers = http::HeaderMap::new();
    if let Ok(tag) = etag(&object.etag).to_http_header() {
        headers.insert(http::header::ETAG, tag);
    }
    let cache = object.details.cache_control.as_deref();
    if let Some(Ok(value)) = cache.map(http::HeaderValue::from_str) {
        headers.insert(http::header::CACHE_CONTROL, value);
    }
    error.set_headers(headers);
    error
}

/// The bytes of one part; an object that was not uploaded in parts is one.
fn part(object: &Object, number: i32) -> Option<Range<u64>> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    if object.details.parts.is_empty() {
        return (index == 0).then_some(0..object.size);
    }
    let start: u64 = object.details.parts.get(..index)?.iter().sum();
    Some(start..start + object.details.parts.get(index)?)
}

/// There are no versions but the one that is there, which S3 calls `null`.
pub(super) fn no_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null" | "") => Ok(()),
        Some(_) => Err(S3Error::with_message(
            S3ErrorCode::NoSuchVersion,
            "The specified version does not exist: this server keeps one version of each object.",
        )),
    }
}

pub(super) fn time_of(micros: i64) -> Timestamp {
    let time = OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000));
    time.unwrap_or(OffsetDateTime::UNIX_EPOCH).into()
}

pub(super) async fn get(
    storage: &Storage,
    request: S3Request<GetObjectInput>,
) -> S3Result<S3Response<GetObjectOutput>> {
    let input = request.input;
    let bucket = storage.settings(&input.bucket)?;
    let anonymous = request.credentials.is_none();
    let found = open(storage, bucket.id, &input.key).await?;
    // Who may not list does not learn what is there.
    let hidden = anonymous && !bucket.public_read;
    let found = found.ok_or_else(|| if hidden { denied() } else { no_such_key().into() })?;
    let wish = Wish {
        anonymous,
        version: input.version_id.as_deref(),
        condition: Condition { if_match: input.if_match, if_none_match: input.if_none_match },
        modified_since: input.if_modified_since.as_ref(),
        unmodified_since: input.if_unmodified_since.as_ref(),
        range: input.range.as_ref(),
        part: input.part_number,
    };
    let range = wish.check(&found.object, bucket.public_read)?;
    let Found { object, segments, pin } = found;
    let whole = range == (0..object.size);
    let mut output = described(&object);
    output.content_length = i64::try_from(range.end - range.start).ok();
    if input.range.is_some() || (input.part_number.is_some() && !whole) {
        let (first, last) = (range.start, range.end.saturating_sub(1));
        output.content_range = Some(format!("bytes {first}-{last}/{}", object.size));
    }
    if input.part_number.is_some() && !object.details.parts.is_empty() {
        output.parts_count = i32::try_from(object.details.parts.len()).ok();
    }
    if whole && input.checksum_mode.is_some() {
        with_checksums(&mut output, &object);
    }
    output.body = Some(body(storage, segments, range, pin).await?);
    Ok(S3Response::new(output))
}

/// The first piece is verified before anything is answered.
async fn body(
    storage: &Storage,
    segments: Vec<Segment>,
    range: Range<u64>,
    pin: Option<Pin>,
) -> S3Result<StreamingBlob> {
    let mut pieces = Box::pin(read(storage.places.clone(), segments, range, pin));
    let first = pieces.next().await.transpose()?;
    let told = |piece: Result<bytes::Bytes>| {
        piece.inspect_err(|error| tracing::error!(%error, "an object's answer breaks off"))
    };
    Ok(StreamingBlob::wrap(stream::iter(first.map(Ok)).chain(pieces.map(told))))
}

/// What is told of an object.
fn described(object: &Object) -> GetObjectOutput {
    let details = object.details.clone();
    GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: details.cache_control,
        content_disposition: details.content_disposition,
        content_encoding: details.content_encoding,
        content_language: details.content_language,
        content_type: Some(
            details.content_type.unwrap_or_else(|| "binary/octet-stream".to_owned()),
        ),
        e_tag: Some(etag(&object.etag)),
        expires: details.expires.map(|seconds| time_of(seconds.saturating_mul(1_000_000))),
        last_modified: Some(time_of(object.modified)),
        metadata: (!details.metadata.is_empty()).then(|| details.metadata.into_iter().collect()),
        tag_count: i32::try_from(details.tags.len()).ok().filter(|count| *count > 0),
        ..GetObjectOutput::default()
    }
}

fn with_checksums(output: &mut GetObjectOutput, object: &Object) {
    let sums = object.details.checksums.clone();
    output.checksum_type = sums.kind();
    output.checksum_crc32 = sums.crc32;
    output.checksum_crc32c = sums.crc32c;
    output.checksum_crc64nvme = sums.crc64nvme;
    output.checksum_sha1 = sums.sha1;
    output.checksum_sha256 = sums.sha256;
}

pub(super) async fn head(
    storage: &Storage,
    request: S3Request<HeadObjectInput>,
) -> S3Result<S3Response<HeadObjectOutput>> {
    let input = request.input;
    let bucket = storage.settings(&input.bucket)?;
    let anonymous = request.credentials.is_none();
    let hidden = anonymous && !bucket.public_read;
    let object = find(storage, bucket.id, &input.key).await?;
    let object = object.ok_or_else(|| if hidden { denied() } else { no_such_key().into() })?;
    let wish = Wish {
        anonymous,
        version: input.version_id.as_deref(),
        condition: Condition { if_match: input.if_match, if_none_match: input.if_none_match },
        modified_since: input.if_modified_since.as_ref(),
        unmodified_since: input.if_unmodified_since.as_ref(),
        range: input.range.as_ref(),
        part: input.part_number,
    };
    let range = wish.check(&object, bucket.public_read)?;
    let mut told = described(&object);
    if input.checksum_mode.is_some() {
        with_checksums(&mut told, &object);
    }
    let parts = object.details.parts.len();
    Ok(S3Response::new(HeadObjectOutput {
        accept_ranges: told.accept_ranges,
        cache_control: told.cache_control,
        checksum_crc32: told.checksum_crc32,
        checksum_crc32c: told.checksum_crc32c,
        checksum_crc64nvme: told.checksum_crc64nvme,
        checksum_sha1: told.checksum_sha1,
        checksum_sha256: told.checksum_sha256,
        checksum_type: told.checksum_type,
        content_disposition: told.content_disposition,
        content_encoding: told.content_encoding,
        content_language: told.content_language,
        content_length: i64::try_from(range.end - range.start).ok(),
        content_type: told.content_type,
        e_tag: told.e_tag,
        expires: told.expires,
        last_modified: told.last_modified,
        metadata: told.metadata,
        parts_count: i32::try_from(parts).ok().filter(|n| *n > 0 && input.part_number.is_some()),
        ..HeadObjectOutput::default()
    }))
}

/// An object without its content.
pub(super) async fn find(storage: &Storage, bucket: i64, key: &str) -> Result<Option<Object>> {
    let key = key.to_owned();
    storage.index.read(move |db| object::find(db, bucket, &key)).await
}
