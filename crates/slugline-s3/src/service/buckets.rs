//! Buckets themselves: what they are told apart by, and their rules for browsers.

use s3s::dto::{
    Bucket as Listed, BucketLocationConstraint, CORSRule, CreateBucketInput, CreateBucketOutput,
    DeleteBucketCorsInput, DeleteBucketCorsOutput, GetBucketCorsInput, GetBucketCorsOutput,
    GetBucketLocationInput, GetBucketLocationOutput, HeadBucketInput, HeadBucketOutput,
    ListBucketsOutput, PutBucketCorsInput, PutBucketCorsOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result};

use crate::cors::Rule;
use crate::index::object::json;
use crate::service::access::denied;
use crate::service::get::time_of;
use crate::service::listing::owner;
use crate::storage::{BucketChange, Setting, Storage};

/// Rules of one bucket.
const MOST_RULES: usize = 100;

/// A key sees the bucket that it opens.
pub(super) fn list(storage: &Storage, key: &str) -> S3Result<S3Response<ListBucketsOutput>> {
    let name = storage.bucket_of_key(key).ok_or_else(denied)?;
    let bucket = storage.settings(&name)?;
    let listed = Listed {
        bucket_region: None,
        creation_date: Some(time_of(bucket.created)),
        name: Some(name),
    };
    Ok(S3Response::new(ListBucketsOutput {
        buckets: Some(vec![listed]),
        owner: Some(owner()),
        ..ListBucketsOutput::default()
    }))
}

pub(super) fn head(
    storage: &Storage,
    input: &HeadBucketInput,
    region: &str,
) -> S3Result<S3Response<HeadBucketOutput>> {
    storage.settings(&input.bucket)?;
    let output =
        HeadBucketOutput { bucket_region: Some(region.to_owned()), ..HeadBucketOutput::default() };
    Ok(S3Response::new(output))
}

pub(super) fn location(
    storage: &Storage,
    input: &GetBucketLocationInput,
    region: &str,
) -> S3Result<S3Response<GetBucketLocationOutput>> {
    storage.settings(&input.bucket)?;
    // Amazon's first region has no name here.
    let named = (region != "us-east-1").then(|| BucketLocationConstraint::from(region.to_owned()));
    Ok(S3Response::new(GetBucketLocationOutput { location_constraint: named }))
}

/// A key's own bucket is there already; it makes no other.
pub(super) fn create(
    storage: &Storage,
    input: &CreateBucketInput,
) -> S3Result<S3Response<CreateBucketOutput>> {
    storage.settings(&input.bucket)?;
    Err(S3Error::with_message(
        S3ErrorCode::BucketAlreadyOwnedByYou,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ))
}

pub(super) fn get_cors(
    storage: &Storage,
    input: &GetBucketCorsInput,
) -> S3Result<S3Response<GetBucketCorsOutput>> {
    let bucket = storage.settings(&input.bucket)?;
    let rules: Option<Vec<Rule>> =
        bucket.cors.as_deref().and_then(|rules| serde_json::from_str(rules).ok());
    let none = || {
        S3Error::with_message(
            S3ErrorCode::NoSuchCORSConfiguration,
            "The CORS configuration does not exist",
        )
    };
    let rules = rules.ok_or_else(none)?.into_iter().map(|rule| CORSRule {
        allowed_headers: (!rule.headers.is_empty()).then_some(rule.headers),
        allowed_methods: rule.methods,
        allowed_origins: rule.origins,
        expose_headers: (!rule.exposed.is_empty()).then_some(rule.exposed),
        id: rule.id,
        max_age_seconds: rule.max_age,
    });
    Ok(S3Response::new(GetBucketCorsOutput { cors_rules: Some(rules.collect()) }))
}

pub(super) async fn put_cors(
    storage: &Storage,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<S3Response<PutBucketCorsOutput>> {
    let input = request.input;
    let rules: Vec<Rule> = input
        .cors_configuration
        .cors_rules
        .into_iter()
        .map(|rule| Rule {
            id: rule.id,
            origins: rule.allowed_origins,
            methods: rule.allowed_methods,
            headers: rule.allowed_headers.unwrap_or_default(),
            exposed: rule.expose_headers.unwrap_or_default(),
            max_age: rule.max_age_seconds,
        })
        .collect();
    if rules.is_empty() || rules.len() > MOST_RULES {
        return Err(S3Error::new(S3ErrorCode::MalformedXML));
    }
    if let Some(wrong) = rules.iter().find_map(Rule::wrong) {
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, wrong));
    }
    let change = BucketChange { cors: Some(Setting::To(json(&rules)?)), ..BucketChange::default() };
    storage.change_bucket(&input.bucket, change).await?;
    Ok(S3Response::new(PutBucketCorsOutput::default()))
}

pub(super) async fn delete_cors(
    storage: &Storage,
    input: DeleteBucketCorsInput,
) -> S3Result<S3Response<DeleteBucketCorsOutput>> {
    let change = BucketChange { cors: Some(Setting::Unset), ..BucketChange::default() };
    storage.change_bucket(&input.bucket, change).await?;
    Ok(S3Response::new(DeleteBucketCorsOutput::default()))
}
