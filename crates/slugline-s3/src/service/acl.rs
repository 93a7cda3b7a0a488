//! Who may read, in the words of S3's access control lists: everybody, or the bucket's keys alone.

use s3s::dto::AccessControlPolicy;
use s3s::dto::{
    BucketCannedACL, GetBucketAclInput, GetBucketAclOutput, GetObjectAclInput, GetObjectAclOutput,
    Grant, Grantee, ObjectCannedACL, Permission, PutBucketAclInput, PutBucketAclOutput,
    PutObjectAclInput, PutObjectAclOutput, Type,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result};

use crate::index::object::{self, no_such_key};
use crate::service::listing::owner;
use crate::storage::{BucketChange, Storage};

/// Everybody, in S3's words.
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";

fn grants(public_read: bool) -> Vec<Grant> {
    let grantee = |kind: &'static str, id: Option<String>, uri: Option<String>| Grantee {
        display_name: id.clone(),
        email_address: None,
        id,
        type_: Type::from_static(kind),
        uri,
    };
    let to = |grantee, permission: &'static str| Grant {
        grantee: Some(grantee),
        permission: Some(Permission::from_static(permission)),
    };
    let own = to(grantee(Type::CANONICAL_USER, owner().id, None), Permission::FULL_CONTROL);
    let everybody = to(grantee(Type::GROUP, None, Some(EVERYBODY.to_owned())), Permission::READ);
    std::iter::once(own).chain(public_read.then_some(everybody)).collect()
}

/// Whether a list lets everybody read; what else lists can say is not kept.
fn lets_everybody_read(policy: Option<AccessControlPolicy>) -> S3Result<bool> {
    let mut public = false;
    for grant in policy.and_then(|policy| policy.grants).unwrap_or_default() {
        let permission = grant.permission.as_ref().map(Permission::as_str);
        match grant.grantee.and_then(|grantee| grantee.uri).as_deref() {
            None => {}
            Some(EVERYBODY) if permission == Some(Permission::READ) => public = true,
            Some(_) => return Err(unsupported()),
        }
    }
    Ok(public)
}

fn unsupported() -> S3Error {
    S3Error::with_message(
        S3ErrorCode::NotImplemented,
        "This server knows the access control lists private and public-read alone.",
    )
}

fn canned(acl: &str) -> S3Result<bool> {
    match acl {
        ObjectCannedACL::PRIVATE
        | ObjectCannedACL::BUCKET_OWNER_READ
        | ObjectCannedACL::BUCKET_OWNER_FULL_CONTROL => Ok(false),
        ObjectCannedACL::PUBLIC_READ => Ok(true),
        _ => Err(unsupported()),
    }
}

pub(super) async fn get(
    storage: &Storage,
    input: GetObjectAclInput,
) -> S3Result<S3Response<GetObjectAclOutput>> {
    let bucket = storage.settings(&input.bucket)?;
    let object = super::get::find(storage, bucket.id, &input.key).await?;
    // In a bucket that is public every object is.
    let public_read = object.ok_or_else(no_such_key)?.public_read || bucket.public_read;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(grants(public_read)),
        owner: Some(owner()),
        request_charged: None,
    }))
}

pub(super) async fn put(
    storage: &Storage,
    input: PutObjectAclInput,
) -> S3Result<S3Response<PutObjectAclOutput>> {
    let bucket = storage.settings(&input.bucket)?.id;
    let public_read = match &input.acl {
        Some(acl) => canned(acl.as_str())?,
        None => lets_everybody_read(input.access_control_policy)?,
    };
    let key = input.key;
    let changed = storage.change(None, move |db, _| {
        let object = object::find(db, bucket, &key)?.ok_or_else(no_such_key)?;
        object::update(db, object.id, &object.details, public_read)
    });
    changed.await?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

pub(super) fn get_bucket(
    storage: &Storage,
    input: &GetBucketAclInput,
) -> S3Result<S3Response<GetBucketAclOutput>> {
    let bucket = storage.settings(&input.bucket)?;
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(grants(bucket.public_read)),
        owner: Some(owner()),
    }))
}

pub(super) async fn put_bucket(
    storage: &Storage,
    input: PutBucketAclInput,
) -> S3Result<S3Response<PutBucketAclOutput>> {
    let public_read = match input.acl.as_ref().map(BucketCannedACL::as_str) {
        Some(acl) => canned(acl)?,
        None => lets_everybody_read(input.access_control_policy)?,
    };
    let change = BucketChange { public_read: Some(public_read), ..BucketChange::default() };
    storage.change_bucket(&input.bucket, change).await?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}
