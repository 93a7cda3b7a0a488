//! Who may do what: a key opens one bucket, and nobody without a key does more than read what is
//! public.

use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::host::{S3Host, VirtualHost};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};
use slugline_model::route::host_name;

use crate::storage::Storage;

/// Requests that anybody may make of an object that is public; whether it is, is seen later.
const PUBLIC: [&str; 2] = ["GetObject", "HeadObject"];

/// Decides by the storage's keys.
#[derive(Debug, Clone)]
pub(crate) struct Gate(pub(crate) Storage);

pub(super) fn denied() -> S3Error {
    S3Error::with_message(S3ErrorCode::AccessDenied, "Access Denied")
}

#[async_trait::async_trait]
impl S3Auth for Gate {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.0.bucket_of_key(access_key) {
            Some(_) => Ok(SecretKey::from(self.0.secret(access_key))),
            None => Err(S3Error::with_message(
                S3ErrorCode::InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records.",
            )),
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, context: &mut S3AccessContext<'_>) -> S3Result<()> {
        let operation = context.s3_op().name();
        let Some(credentials) = context.credentials() else {
            return if PUBLIC.contains(&operation) { Ok(()) } else { Err(denied()) };
        };
        let bucket = match context.s3_path() {
            S3Path::Root => return if operation == "ListBuckets" { Ok(()) } else { Err(denied()) },
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } => bucket,
        };
        // A key may have gone since its signature was verified.
        let opened = self.0.bucket_of_key(&credentials.access_key);
        if opened.as_deref() == Some(bucket) { Ok(()) } else { Err(denied()) }
    }
}

/// Names below which buckets are hosts of their own. Under any other name the bucket is in the path.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(pub(crate) Vec<String>);

impl S3Host for Hosts {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host_name(host);
        let of_bucket = self.0.iter().find_map(|domain| {
            let at = name.len().checked_sub(domain.len())?;
            let rest = name.get(at..)?.eq_ignore_ascii_case(domain).then(|| &name[..at])?;
            rest.strip_suffix('.').filter(|bucket| !bucket.is_empty())
        });
        Ok(match of_bucket {
            Some(bucket) => VirtualHost::new(host).with_bucket(bucket.to_ascii_lowercase()),
            None => VirtualHost::new(host),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_a_host_below_the_servers_names_alone() {
        let hosts = Hosts(vec!["s3.localhost".into()]);
        let bucket =
            |host: &str| hosts.parse_host_header(host).unwrap().bucket().map(str::to_owned);
        assert_eq!(bucket("owl.s3.localhost:5080").as_deref(), Some("owl"));
        assert_eq!(bucket("my.owl.S3.localhost").as_deref(), Some("my.owl"));
        for none in ["s3.localhost:5080", "localhost:1", "owls3.localhost", ".s3.localhost", "é"] {
            assert_eq!(bucket(none), None, "{none}");
        }
    }
}
