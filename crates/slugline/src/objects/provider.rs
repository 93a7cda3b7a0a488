//! `heroku addons:create s3`: a bucket of the app's own, with a key that opens nothing else.

use std::collections::BTreeMap;

use slugline_model::addon::{Order, Plan, Provider, ProviderError, Provisioned, Service, Usage};
use slugline_model::size::{self, files};
use slugline_s3::{BucketChange, KeyPair, Setting, StorageError};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::external::{EXTERNAL, External};
use super::radosgw::Radosgw;
use super::settings::Outside;
use super::spelling::{Access, Spelling};
use super::{Objects, REGION};

/// The plan of buckets in the embedded server.
pub(crate) const EMBEDDED: &str = "embedded";

/// Provides buckets.
#[derive(Debug)]
pub(crate) struct Buckets {
    objects: Objects,
    external: Option<Elsewhere>,
    runtime: Handle,
}

/// Where the plan `external` is.
#[derive(Debug)]
enum Elsewhere {
    Shared(External),
    OwnUsers(Radosgw),
}

/// What may be said behind `--`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    spelling: Spelling,
    quota: Option<u64>,
    public: bool,
}

impl Options {
    fn read(options: &BTreeMap<String, String>) -> Result<Self, ProviderError> {
        let mut read = Self::default();
        for (name, value) in options {
            let wrong = |allowed: &str| {
                ProviderError::Refused(format!("--{name} {value} is not possible: {allowed}"))
            };
            match name.as_str() {
                "names" => {
                    let spelling = Spelling::parse(value);
                    read.spelling =
                        spelling.ok_or_else(|| wrong("it is aws, bucketeer or cloudcube"))?;
                }
                "quota" => {
                    let quota = crate::store_care::bytes(value);
                    read.quota = Some(quota.ok_or_else(|| wrong("it is a size, such as 10GB"))?);
                }
                "public" => {
                    read.public = match value.as_str() {
                        "" | "true" => true,
                        "false" => false,
                        _ => return Err(wrong("it is true or false")),
                    }
                }
                _ => {
                    let known = "the options are --names, --quota and --public";
                    return Err(ProviderError::Refused(format!(
                        "s3 knows no option --{name}: {known}"
                    )));
                }
            }
        }
        Ok(read)
    }
}

/// A bucket's name, which stays when the app or the add-on gets another one.
pub(super) fn bucket(id: Uuid) -> String {
    let id = id.simple().to_string();
    format!("uploads-{}", &id[..16])
}

impl Buckets {
    /// Calls come from threads that may block.
    pub(crate) fn new(objects: Objects, external: Option<Outside>) -> Self {
        let external = external.map(|outside| match outside {
            Outside::Shared(settings) => Elsewhere::Shared(External(settings)),
            Outside::OwnUsers(settings) => Elsewhere::OwnUsers(Radosgw(settings)),
        });
        Self { objects, external, runtime: Handle::current() }
    }

    fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, StorageError>>,
    ) -> Result<T, ProviderError> {
        self.runtime.block_on(work).map_err(|error| match error {
            StorageError::DiskFull => {
                ProviderError::Refused("The disk that buckets are on is full.".to_owned())
            }
            other => ProviderError::Failed(Box::new(other)),
        })
    }

    fn given(&self, order: &Order, key: KeyPair, options: &Options) -> Provisioned {
        let access = Access {
            key: key.name,
            secret: key.secret,
            region: REGION.to_owned(),
            bucket: bucket(order.id),
            endpoint: Some(self.objects.endpoint()),
            prefix: None,
        };
        let message = format!("The bucket is {}, at {}", access.bucket, self.objects.endpoint());
        Provisioned { vars: options.spelling.vars(&access), message: Some(message) }
    }

    /// What an add-on of the operator's bucket has; none for one of the embedded server.
    fn outside(&self, order: &Order) -> Result<Option<Access>, ProviderError> {
        match (&self.external, order.plan.as_str()) {
            (Some(Elsewhere::Shared(external)), EXTERNAL) => external.access(order.id).map(Some),
            (Some(Elsewhere::OwnUsers(gateway)), EXTERNAL) => {
                self.runtime.block_on(gateway.access(order.id)).map(Some)
            }
            (None, EXTERNAL) => Err(ProviderError::Refused(
                "The operator offers no bucket any more: slugline.toml has no table [s3]"
                    .to_owned(),
            )),
            _ => Self::check_plan(order).map(|()| None),
        }
    }

    fn given_outside(&self, order: &Order, access: &Access) -> Result<Provisioned, ProviderError> {
        let options = Options::read(&order.options)?;
        if options.quota.is_some() || options.public {
            let found = "--quota and --public are the embedded server's: set the bucket's own";
            return Err(ProviderError::Refused(found.to_owned()));
        }
        let told = self.runtime.block_on(External::check(access))?;
        let message = match &access.prefix {
            Some(prefix) => {
                format!("Keys begin with {prefix} in the bucket {}. {told}", access.bucket)
            }
            None => format!("The bucket is {}. {told}", access.bucket),
        };
        Ok(Provisioned { vars: options.spelling.vars(access), message: Some(message) })
    }

    /// Who makes and removes the add-on's own user, where there is such a user.
    fn gateway(&self, order: &Order) -> Option<&Radosgw> {
        match &self.external {
            Some(Elsewhere::OwnUsers(gateway)) if order.plan == EXTERNAL => Some(gateway),
            _ => None,
        }
    }

    fn check_plan(order: &Order) -> Result<(), ProviderError> {
        if order.plan == EMBEDDED {
            return Ok(());
        }
        Err(ProviderError::Refused(format!(
            "s3 has no plan `{}` here: it has {EMBEDDED}",
            order.plan
        )))
    }
}

