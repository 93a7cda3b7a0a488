//! Which bucket, and how to get into it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// How long one request may take where nobody says otherwise: eight megabytes over a slow line.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often a request is tried again that failed for a reason that may pass.
const RETRIES: usize = 6;

/// How long an upload may take.
const GRACE: Duration = Duration::from_hours(24);

/// Which bucket, and how to get into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketSettings {
    /// The bucket's name.
    pub bucket: String,
    /// What all names in it start with; may be empty.
    pub prefix: String,
    /// The server's address where it is not Amazon's: `https://s3.example.com`.
    pub endpoint: Option<String>,
    /// What requests are signed for: `us-east-1`.
    pub region: String,
    /// Whether the bucket's name is in the path of an address, rather than in the host's name.
    pub path_style: bool,
    /// Where the credentials are.
    pub credentials: Credentials,
    /// Whether this machine may remove from the bucket what no slug in it needs.
    pub collect: bool,
    /// How long one request may take.
    pub patience: Duration,
    /// How often a request is tried again.
    pub retries: usize,
    /// How long something that no slug in the bucket needs is left alone: its slug may be on its
    /// way.
    pub grace: Duration,
}

/// Where credentials are. They are read when the bucket is opened, and never printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A file with lines `aws_access_key_id = …`, `aws_secret_access_key = …` and perhaps
    /// `aws_session_token = …`, as the AWS command line keeps them; of several sections the first.
    File(PathBuf),
    /// These.
    Given(Keys),
}

/// A key and its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    /// The access key's id.
    pub key_id: String,
    /// Its secret.
    pub secret: String,
    /// The token of a session.
    pub session_token: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

impl BucketSettings {
    /// Settings of which only the address, `s3://NAME/PREFIX`, and the credentials are special. The
    /// error says what is wrong with the address.
    pub fn new(address: &str, credentials: Credentials) -> Result<Self, String> {
        let (bucket, prefix) = parse(address)?;
        Ok(Self {
            bucket,
            prefix,
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: true,
            credentials,
            collect: false,
            patience: PATIENCE,
            retries: RETRIES,
            grace: GRACE,
        })
    }

    /// The address as people know it.
    pub fn shown(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.bucket, self.prefix)
    }

    /// What tells this bucket from another one, for files about it.
    pub(crate) fn mark(&self) -> String {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        let all = [endpoint, &self.region, &self.bucket, &self.prefix].join("\n");
        blake3::hash(all.as_bytes()).to_hex()[..16].to_owned()
    }

    /// The server's address as requests to the bucket need it.
    pub(crate) fn endpoint_of_bucket(&self, endpoint: &str) -> String {
        let endpoint = endpoint.trim_end_matches('/');
        match endpoint.split_once("://") {
            Some((scheme, host)) if !self.path_style => {
                format!("{scheme}://{}.{host}", self.bucket)
            }
            _ => endpoint.to_owned(),
        }
    }
}

/// The bucket and the prefix of an address.
pub fn parse(address: &str) -> Result<(String, String), String> {
    let rest = address.strip_prefix("s3://").ok_or("It does not start with s3://.")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let inner = |b: u8| lower(b) || matches!(b, b'.' | b'-');
    if !(3..=63).contains(&bucket.len())
        || !bucket.bytes().all(inner)
        || !bucket.starts_with(|c| lower(c as u8))
        || !bucket.ends_with(|c| lower(c as u8))
    {
        return Err(
            "A bucket's name has 3 to 63 lowercase letters, digits, dots and hyphens.".to_owned()
        );
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(plain);
    if prefix.len() > 512 || !(prefix.is_empty() || prefix.split('/').all(segment)) {
        return Err("A prefix has letters, digits, dots, hyphens and underscores, between single \
                    slashes."
            .to_owned());
    }
    Ok((bucket.to_owned(), prefix.to_owned()))
}

impl Credentials {
    /// Reads them. The error says why not, without any of them.
    pub fn read(&self) -> Result<Keys, String> {
        let path = match self {
            Self::Given(keys) => return Ok(keys.clone()),
            Self::File(path) => path,
        };
        let text = fs_err::read_to_string(path).map_err(|error| error.to_string())?;
        Keys::parse(&text).ok_or_else(|| {
            format!(
                "{} does not have aws_access_key_id and aws_secret_access_key, each on a line of \
                 its own",
                path.display()
            )
        })
    }
}

impl Keys {
    /// Reads the text of a credentials file.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let values = text.lines().filter_map(|line| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name).then(|| value.trim().to_owned())
            });
            values.into_iter().find(|value| !value.is_empty() && value.chars().all(printable))
        };
        Some(Self {
            key_id: value("aws_access_key_id")?,
            secret: value("aws_secret_access_key")?,
            session_token: value("aws_session_token"),
        })
    }
}

/// What may stand in a header.
fn printable(c: char) -> bool {
    c.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_bucket_and_perhaps_a_prefix() {
        let parts = |address| parse(address).ok();
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(parts("s3://slugs"), pair("slugs", ""));
        assert_eq!(parts("s3://slugs/a/b_c/"), pair("slugs", "a/b_c"));
        for wrong in [
            "slugs",
            "http://slugs",
            "s3://",
            "s3://ab",
            "s3://Slugs",
            "s3://-slugs",
            "s3://slugs/../a",
            "s3://slugs/a//b",
            "s3://slugs/ä",
            "s3://slugs/a?b",
        ] {
            assert_eq!(parts(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn credentials_are_read_as_the_aws_command_line_keeps_them_and_never_shown() {
        let text = "[default]\naws_access_key_id = AKIA\naws_secret_access_key=s3cr/et=\n";
        let keys = Keys::parse(text).unwrap();
        assert_eq!((keys.key_id.as_str(), keys.secret.as_str()), ("AKIA", "s3cr/et="));
        assert_eq!(keys.session_token, None);
        let settings = BucketSettings::new("s3://slugs", Credentials::Given(keys)).unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("AKIA") && !shown.contains("s3cr"), "{shown}");
        for wrong in ["", "aws_access_key_id=a", "aws_access_key_id=\naws_secret_access_key=x\n"] {
            assert!(Keys::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_bucket_is_in_the_host_or_in_the_path() {
        let keys = Keys { key_id: "a".into(), secret: "b".into(), session_token: None };
        let mut settings = BucketSettings::new("s3://slugs", Credentials::Given(keys)).unwrap();
        let of = |settings: &BucketSettings| settings.endpoint_of_bucket("https://s3.example/");
        assert_eq!(of(&settings), "https://s3.example");
        settings.path_style = false;
        assert_eq!(of(&settings), "https://slugs.s3.example");
    }
}
