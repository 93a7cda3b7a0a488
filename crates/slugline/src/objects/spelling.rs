//! The names under which people's code reads where its bucket is.

use std::fmt;

use slugline_model::config_vars::ConfigVars;

/// Whose names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Spelling {
    /// Those of Amazon's tools, with `S3_BUCKET` and `S3_ENDPOINT_URL`.
    #[default]
    Aws,
    /// Bucketeer's, an add-on of Heroku's.
    Bucketeer,
    /// Cloud Cube's, another one.
    CloudCube,
}

/// A bucket and its key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) region: String,
    pub(crate) bucket: String,
    /// None for Amazon's own.
    pub(crate) endpoint: Option<String>,
    /// What all the app's keys begin with, where the bucket is not the app's alone.
    pub(crate) prefix: Option<String>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

impl Spelling {
    /// As somebody writes it behind `--names`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "aws" => Some(Self::Aws),
            "bucketeer" => Some(Self::Bucketeer),
            "cloudcube" => Some(Self::CloudCube),
            _ => None,
        }
    }

    /// The config vars.
    pub(crate) fn vars(self, access: &Access) -> ConfigVars {
        let Access { key, secret, region, bucket, endpoint, prefix } = access;
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut vars = match self {
            Self::Aws => vec![
                own("AWS_ACCESS_KEY_ID", key),
                own("AWS_SECRET_ACCESS_KEY", secret),
                own("AWS_REGION", region),
                own("S3_BUCKET", bucket),
            ],
            Self::Bucketeer => vec![
                own("BUCKETEER_AWS_ACCESS_KEY_ID", key),
                own("BUCKETEER_AWS_SECRET_ACCESS_KEY", secret),
                own("BUCKETEER_AWS_REGION", region),
                own("BUCKETEER_BUCKET_NAME", bucket),
            ],
            Self::CloudCube => vec![
                own("CLOUDCUBE_ACCESS_KEY_ID", key),
                own("CLOUDCUBE_SECRET_ACCESS_KEY", secret),
                own("CLOUDCUBE_URL", &cube(access)),
            ],
        };
        if let Some(endpoint) = endpoint {
            vars.push(own("S3_ENDPOINT_URL", endpoint));
        }
        if let Some(prefix) = prefix
            && self != Self::CloudCube
        {
            vars.push(own("S3_PREFIX", prefix));
        }
        vars.into_iter().collect()
    }
}

/// The bucket's own host, and a directory in it, which is the cube.
fn cube(access: &Access) -> String {
    let endpoint = access.endpoint.as_deref().unwrap_or("https://s3.amazonaws.com");
    let (scheme, host) = endpoint.split_once("://").unwrap_or(("https", endpoint));
    let directory = access.prefix.as_deref().map_or("cube", |prefix| prefix.trim_matches('/'));
    format!("{scheme}://{}.{}/{directory}", access.bucket, host.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access() -> Access {
        Access {
            key: "K".into(),
            secret: "S".into(),
            region: "us-east-1".into(),
            bucket: "uploads-1".into(),
            endpoint: Some("http://s3.localhost:5080".into()),
            prefix: None,
        }
    }

    #[test]
    fn each_spelling_is_one_that_somebodys_code_reads() {
        let names =
            |spelling: Spelling| spelling.vars(&access()).into_keys().collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(Spelling::Aws),
            "AWS_ACCESS_KEY_ID AWS_REGION AWS_SECRET_ACCESS_KEY S3_BUCKET S3_ENDPOINT_URL"
        );
        assert!(names(Spelling::Bucketeer).contains("BUCKETEER_BUCKET_NAME"));
        let cube = Spelling::CloudCube.vars(&access());
        assert_eq!(cube["CLOUDCUBE_URL"], "http://uploads-1.s3.localhost:5080/cube");
        assert_eq!(Spelling::parse("x"), None);
        let amazon = Access { endpoint: None, ..access() };
        assert!(!Spelling::Aws.vars(&amazon).contains_key("S3_ENDPOINT_URL"));
    }
}
