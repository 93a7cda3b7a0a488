//! What can go wrong with a bucket, told apart by whose move it is.

use object_store::client::{HttpError, HttpErrorKind};

/// Why the bucket did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation} in the bucket {bucket}: {trouble}")]
pub struct BucketError {
    /// Such as `write packs/9f86…`.
    pub operation: String,
    /// As it was configured: `s3://slugs/house`.
    pub bucket: String,
    /// What was met.
    pub trouble: Trouble,
}

/// What was met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The settings make no sense.
    #[error("{0}")]
    Settings(String),
    /// No credentials were given, or their file cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// The server knows no such key, or the secret is not the key's.
    #[error("the server refuses the credentials ({0})")]
    Unknown(String),
    /// The key is good, and may not do this.
    #[error("the server forbids it ({0})")]
    Forbidden(String),
    /// This machine's clock, or the server's, is wrong.
    #[error("the server finds this machine's clock wrong")]
    Clock,
    /// There is no such bucket.
    #[error("there is no such bucket")]
    NoBucket,
    /// The bucket is elsewhere.
    #[error("the server sends us elsewhere")]
    Elsewhere,
    /// Nobody answers there.
    #[error("the server cannot be reached: {0}")]
    Unreachable(String),
    /// It took too long, again and again.
    #[error("the server did not answer in time")]
    Silent,
    /// The server is overloaded or broken, again and again.
    #[error("the server cannot do it now ({0})")]
    Busy(String),
    /// What should be there is not.
    #[error("it is not there")]
    Missing,
    /// What came is not what was put there, again and again.
    #[error("what came is damaged")]
    Damaged,
    /// The answer is none of S3's.
    #[error("the answer is none that S3 gives: {0}")]
    Strange(String),
}

/// How much of a strange answer is shown (characters).
const SHOWN: usize = 160;

impl Trouble {
    /// Whether this is about one thing in the bucket, rather than about the bucket or the way to it.
    pub fn is_of_content(&self) -> bool {
        matches!(self, Self::Missing | Self::Damaged)
    }

    pub(crate) fn of(error: &object_store::Error) -> Self {
        let text = chain(error);
        if let Some(code) = between(&text, "<Code>", "</Code>") {
            return Self::of_code(&code, &text);
        }
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            object_store::Error::PermissionDenied { .. }
            | object_store::Error::Unauthenticated { .. } => Self::Forbidden("no reason".into()),
            _ => Self::of_http(error, &text),
        }
    }

    fn of_code(code: &str, text: &str) -> Self {
        match code {
            "NoSuchBucket" => Self::NoBucket,
            "NoSuchKey" | "NoSuchUpload" => Self::Missing,
            "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "ExpiredToken" => {
                Self::Unknown(code.to_owned())
            }
            "RequestTimeTooSkewed" => Self::Clock,
            "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" => {
                Self::Elsewhere
            }
            "SlowDown" | "InternalError" | "ServiceUnavailable" => Self::Busy(code.to_owned()),
            _ if text.contains("status code: 403") => Self::Forbidden(code.to_owned()),
            _ if text.contains("status code: 5") => Self::Busy(code.to_owned()),
            _ => Self::Strange(code.chars().take(SHOWN).collect()),
        }
    }

    fn of_http(error: &object_store::Error, text: &str) -> Self {
        match http_kind(error) {
            Some(HttpErrorKind::Timeout) => return Self::Silent,
            Some(HttpErrorKind::Connect) => return Self::Unreachable(innermost(error)),
            Some(HttpErrorKind::Request | HttpErrorKind::Interrupted) => {
                return Self::Unreachable("the connection broke".to_owned());
            }
            _ => {}
        }
        if text.contains("without LOCATION") || text.contains("status code: 3") {
            return Self::Elsewhere;
        }
        match between(text, "status code: 5", ":") {
            Some(rest) => Self::Busy(format!("5{rest}")),
            None => Self::Strange(innermost(error)),
        }
    }
}

fn http_kind(error: &object_store::Error) -> Option<HttpErrorKind> {
    sources(error).find_map(|error| error.downcast_ref::<HttpError>().map(HttpError::kind))
}

fn sources<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

fn chain(error: &object_store::Error) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// The last cause, on one line and cut short: what a stranger's server says may be a whole page.
fn innermost(error: &object_store::Error) -> String {
    let text = sources(error).last().map(ToString::to_string).unwrap_or_default();
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn between(text: &str, start: &str, end: &str) -> Option<String> {
    let rest = &text[text.find(start)? + start.len()..];
    let inside = &rest[..rest.find(end)?];
    Some(inside.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(SHOWN).collect())
}
