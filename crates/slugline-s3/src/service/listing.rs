//! What is in a bucket, as S3's two ways of listing tell it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::{
    CommonPrefix, EncodingType, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object as Listed, ObjectStorageClass, Owner,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use crate::error::Result;
use crate::index::list::{Page, Query, page};
use crate::index::object::{Object, etag};
use crate::service::get::time_of;
use crate::storage::Storage;

/// Entries of one page.
const MOST: i32 = 1_000;

pub(super) fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidArgument, message)
}

/// How many entries a client wants.
pub(super) fn wanted(asked: Option<i32>) -> S3Result<(i32, usize)> {
    let most = asked.unwrap_or(MOST);
    let entries = usize::try_from(most.min(MOST));
    Ok((most, entries.map_err(|_| invalid("maxKeys cannot be negative"))?))
}

/// Keys may hold what XML cannot; then clients ask for them percent-encoded.
pub(super) fn encoder(encoding: Option<&EncodingType>) -> S3Result<fn(&str) -> String> {
    match encoding.map(EncodingType::as_str) {
        None => Ok(str::to_owned),
        Some(EncodingType::URL) => Ok(percent_encoded),
        Some(_) => Err(invalid("Invalid Encoding Method specified in Request")),
    }
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~/*".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

pub(super) fn owner() -> Owner {
    Owner { display_name: Some("slugline".to_owned()), id: Some("slugline".to_owned()) }
}

async fn look(storage: &Storage, bucket: &str, query: Query) -> Result<Page> {
    let bucket = storage.settings(bucket)?.id;
    storage.index.read(move |db| page(db, bucket, &query)).await
}

fn listed(object: &Object, encode: fn(&str) -> String, with_owner: bool) -> Listed {
    let algorithms = object.details.checksums.algorithms();
    let algorithms: Vec<_> =
        algorithms.map(|one| s3s::dto::ChecksumAlgorithm::from_static(one.name())).collect();
    Listed {
        checksum_algorithm: (!algorithms.is_empty()).then_some(algorithms),
        checksum_type: object.details.checksums.kind(),
        e_tag: Some(etag(&object.etag)),
        key: Some(encode(&object.key)),
        last_modified: Some(time_of(object.modified)),
        owner: with_owner.then(owner),
        restore_status: None,
        size: i64::try_from(object.size).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
    }
}

fn prefixes(prefixes: Vec<String>, encode: fn(&str) -> String) -> Option<Vec<CommonPrefix>> {
    let of = |prefix: String| CommonPrefix { prefix: Some(encode(&prefix)) };
    (!prefixes.is_empty()).then(|| prefixes.into_iter().map(of).collect())
}

pub(super) async fn v1(
    storage: &Storage,
    input: ListObjectsInput,
) -> S3Result<S3Response<ListObjectsOutput>> {
    let (most, entries) = wanted(input.max_keys)?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone(),
        most: entries,
    };
    let page = look(storage, &input.bucket, query).await?;
    let next = page.next.as_deref().map(encode);
    Ok(S3Response::new(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
        max_keys: Some(most),
        is_truncated: Some(next.is_some()),
        contents: Some(page.objects.into_iter().map(|one| listed(&one, encode, true)).collect()),
        common_prefixes: prefixes(page.prefixes, encode),
        // S3 tells it only where there are common prefixes; elsewhere it is the last key.
        next_marker: next.filter(|_| input.delimiter.is_some()),
        delimiter: input.delimiter.as_deref().map(encode),
        encoding_type: input.encoding_type,
        request_charged: None,
    }))
}

/// Where a page goes on, as text that clients only pass back.
fn token(next: &str) -> String {
    URL_SAFE_NO_PAD.encode(next)
}

fn of_token(token: &str) -> S3Result<String> {
    let decoded =
        URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(|| invalid("The continuation token provided is incorrect"))
}

pub(super) async fn v2(
    storage: &Storage,
    input: ListObjectsV2Input,
) -> S3Result<S3Response<ListObjectsV2Output>> {
    let (most, entries) = wanted(input.max_keys)?;
    let encode = encoder(input.encoding_type.as_ref())?;
    let continued = input.continuation_token.as_deref().map(of_token).transpose()?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: continued.or_else(|| input.start_after.clone()),
        most: entries,
    };
    let with_owner = input.fetch_owner.unwrap_or(false);
    let page = look(storage, &input.bucket, query).await?;
    let count = page.objects.len() + page.prefixes.len();
    let next = page.next.as_deref().map(token);
    let contents = page.objects.into_iter().map(|one| listed(&one, encode, with_owner));
    Ok(S3Response::new(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
        max_keys: Some(most),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(next.is_some()),
        next_continuation_token: next,
        contents: Some(contents.collect()),
        common_prefixes: prefixes(page.prefixes, encode),
        delimiter: input.delimiter.as_deref().map(encode),
        encoding_type: input.encoding_type,
        start_after: input.start_after.as_deref().map(encode),
        request_charged: None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_passed_back_as_it_was() {
        for key in ["a", "é/\u{10ffff}", "a b&c"] {
            assert_eq!(of_token(&token(key)).unwrap(), key);
        }
        assert!(of_token("not base64!").is_err());
        assert_eq!(percent_encoded("a b/é\n"), "a%20b/%C3%A9%0A");
    }
}
