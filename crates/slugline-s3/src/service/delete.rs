//! Objects that go.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
    Error,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use crate::error::StorageError;
use crate::index::object::{self, Condition};
use crate::service::get::no_version;
use crate::storage::Storage;

/// Keys of one request.
const MOST: usize = 1_000;

/// One that is not there is none to remove.
pub(super) async fn one(
    storage: &Storage,
    input: DeleteObjectInput,
) -> S3Result<S3Response<DeleteObjectOutput>> {
    no_version(input.version_id.as_deref())?;
    let bucket = storage.settings(&input.bucket)?.id;
    let condition = Condition { if_match: input.if_match, if_none_match: None };
    let key = input.key;
    let removed = storage.change(None, move |db, gone| {
        let found = object::find(db, bucket, &key)?;
        condition.check(found.as_ref().map(|object| object.etag.as_str()))?;
        found.iter().try_for_each(|object| object::remove(db, bucket, object, gone))
    });
    removed.await?;
    Ok(S3Response::new(DeleteObjectOutput::default()))
}

pub(super) async fn many(
    storage: &Storage,
    input: DeleteObjectsInput,
) -> S3Result<S3Response<DeleteObjectsOutput>> {
    let bucket = storage.settings(&input.bucket)?.id;
    let quiet = input.delete.quiet.unwrap_or(false);
    if input.delete.objects.is_empty() || input.delete.objects.len() > MOST {
        return Err(S3Error::with_message(
            S3ErrorCode::MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ));
    }
    let (mut keys, mut errors) = (Vec::new(), Vec::new());
    for named in input.delete.objects {
        if no_version(named.version_id.as_deref()).is_ok() {
            keys.push(named.key);
        } else {
            errors.push(Error {
                code: Some("NoSuchVersion".to_owned()),
                key: Some(named.key),
                message: Some("The specified version does not exist.".to_owned()),
                version_id: named.version_id,
            });
        }
    }
    let removed = storage.change(None, move |db, gone| {
        for key in &keys {
            if let Some(object) = object::find(db, bucket, key)? {
                object::remove(db, bucket, &object, gone)?;
            }
        }
        Ok::<_, StorageError>(keys)
    });
    let deleted = removed
        .await?
        .into_iter()
        .map(|key| DeletedObject { key: Some(key), ..DeletedObject::default() });
    let deleted: Vec<_> = if quiet { Vec::new() } else { deleted.collect() };
    Ok(S3Response::new(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: (!errors.is_empty()).then_some(errors),
        ..DeleteObjectsOutput::default()
    }))
}
