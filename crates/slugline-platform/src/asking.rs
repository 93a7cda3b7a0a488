//! Who asks, and how: known to all that is done for a request, and to nothing else.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::header::HOST;
use slugline_model::access::Scope;
use slugline_model::domain::{LOCAL, api_host};
use uuid::Uuid;

use crate::db::account::Account;
use crate::entrance::ByTls;
use crate::platform::{Config, Platform};

tokio::task_local! {
    static BASE: String;
    static WHO: Arc<Who>;
}

/// Whoever a request was let in for.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) account: Account,
    /// By which token; nil for a password.
    pub(crate) authorization: Uuid,
    /// The token itself, which is kept nowhere.
    pub(crate) token: Option<String>,
    pub(crate) scopes: Vec<Scope>,
}

/// Who asks; none for what the platform does by itself.
pub(crate) fn who() -> Option<Arc<Who>> {
    WHO.try_with(Arc::clone).ok()
}

/// The account of who asks.
pub(crate) fn user_id() -> Option<Uuid> {
    who().map(|who| who.account.id)
}

/// Does something for somebody.
pub(crate) async fn on_behalf_of<F: Future>(who: Option<Arc<Who>>, work: F) -> F::Output {
    match who {
        Some(who) => WHO.scope(who, work).await,
        None => work.await,
    }
}

/// Notes by which scheme and host a client came, so that the URLs that it is given lead there too.
pub(crate) async fn note_base(request: Request, next: Next) -> Response {
    match base(&request) {
        Some(base) => BASE.scope(base, next.run(request)).await,
        None => next.run(request).await,
    }
}

fn base(request: &Request) -> Option<String> {
    let by_tls = request.extensions().get::<ConnectInfo<ByTls>>()?.0.0;
    let host = request.headers().get(HOST)?.to_str().ok()?;
    is_host(host).then(|| format!("{}://{host}", if by_tls { "https" } else { "http" }))
}

/// A host and its port. Without one, the stock command line would put its own behind it.
fn is_host(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let is_address = host.parse::<Ipv4Addr>().is_ok();
    let is_host = !host.is_empty() && host.bytes().all(is_plain);
    (is_host || is_address) && port.parse::<u16>().is_ok()
}

impl Platform {
    /// A URL of the API as whoever asks reaches it.
    pub(crate) fn url(&self, path: &str) -> String {
        let base = BASE.try_with(Clone::clone);
        format!("{}{path}", base.unwrap_or_else(|_| self.usual_base()))
    }

    /// As anybody reaches the API.
    fn usual_base(&self) -> String {
        let Config { domain, api_port, .. } = &self.inner.config;
        // Elsewhere only TLS is spoken.
        let scheme = if domain == LOCAL { "http" } else { "https" };
        format!("{scheme}://{}:{api_port}", api_host(domain))
    }

    /// The host and port by which whoever asks reaches the API.
    pub(crate) fn api_host(&self) -> String {
        let url = self.url("");
        url.split_once("://").map_or_else(String::new, |(_, host)| host.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_with_a_port_is_given_back() {
        for host in ["localhost:5055", "127.0.0.1:1", "api.house.example:443"] {
            assert!(is_host(host), "{host}");
        }
        for other in
            ["localhost", "", ":1", "a b:1", "a/b:1", "a:b:1", "a:70000", "a\":1", "[::1]:1"]
        {
            assert!(!is_host(other), "{other}");
        }
    }
}
