//! Objects that come in parts.

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, UploadPartCopyInput,
    UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, TrailingHeaders};

use crate::content::ContentId;
use crate::content::checksums::{Algorithm, Checksums};
use crate::content::read::read;
use crate::content::write::{Written, hex, write};
use crate::error::{Result, StorageError};
use crate::index::object::{self, Condition, Details, NewObject, etag, no_such_key};
use crate::index::upload::{self, Part, Upload};
use crate::service::copy::{as_condition, source, wish};
use crate::service::get::{Found, open, time_of};
use crate::service::put::{MOST, Said, check_key, is_public, metadata, receive, seconds};
use crate::service::tagging;
use crate::storage::{Storage, now};

/// Parts of one object.
const MOST_PARTS: i32 = 10_000;
/// Each part but the last is at least this large.
const LEAST_PART: u64 = 5 * 1024 * 1024;

pub(super) async fn create(
    storage: &Storage,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
    let input = request.input;
    let bucket = storage.settings(&input.bucket)?;
    check_key(&input.key)?;
    let algorithm = input.checksum_algorithm.as_ref().and_then(|n| Algorithm::parse(n.as_str()));
    let kind = input.checksum_type.as_ref().map(ChecksumType::as_str);
    let full_object = kind == Some(ChecksumType::FULL_OBJECT)
        || (kind.is_none() && algorithm == Some(Algorithm::Crc64Nvme));
    if full_object && matches!(algorithm, Some(Algorithm::Sha1 | Algorithm::Sha256)) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidRequest,
            "The FULL_OBJECT checksum type cannot be used with the sha1 and sha256 checksum algorithms.",
        ));
    }
    let details = Details {
        content_type: input.content_type,
        content_encoding: input.content_encoding,
        content_disposition: input.content_disposition,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: seconds(input.expires),
        metadata: metadata(input.metadata)?,
        tags: input.tagging.as_deref().map(tagging::of_header).transpose()?.unwrap_or_default(),
        ..Details::default()
    };
    let upload = Upload {
        id: ContentId::draw()?.to_string(),
        bucket: bucket.id,
        key: input.key.clone(),
        started: now(),
        public_read: is_public(input.acl.as_ref()),
        details,
        algorithm,
        full_object,
    };
    let id = upload.id.clone();
    storage.change(None, move |db, _| upload::add(db, &upload)).await?;
    let kind = if full_object { ChecksumType::FULL_OBJECT } else { ChecksumType::COMPOSITE };
    Ok(S3Response::new(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        checksum_algorithm: algorithm.map(|one| ChecksumAlgorithm::from_static(one.name())),
        checksum_type: algorithm.map(|_| ChecksumType::from_static(kind)),
        key: Some(input.key),
        upload_id: Some(id),
        ..CreateMultipartUploadOutput::default()
    }))
}

async fn find(storage: &Storage, bucket: i64, key: &str, id: &str) -> Result<Upload> {
    let (key, id) = (key.to_owned(), id.to_owned());
    storage.index.read(move |db| upload::find(db, bucket, &key, &id)).await
}

fn check_number(number: i32) -> S3Result<()> {
    if (1..=MOST_PARTS).contains(&number) {
        return Ok(());
    }
    Err(S3Error::with_message(
        S3ErrorCode::InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive",
    ))
}

pub(super) async fn part(
    storage: &Storage,
    request: S3Request<UploadPartInput>,
) -> S3Result<S3Response<UploadPartOutput>> {
    let S3Request { input, headers, trailing_headers, .. } = request;
    check_number(input.part_number)?;
    let bucket = storage.settings(&input.bucket)?;
    let upload = find(storage, bucket.id, &input.key, &input.upload_id).await?;
    let said = said_of_part(&input, &upload, trailing_headers);
    let written = receive(storage, &bucket, input.body, said, &headers).await?;
    let (tag, _, sums) = add(storage, upload, input.part_number, written).await?;
    Ok(S3Response::new(UploadPartOutput {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(etag(&tag)),
        ..UploadPartOutput::default()
    }))
}

