//! The bucket that is the slug store's home: how it is configured, and how its troubles are said.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use slugline_model::message::Message;
use slugline_store::bucket::{
    self, Bucket, BucketError, BucketSettings, Credentials, Keys, Trouble,
};
use toml::Spanned;

use crate::console::{complain, say};

/// The table `[store]` of the configuration.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StoreTable {
    /// `s3://NAME/PREFIX`.
    bucket: Option<Spanned<String>>,
    /// The server's address where it is not Amazon's.
    endpoint: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    /// Whether the bucket's name is in the path of an address; it is unless said otherwise where
    /// there is an endpoint.
    path_style: Option<bool>,
    /// A file with the credentials; else they are in the environment.
    credentials: Option<Spanned<PathBuf>>,
    /// Whether this machine may remove from the bucket what no slug in it needs.
    collect: bool,
    /// How many of an app's releases keep their slugs.
    pub(crate) keep_releases: Option<usize>,
    /// For how many days they do.
    pub(crate) keep_days: Option<u32>,
    /// How large all slugs may be, such as `20 GB`.
    pub(crate) quota: Option<Spanned<String>>,
}

/// A value that cannot be used, and why.
pub(crate) struct Wrong {
    pub(crate) place: Option<std::ops::Range<usize>>,
    pub(crate) value: String,
    pub(crate) found: String,
}

impl StoreTable {
    /// A table about a bucket alone.
    pub(crate) fn of_bucket(
        bucket: Option<Spanned<String>>,
        endpoint: Option<Spanned<String>>,
        region: Option<Spanned<String>>,
        path_style: Option<bool>,
        credentials: Option<Spanned<PathBuf>>,
    ) -> Self {
        Self { bucket, endpoint, region, path_style, credentials, ..Self::default() }
    }

    /// What is configured, with the environment's variables as they are asked for; none where slugs
    /// stay here.
    pub(crate) fn settings(
        &self,
        file: &Path,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<BucketSettings>, Wrong> {
        let Some(address) = &self.bucket else { return self.without_bucket().map(|()| None) };
        let wrong = |at: &Spanned<String>, found: &str| Wrong {
            place: Some(at.span()),
            value: at.get_ref().clone(),
            found: found.to_owned(),
        };
        bucket::parse(address.get_ref()).map_err(|found| wrong(address, &found))?;
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint.get_ref()).map_err(|found| wrong(endpoint, found))?;
        }
        if let Some(region) = &self.region
            && !region.get_ref().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        {
            return Err(wrong(region, "A region has letters, digits and hyphens."));
        }
        let credentials = self.credentials(file, env).ok_or_else(|| {
            let found = "There are no credentials for it: AWS_ACCESS_KEY_ID and \
                         AWS_SECRET_ACCESS_KEY are not set, and no file is named.";
            wrong(address, found)
        })?;
        let mut settings = BucketSettings::new(address.get_ref(), credentials)
            .map_err(|found| wrong(address, &found))?;
        settings.path_style = self.path_style.unwrap_or(self.endpoint.is_some());
        settings.endpoint = self.endpoint.as_ref().map(|endpoint| endpoint.get_ref().clone());
        if let Some(region) = &self.region {
            settings.region.clone_from(region.get_ref());
        }
        settings.collect = self.collect;
        Ok(Some(settings))
    }

    /// Without a bucket nothing else means anything: a typing error must not lose the bucket.
    fn without_bucket(&self) -> Result<(), Wrong> {
        let texts = [&self.endpoint, &self.region].into_iter().flatten();
        let found = "There is no `bucket` that it could be for.".to_owned();
        match texts.map(|text| (text.span(), text.get_ref().clone())).next() {
            Some((place, value)) => Err(Wrong { place: Some(place), value, found }),
            None => Ok(()),
        }
    }

    /// A file that is named is meant; it may be named from where the configuration is.
    fn credentials(
        &self,
        file: &Path,
        env: impl Fn(&str) -> Option<String>,
    ) -> Option<Credentials> {
        if let Some(named) = &self.credentials {
            let directory = file.parent().unwrap_or(Path::new(""));
            return Some(Credentials::File(directory.join(named.get_ref())));
        }
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        Some(Credentials::Given(Keys {
            key_id: set("AWS_ACCESS_KEY_ID")?,
            secret: set("AWS_SECRET_ACCESS_KEY")?,
            session_token: set("AWS_SESSION_TOKEN"),
        }))
    }
}

fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let host = host.ok_or("It does not start with https:// or http://.")?;
    let host = host.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(plain) {
        return Err("It is no address of a server: a host, and perhaps a port.");
    }
    Ok(())
}

/// Tries the bucket out and says how that went. Blocks for as long as the bucket may take.
pub(crate) fn try_out(bucket: &Bucket) {
    match bucket.check() {
        Ok(found) => say(&format!("Slugs:        {} ({} in it)", found.bucket, found.slugs)),
        Err(error) => {
            let state = "The server runs, and starts dynos from the slugs that are here. Builds \
                         are not released until the bucket can be used."
                .to_owned();
            complain(&Message { state, ..explain(&error) }.plain());
        }
    }
}

/// What is wrong with the bucket, for the operator. The state of the world is the caller's to add.
pub(crate) fn explain(error: &BucketError) -> Message {
    let BucketError { operation, bucket, trouble } = error;
    let (allowed, next) = advice(trouble);
    Message {
        what: format!("cannot {operation} in the bucket {bucket}"),
        found: sentence(&trouble.to_string()),
        allowed: allowed.to_owned(),
        next: next.to_owned(),
        state: String::new(),
    }
}

/// A slug is here that could not go to the bucket, for the output of its build.
pub(crate) fn not_shared(error: &BucketError) -> Message {
    let message = explain(error);
    Message {
        what: "The slug was built but could not be stored in the bucket".to_owned(),
        found: format!("{}: {}", upper(&message.what), error.trouble),
        allowed: format!(
            "This is not a problem of the app. {} The slug stays on the server, and the next \
             build sends only what the bucket lacks.",
            message.allowed
        ),
        ..message
    }
}

/// What is allowed, and the next command.
fn advice(trouble: &Trouble) -> (&'static str, &'static str) {
    let configured = "slugline serve, once [store] in slugline.toml is right";
    match trouble {
        Trouble::Settings(_) => ("The settings of [store] must fit together.", configured),
        Trouble::Credentials(_) => (
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a file that `credentials` of [store] \
             names, say who the server is.",
            configured,
        ),
        Trouble::Unknown(_) => (
            "The key must be one of this server's, with its own secret, and not have expired.",
            configured,
        ),
        Trouble::Forbidden(_) => (
            "The key must be allowed to list the bucket, and to get, put and delete what is below \
             the prefix.",
            "aws s3 ls s3://BUCKET, with the same key",
        ),
        Trouble::Clock => {
            ("Requests are valid for fifteen minutes: both clocks must be right.", "date -u")
        }
        Trouble::NoBucket => ("The bucket must be there: it is not made.", "aws s3 mb s3://BUCKET"),
        Trouble::Elsewhere => {
            ("`region` and `endpoint` of [store] must be those of the bucket.", configured)
        }
        Trouble::Unreachable(_) | Trouble::Silent => (
            "The server's address must be right, and reachable from here; it was tried several \
             times.",
            "curl -sSI ENDPOINT",
        ),
        Trouble::Busy(_) => ("It was tried several times; this may pass.", "the same again, later"),
        Trouble::Missing | Trouble::Damaged => (
            "Nothing but Slugline may write or remove below the prefix; something on the way may \
             also have changed the answer.",
            "slugline builds:replay, which stores the slug anew",
        ),
        Trouble::Strange(_) => (
            "Another program may answer at the address, such as the sign-in page of a network.",
            "curl -sSI ENDPOINT",
        ),
    }
}

fn sentence(text: &str) -> String {
    format!("{}.", upper(text.trim_end_matches('.')))
}

fn upper(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_is_said_with_whose_move_it_is() {
        let text = || "no".to_owned();
        for trouble in [
            Trouble::Settings(text()),
            Trouble::Credentials(text()),
            Trouble::Unknown(text()),
            Trouble::Forbidden(text()),
            Trouble::Clock,
            Trouble::NoBucket,
            Trouble::Elsewhere,
            Trouble::Unreachable(text()),
            Trouble::Silent,
            Trouble::Busy(text()),
            Trouble::Missing,
            Trouble::Damaged,
            Trouble::Strange(text()),
        ] {
            let operation = "write slugs/12".to_owned();
            let error = BucketError { operation, bucket: "s3://slugs/house".to_owned(), trouble };
            for message in [explain(&error), not_shared(&error)] {
                assert_eq!(message.silent_parts(), ["state"], "{message:?}");
                assert!(message.plain().contains("s3://slugs/house"), "{message:?}");
            }
        }
    }
}
