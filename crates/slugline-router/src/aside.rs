//! Requests that are no app's: a service of the server's own stands aside under a name of its own,
//! and answers for all names below it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Bytes, Incoming};
use slugline_model::route::host_name;

/// What it answers with.
pub type AsideBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// Answers one request, whatever it is.
pub type Answerer =
    Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<AsideBody>> + Send + Sync>;

/// A service beside the apps.
#[derive(Clone)]
pub struct Aside {
    /// Its name; all names below it are its own, too.
    pub host: String,
    /// What it says.
    pub answer: Answerer,
}

impl fmt::Debug for Aside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aside").field("host", &self.host).finish_non_exhaustive()
    }
}

impl Aside {
    /// Whether a `Host` header names it, or something below it.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        let name = host_name(host).to_ascii_lowercase();
        let rest = name.strip_suffix(self.host.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_name_and_those_below() {
        let answer: Answerer = Arc::new(|_| unreachable!("nobody asks"));
        let aside = Aside { host: "s3.localhost".into(), answer };
        for host in ["s3.localhost", "S3.localhost:5080", "owl.s3.localhost:5080"] {
            assert!(aside.is_at(host), "{host}");
        }
        for host in ["as3.localhost", "localhost", "s3.localhost.example"] {
            assert!(!aside.is_at(host), "{host}");
        }
    }
}