fn said_of_part(
    input: &UploadPartInput,
    upload: &Upload,
    trailers: Option<TrailingHeaders>,
) -> Said {
    Said {
        content_length: input.content_length,
        content_md5: input.content_md5.clone(),
        algorithm: upload.algorithm,
        checksums: Checksums {
            crc32: input.checksum_crc32.clone(),
            crc32c: input.checksum_crc32c.clone(),
            crc64nvme: input.checksum_crc64nvme.clone(),
            sha1: input.checksum_sha1.clone(),
            sha256: input.checksum_sha256.clone(),
            composite: false,
        },
        trailers,
        replaces: None,
    }
}

/// Makes content a part of an upload.
async fn add(
    storage: &Storage,
    upload: Upload,
    number: i32,
    mut written: Written,
) -> Result<(String, i64, Checksums)> {
    let part = Part {
        number,
        content: written.id,
        size: written.size,
        etag: written.md5_hex(),
        modified: now(),
        checksums: written.checksums.clone(),
    };
    let told = (part.etag.clone(), part.modified, part.checksums.clone());
    let arrived = written.arrived.take();
    storage
        .change(arrived, move |db, gone| {
            object::add_content(db, &written)?;
            upload::put_part(db, &upload, &part, gone)
        })
        .await?;
    Ok(told)
}

pub(super) async fn part_copy(
    storage: &Storage,
    request: S3Request<UploadPartCopyInput>,
) -> S3Result<S3Response<UploadPartCopyOutput>> {
    let input = request.input;
    check_number(input.part_number)?;
    let bucket = storage.settings(&input.bucket)?;
    let upload = find(storage, bucket.id, &input.key, &input.upload_id).await?;
    let from = source(&bucket, &input.copy_source)?;
    let found = open(storage, bucket.id, &from).await?.ok_or_else(no_such_key)?;
    let Found { object, segments, pin } = found;
    wish(
        input.copy_source_if_match,
        input.copy_source_if_none_match,
        input.copy_source_if_modified_since.as_ref(),
        input.copy_source_if_unmodified_since.as_ref(),
    )
    .check(&object, true)
    .map_err(as_condition)?;
    let invalid = || {
        S3Error::with_message(
            S3ErrorCode::InvalidArgument,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and \
             last are the zero-based offsets of the first and last bytes to copy",
        )
    };
    let range = match input.copy_source_range.as_deref() {
        None => 0..object.size,
        Some(text) => {
            let range = s3s::dto::Range::parse(text).map_err(|_| invalid())?;
            let s3s::dto::Range::Int { last: Some(last), .. } = range else {
                return Err(invalid());
            };
            if last >= object.size {
                return Err(S3Error::with_message(
                    S3ErrorCode::InvalidRange,
                    "The requested range is not satisfiable",
                ));
            }
            range.check(object.size).map_err(|_| invalid())?
        }
    };
    let body = read(storage.places.clone(), segments, range, pin);
    let body = futures_util::TryStreamExt::map_err(body, |error| Box::new(error) as s3s::StdError);
    let written =
        write(&storage.places, body, MOST, upload.algorithm.into_iter().collect()).await?;
    let (tag, modified, sums) = add(storage, upload, input.part_number, written).await?;
    let result = CopyPartResult {
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(etag(&tag)),
        last_modified: Some(time_of(modified)),
    };
    let output =
        UploadPartCopyOutput { copy_part_result: Some(result), ..UploadPartCopyOutput::default() };
    Ok(S3Response::new(output))
}

pub(super) async fn abort(
    storage: &Storage,
    input: AbortMultipartUploadInput,
) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
    let bucket = storage.settings(&input.bucket)?.id;
    let (key, id) = (input.key, input.upload_id);
    let aborted = storage.change(None, move |db, gone| {
        let upload = upload::find(db, bucket, &key, &id)?;
        upload::remove(db, &upload, gone)
    });
    aborted.await?;
    Ok(S3Response::new(AbortMultipartUploadOutput::default()))
}

