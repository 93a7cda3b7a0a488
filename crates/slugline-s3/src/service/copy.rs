//! Objects made of others. A copy shares its content with what it was copied from.

use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, MetadataDirective,
    TaggingDirective, Timestamp,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, dto};

use crate::error::StorageError;
use crate::index::bucket::Bucket;
use crate::index::object::{self, Condition, Details, NewObject, etag, no_such_key};
use crate::service::access::denied;
use crate::service::get::{Wish, no_version, time_of};
use crate::service::put::{check_key, is_public, metadata, seconds};
use crate::service::tagging;
use crate::storage::{Storage, now};

/// The key that something is copied from. A key opens its own bucket alone, on this side, too.
pub(super) fn source(bucket: &Bucket, source: &CopySource) -> S3Result<String> {
    let CopySource::Bucket { bucket: from, key, version_id } = source else {
        return Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            "This server has no access points",
        ));
    };
    if **from != *bucket.name {
        return Err(denied());
    }
    no_version(version_id.as_deref())?;
    Ok(key.to_string())
}

/// What must be so of the source.
pub(super) fn wish<'a>(
    if_match: Option<dto::ETagCondition>,
    if_none_match: Option<dto::ETagCondition>,
    modified_since: Option<&'a Timestamp>,
    unmodified_since: Option<&'a Timestamp>,
) -> Wish<'a> {
    Wish {
        anonymous: false,
        version: None,
        condition: Condition { if_match, if_none_match },
        modified_since,
        unmodified_since,
        range: None,
        part: None,
    }
}

/// A source that has not changed is no answer here, but a condition that failed.
pub(super) fn as_condition(error: S3Error) -> S3Error {
    if *error.code() != S3ErrorCode::NotModified {
        return error;
    }
    S3Error::with_message(
        S3ErrorCode::PreconditionFailed,
        "At least one of the pre-conditions you specified did not hold",
    )
}

pub(super) async fn copy(
    storage: &Storage,
    request: S3Request<CopyObjectInput>,
) -> S3Result<S3Response<CopyObjectOutput>> {
    let input = request.input;
    let bucket = storage.settings(&input.bucket)?;
    check_key(&input.key)?;
    let from = source(&bucket, &input.copy_source)?;
    let object = super::get::find(storage, bucket.id, &from).await?.ok_or_else(no_such_key)?;
    wish(
        input.copy_source_if_match.clone(),
        input.copy_source_if_none_match.clone(),
        input.copy_source_if_modified_since.as_ref(),
        input.copy_source_if_unmodified_since.as_ref(),
    )
    .check(&object, true)
    .map_err(as_condition)?;
    let replaces = input.metadata_directive.as_ref().map(MetadataDirective::as_str)
        == Some(MetadataDirective::REPLACE);
    if from == input.key && !replaces && input.acl.is_none() {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without \
             changing the object's metadata.",
        ));
    }
    let public_read = is_public(input.acl.as_ref());
    let details = details(input.clone(), &object.details, replaces)?;
    let (id, key, bucket) = (object.id, input.key, bucket.id);
    let stored = storage.change(None, move |db, gone| {
        let Some(now_there) = object::find(db, bucket, &from)?.filter(|one| one.id == id) else {
            return Err(StorageError::refused(
                S3ErrorCode::ConditionalRequestConflict,
                "The source was replaced meanwhile; try again.",
            ));
        };
        let contents = object::segments(db, id)?.into_iter().map(|segment| segment.id).collect();
        let new = NewObject {
            bucket,
            key,
            size: now_there.size,
            etag: now_there.etag,
            modified: now(),
            public_read,
            details,
            contents,
        };
        object::put_copy(db, &new, gone)?;
        Ok((new.etag, new.modified, new.details.checksums))
    });
    let (tag, modified, sums) = stored.await?;
    let result = CopyObjectResult {
        checksum_type: sums.kind(),
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(etag(&tag)),
        last_modified: Some(time_of(modified)),
    };
    let output =
        CopyObjectOutput { copy_object_result: Some(result), ..CopyObjectOutput::default() };
    Ok(S3Response::new(output))
}

fn details(input: CopyObjectInput, of: &Details, replaces: bool) -> S3Result<Details> {
    let mut details = of.clone();
    if replaces {
        details = Details {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            expires: seconds(input.expires),
            metadata: metadata(input.metadata)?,
            tags: details.tags,
            checksums: details.checksums,
            parts: details.parts,
        };
    }
    let directive = input.tagging_directive.as_ref().map(TaggingDirective::as_str);
    if directive == Some(TaggingDirective::REPLACE) {
        details.tags = tagging::of_header(input.tagging.as_deref().unwrap_or_default())?;
    }
    Ok(details)
}
