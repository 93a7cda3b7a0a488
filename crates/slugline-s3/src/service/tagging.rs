//! Tags of objects and of buckets.

use std::collections::BTreeSet;

use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput,
    DeleteObjectTaggingOutput, GetBucketTaggingInput, GetBucketTaggingOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, PutBucketTaggingInput, PutBucketTaggingOutput,
    PutObjectTaggingInput, PutObjectTaggingOutput, Tag,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use crate::index::object::{self, json, no_such_key};
use crate::storage::{BucketChange, Setting, Storage};

/// A tag's name and value.
pub(super) type Tags = Vec<(String, String)>;

/// Tags of one object, and of one bucket.
const OF_OBJECT: usize = 10;
const OF_BUCKET: usize = 50;

fn invalid(message: &'static str) -> S3Error {
    S3Error::with_message(S3ErrorCode::InvalidTag, message)
}

fn check(tags: Tags, most: usize) -> S3Result<Tags> {
    if tags.len() > most {
        return Err(S3Error::with_message(
            S3ErrorCode::InvalidTag,
            format!("Tags cannot be more than {most}"),
        ));
    }
    let names: BTreeSet<&str> = tags.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() != tags.len() {
        return Err(invalid("Cannot provide multiple Tags with the same key"));
    }
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    if tags.iter().any(|(name, value)| name.is_empty() || !fits(name, 128) || !fits(value, 256)) {
        return Err(invalid("The TagKey or TagValue you have provided is invalid"));
    }
    Ok(tags)
}

fn pairs(set: Vec<Tag>, most: usize) -> S3Result<Tags> {
    let pairs =
        set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()));
    check(pairs.collect(), most)
}

fn set(tags: Tags) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

/// Of the header `x-amz-tagging`, which is written like a query.
pub(super) fn of_header(header: &str) -> S3Result<Tags> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_decoded(&text).ok_or_else(|| invalid("The header x-amz-tagging is not UTF-8"))
    };
    let pairs = header.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    });
    check(pairs.collect::<S3Result<_>>()?, OF_OBJECT)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).ok()
}

pub(super) async fn get(
    storage: &Storage,
    input: GetObjectTaggingInput,
) -> S3Result<S3Response<GetObjectTaggingOutput>> {
    super::get::no_version(input.version_id.as_deref())?;
    let bucket = storage.settings(&input.bucket)?;
    let object = super::get::find(storage, bucket.id, &input.key).await?;
    let tags = object.ok_or_else(no_such_key)?.details.tags;
    Ok(S3Response::new(GetObjectTaggingOutput { tag_set: set(tags), version_id: None }))
}

async fn change(storage: &Storage, bucket: &str, key: String, tags: Tags) -> S3Result<()> {
    let bucket = storage.settings(bucket)?.id;
    let change = storage.change(None, move |db, _| {
        let mut object = object::find(db, bucket, &key)?.ok_or_else(no_such_key)?;
        object.details.tags = tags;
        object::update(db, object.id, &object.details, object.public_read)
    });
    Ok(change.await?)
}

pub(super) async fn put(
    storage: &Storage,
    input: PutObjectTaggingInput,
) -> S3Result<S3Response<PutObjectTaggingOutput>> {
    let tags = pairs(input.tagging.tag_set, OF_OBJECT)?;
    change(storage, &input.bucket, input.key, tags).await?;
    Ok(S3Response::new(PutObjectTaggingOutput::default()))
}

pub(super) async fn delete(
    storage: &Storage,
    input: DeleteObjectTaggingInput,
) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
    change(storage, &input.bucket, input.key, Tags::new()).await?;
    Ok(S3Response::new(DeleteObjectTaggingOutput::default()))
}

pub(super) fn get_bucket(
    storage: &Storage,
    input: &GetBucketTaggingInput,
) -> S3Result<S3Response<GetBucketTaggingOutput>> {
    let bucket = storage.settings(&input.bucket)?;
    let tags: Option<Tags> =
        bucket.tags.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let none = || S3Error::with_message(S3ErrorCode::NoSuchTagSet, "The TagSet does not exist");
    Ok(S3Response::new(GetBucketTaggingOutput { tag_set: set(tags.ok_or_else(none)?) }))
}

pub(super) async fn put_bucket(
    storage: &Storage,
    input: PutBucketTaggingInput,
) -> S3Result<S3Response<PutBucketTaggingOutput>> {
    let tags = json(&pairs(input.tagging.tag_set, OF_BUCKET)?)?;
    let change = BucketChange { tags: Some(Setting::To(tags)), ..BucketChange::default() };
    storage.change_bucket(&input.bucket, change).await?;
    Ok(S3Response::new(PutBucketTaggingOutput::default()))
}

pub(super) async fn delete_bucket(
    storage: &Storage,
    input: DeleteBucketTaggingInput,
) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
    let change = BucketChange { tags: Some(Setting::Unset), ..BucketChange::default() };
    storage.change_bucket(&input.bucket, change).await?;
    Ok(S3Response::new(DeleteBucketTaggingOutput::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_a_header_are_read_like_a_query() {
        let tags = of_header("kind=cover&of=a+b%2Fc&bare").unwrap();
        let expected = [("kind", "cover"), ("of", "a b/c"), ("bare", "")];
        assert_eq!(tags, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        for bad in ["a=1&a=2", "=1", "a=%ff", "a=%4"] {
            assert!(of_header(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..11).map(|n| format!("t{n}=x")).collect();
        assert!(of_header(&many.join("&")).is_err());
    }
}