pub(super) async fn complete(
    storage: &Storage,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
    let input = request.input;
    let bucket = storage.settings(&input.bucket)?;
    let named = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    check_order(&named)?;
    let said = Checksums {
        crc32: input.checksum_crc32,
        crc32c: input.checksum_crc32c,
        crc64nvme: input.checksum_crc64nvme,
        sha1: input.checksum_sha1,
        sha256: input.checksum_sha256,
        composite: false,
    };
    let condition = Condition { if_match: input.if_match, if_none_match: input.if_none_match };
    let (id, key, upload_id) = (bucket.id, input.key.clone(), input.upload_id);
    let size = input.mpu_object_size.and_then(|size| u64::try_from(size).ok());
    let completed = storage.change(None, move |db, gone| {
        let upload = upload::find(db, id, &key, &upload_id)?;
        let there = upload::parts(db, &upload.id, 0, usize::MAX >> 1)?;
        let parts = chosen(&named, there)?;
        let new = assembled(&upload, &parts)?;
        if size.is_some_and(|size| size != new.size) {
            return Err(StorageError::refused(
                S3ErrorCode::InvalidRequest,
                "The object's size is not what x-amz-mp-object-size says",
            ));
        }
        new.details.checksums.verify(&said)?;
        // The parts stop counting as such before they count as an object.
        upload::uncharge(db, &upload)?;
        object::put(db, &new, &condition, gone)?;
        upload::close(db, &upload, gone)?;
        Ok((new.etag, new.details.checksums))
    });
    let (tag, sums) = completed.await?;
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        checksum_type: sums.kind(),
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        e_tag: Some(etag(&tag)),
        ..CompleteMultipartUploadOutput::default()
    }))
}

fn check_order(named: &[CompletedPart]) -> S3Result<()> {
    if named.is_empty() || named.len() > usize::try_from(MOST_PARTS).unwrap_or(0) {
        return Err(S3Error::with_message(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    }
    if !named.is_sorted_by(|one, next| one.part_number < next.part_number) {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidPartOrder,
            "The list of parts was not in ascending order. The parts list must be specified in \
             order by part number.",
        ));
    }
    Ok(())
}

/// The parts that a client names, which must be there as it knows them.
fn chosen(named: &[CompletedPart], there: Vec<Part>) -> Result<Vec<Part>> {
    let mut there = there.into_iter();
    let mut parts = Vec::with_capacity(named.len());
    for one in named {
        let part = there.find(|part| Some(part.number) == one.part_number);
        let said = Checksums {
            crc32: one.checksum_crc32.clone(),
            crc32c: one.checksum_crc32c.clone(),
            crc64nvme: one.checksum_crc64nvme.clone(),
            sha1: one.checksum_sha1.clone(),
            sha256: one.checksum_sha256.clone(),
            composite: false,
        };
        let known = |part: &Part| {
            one.e_tag.as_ref().is_some_and(|tag| tag.value() == part.etag)
                && part.checksums.verify(&said).is_ok()
        };
        parts.push(part.filter(known).ok_or_else(|| {
            StorageError::refused(
                S3ErrorCode::InvalidPart,
                "One or more of the specified parts could not be found. The part may not have been \
                 uploaded, or the specified entity tag may not match the part's entity tag.",
            )
        })?);
    }
    let but_last = parts.split_last().map(|(_, rest)| rest).unwrap_or_default();
    if but_last.iter().any(|part| part.size < LEAST_PART) {
        return Err(StorageError::refused(
            S3ErrorCode::EntityTooSmall,
            "Your proposed upload is smaller than the minimum allowed size",
        ));
    }
    Ok(parts)
}

/// The object that parts make.
fn assembled(upload: &Upload, parts: &[Part]) -> Result<NewObject> {
    let mut md5 = Md5::new();
    for part in parts {
        md5.update(&unhex(&part.etag).ok_or(StorageError::Closed)?);
    }
    let sums = upload.algorithm.and_then(|algorithm| {
        let each: Vec<_> = parts
            .iter()
            .map(|part| (part.checksums.get(algorithm).map(str::to_owned), part.size))
            .collect();
        Checksums::of_parts(algorithm, upload.full_object, &each)
    });
    let mut details = upload.details.clone();
    details.checksums = sums.unwrap_or_default();
    details.parts = parts.iter().map(|part| part.size).collect();
    Ok(NewObject {
        bucket: upload.bucket,
        key: upload.key.clone(),
        size: parts.iter().map(|part| part.size).sum(),
        etag: format!("{}-{}", hex(&md5.finalize()), parts.len()),
        modified: now(),
        public_read: upload.public_read,
        details,
        contents: parts.iter().map(|part| part.content).collect(),
    })
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}
