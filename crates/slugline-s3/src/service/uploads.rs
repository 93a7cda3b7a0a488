//! Uploads under way, and their parts, as they are listed.

use s3s::dto::{
    ChecksumAlgorithm, CommonPrefix, Initiator, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListPartsInput, ListPartsOutput, MultipartUpload, Part as Listed,
    StorageClass,
};
use s3s::{S3Response, S3Result};

use crate::content::checksums::Algorithm;
use crate::index::object::etag;
use crate::index::upload::{self, Part, Upload};
use crate::service::get::time_of;
use crate::service::listing::{encoder, owner, wanted};
use crate::storage::Storage;

fn initiator() -> Initiator {
    let owner = owner();
    Initiator { display_name: owner.display_name, id: owner.id }
}

fn standard() -> StorageClass {
    StorageClass::from_static(StorageClass::STANDARD)
}

fn algorithm(of: Option<Algorithm>) -> Option<ChecksumAlgorithm> {
    of.map(|one| ChecksumAlgorithm::from_static(one.name()))
}

pub(super) async fn parts(
    storage: &Storage,
    input: ListPartsInput,
) -> S3Result<S3Response<ListPartsOutput>> {
    let bucket = storage.settings(&input.bucket)?.id;
    let (most, entries) = wanted(input.max_parts)?;
    let after = input.part_number_marker.unwrap_or(0);
    let (key, id) = (input.key.clone(), input.upload_id.clone());
    let look = move |db: &rusqlite::Connection| {
        let upload = upload::find(db, bucket, &key, &id)?;
        let parts = upload::parts(db, &id, after, entries + 1)?;
        Ok((upload, parts))
    };
    let (upload, mut parts) = storage.index.read(look).await?;
    let truncated = parts.len() > entries;
    parts.truncate(entries);
    Ok(S3Response::new(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: algorithm(upload.algorithm),
        initiator: Some(initiator()),
        owner: Some(owner()),
        storage_class: Some(standard()),
        max_parts: Some(most),
        part_number_marker: Some(after),
        next_part_number_marker: parts.last().map(|part| part.number).filter(|_| truncated),
        is_truncated: Some(truncated),
        parts: Some(parts.into_iter().map(listed).collect()),
        ..ListPartsOutput::default()
    }))
}

fn listed(part: Part) -> Listed {
    Listed {
        checksum_crc32: part.checksums.crc32,
        checksum_crc32c: part.checksums.crc32c,
        checksum_crc64nvme: part.checksums.crc64nvme,
        checksum_sha1: part.checksums.sha1,
        checksum_sha256: part.checksums.sha256,
        e_tag: Some(etag(&part.etag)),
        last_modified: Some(time_of(part.modified)),
        part_number: Some(part.number),
        size: i64::try_from(part.size).ok(),
    }
}

/// Uploads under way are few: they are looked through one by one.
pub(super) async fn uploads(
    storage: &Storage,
    input: ListMultipartUploadsInput,
) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
    const AT_ONCE: usize = 1_000;
    let bucket = storage.settings(&input.bucket)?.id;
    let (most, entries) = wanted(input.max_uploads)?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let delimiter = input.delimiter.clone().filter(|delimiter| !delimiter.is_empty());
    let mut after = begin(&input);
    let (mut found, mut prefixes): (Vec<Upload>, Vec<String>) = (Vec::new(), Vec::new());
    let mut truncated = false;
    'pages: loop {
        if entries == 0 {
            break;
        }
        let (key, id) = after.clone();
        let look = move |db: &rusqlite::Connection| upload::list(db, bucket, (&key, &id), AT_ONCE);
        let page = storage.index.read(look).await?;
        let last = page.len() < AT_ONCE;
        for upload in page {
            let Some(rest) = upload.key.strip_prefix(&prefix) else { continue };
            let cut = delimiter.as_ref().and_then(|one| Some(rest.find(one)? + one.len()));
            let shared = cut.map(|cut| upload.key[..prefix.len() + cut].to_owned());
            let is_known = shared.as_ref().is_some_and(|shared| prefixes.last() == Some(shared));
            if !is_known && found.len() + prefixes.len() == entries {
                truncated = true;
                break 'pages;
            }
            after = (upload.key.clone().into_bytes(), upload.id.clone());
            match shared {
                Some(shared) if !is_known => prefixes.push(shared),
                Some(_) => {}
                None => found.push(upload),
            }
        }
        if last {
            break;
        }
    }
    let next_key = truncated.then(|| encode(&String::from_utf8_lossy(&after.0)));
    let common =
        prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect();
    Ok(S3Response::new(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: Some(encode(&prefix)),
        common_prefixes: Some(common),
        delimiter: input.delimiter.as_deref().map(encode),
        encoding_type: input.encoding_type,
        key_marker: Some(encode(input.key_marker.as_deref().unwrap_or_default())),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        max_uploads: Some(most),
        is_truncated: Some(truncated),
        next_key_marker: next_key,
        next_upload_id_marker: truncated.then_some(after.1),
        uploads: Some(found.into_iter().map(|one| listed_upload(one, encode)).collect()),
        request_charged: None,
    }))
}

/// Behind all uploads of the marked key, or behind one of them.
fn begin(input: &ListMultipartUploadsInput) -> (Vec<u8>, String) {
    let Some(key) = input.key_marker.clone().filter(|key| !key.is_empty()) else {
        return (Vec::new(), String::new());
    };
    // Ids are of digits and small letters.
    let id = input.upload_id_marker.clone().filter(|id| !id.is_empty());
    (key.into_bytes(), id.unwrap_or_else(|| "~".to_owned()))
}

fn listed_upload(upload: Upload, encode: fn(&str) -> String) -> MultipartUpload {
    MultipartUpload {
        checksum_algorithm: algorithm(upload.algorithm),
        checksum_type: None,
        initiated: Some(time_of(upload.started)),
        initiator: Some(initiator()),
        key: Some(encode(&upload.key)),
        owner: Some(owner()),
        storage_class: Some(standard()),
        upload_id: Some(upload.id),
    }
}