impl Provider for Buckets {
    fn service(&self) -> Service {
        let embedded = Plan {
            name: EMBEDDED.to_owned(),
            human_name: "Embedded".to_owned(),
            description: "A bucket on this server's disk".to_owned(),
        };
        let external = Plan {
            name: EXTERNAL.to_owned(),
            human_name: "External".to_owned(),
            description: "A part of the operator's bucket".to_owned(),
        };
        Service {
            name: "s3".to_owned(),
            human_name: "S3 bucket".to_owned(),
            prefix: "S3".parse().unwrap_or_else(|_| unreachable!("it is an attachment's name")),
            is_shareable: true,
            plans: std::iter::once(embedded)
                .chain(self.external.as_ref().map(|_| external))
                .collect(),
        }
    }

    fn provision(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        if let Some(gateway) = self.gateway(order) {
            let access = self.runtime.block_on(gateway.make(order.id))?;
            return self.given_outside(order, &access);
        }
        if let Some(access) = self.outside(order)? {
            return self.given_outside(order, &access);
        }
        let options = Options::read(&order.options)?;
        let storage = &self.objects.storage;
        let bucket = bucket(order.id);
        let key = self.wait(async {
            let key = storage.create_bucket(&bucket).await?;
            // A server that was killed here may have made one, which nobody knows.
            storage.remove_keys(&bucket, Some(&key.name)).await?;
            let mut change = BucketChange::open_to_browsers();
            change.public_read = Some(options.public);
            change.quota = Some(options.quota.map_or(Setting::Unset, Setting::To));
            storage.change_bucket(&bucket, change).await?;
            Ok(key)
        })?;
        Ok(self.given(order, key, &options))
    }

    fn change_plan(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        let is_outside = self.outside(order)?.is_some();
        let exists =
            self.wait(async { Ok(self.objects.storage.bucket(&bucket(order.id)).await.is_ok()) })?;
        if is_outside == exists {
            return Err(ProviderError::Refused(
                "What is in the bucket does not move with its plan: create another add-on, and copy \
                 with slugline storage:get and storage:put"
                    .to_owned(),
            ));
        }
        self.rotate(order)
    }

    fn rotate(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        if let Some(gateway) = self.gateway(order) {
            let access = self.runtime.block_on(gateway.rotate(order.id))?;
            return self.given_outside(order, &access);
        }
        if let Some(access) = self.outside(order)? {
            // The operator has changed the key.
            return self.given_outside(order, &access);
        }
        let options = Options::read(&order.options)?;
        let storage = &self.objects.storage;
        let bucket = bucket(order.id);
        let key = self.wait(async {
            let key = storage.add_key(&bucket).await?;
            storage.remove_keys(&bucket, Some(&key.name)).await?;
            Ok(key)
        })?;
        Ok(self.given(order, key, &options))
    }

    fn deprovision(&self, order: &Order) -> Result<(), ProviderError> {
        if let Some(gateway) = self.gateway(order) {
            return self.runtime.block_on(gateway.remove(order.id));
        }
        if let Some(access) = self.outside(order)? {
            return self.runtime.block_on(External::empty(&access));
        }
        self.wait(self.objects.storage.destroy_bucket(&bucket(order.id)))
    }

    fn would_lose(&self, order: &Order) -> Result<Option<String>, ProviderError> {
        if let Some(access) = self.outside(order)? {
            return self.runtime.block_on(External::held(&access));
        }
        let name = bucket(order.id);
        let found = self.wait(async { Ok(self.objects.storage.bucket(&name).await.ok()) })?;
        let held = found
            .filter(|bucket| bucket.objects > 0)
            .map(|bucket| format!("{}, {}", files(bucket.objects), size::human(bucket.bytes)));
        Ok(held)
    }

    /// What is in the operator's bucket is known to whoever lists it.
    fn usage(&self, order: &Order) -> Result<Option<Usage>, ProviderError> {
        if order.plan != EMBEDDED {
            return Ok(None);
        }
        let name = bucket(order.id);
        let found = self.wait(async { Ok(self.objects.storage.bucket(&name).await.ok()) })?;
        Ok(found.map(|bucket| {
            let (files, bytes) = (bucket.objects, bucket.bytes);
            Usage { files, bytes, quota: bucket.quota }
        }))
    }

    fn web_url(&self, order: &Order) -> Option<String> {
        (order.plan == EMBEDDED)
            .then(|| format!("{}/{}", self.objects.endpoint(), bucket(order.id)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<Options, ProviderError> {
        let options = options.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Options::read(&options.collect())
    }

    #[test]
    fn options_are_what_somebody_meant_or_are_refused() {
        let said = [("names", "bucketeer"), ("quota", "10GB"), ("public", "")];
        let read_all = read(&said).unwrap();
        let spelling = Spelling::Bucketeer;
        assert_eq!(read_all, Options { spelling, quota: Some(10_000_000_000), public: true });
        for (name, value) in [("names", "x"), ("quota", "much"), ("public", "x"), ("size", "1")] {
            let refused = read(&[(name, value)]).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
