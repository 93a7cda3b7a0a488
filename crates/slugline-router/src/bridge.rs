//! Files of earlier releases: pages that were opened before a release ask the new one for them.

use std::sync::Arc;

use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use slugline_model::bridge::has_hash;
use slugline_model::code::Code;
use slugline_model::route::Bridged;

use crate::Router;
use crate::client::Client;
use crate::exchange::Exchange;
use crate::reach::Reached;
use crate::relay::Relay;

/// What has a hash in its name is never another file.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Whether a request is for a file that another release, or another dyno, may have.
pub(crate) fn is_missable(request: &Request<Incoming>) -> bool {
    let upgrade = request.headers().contains_key(header::UPGRADE);
    matches!(*request.method(), Method::GET | Method::HEAD) && !upgrade
}

/// Answers with a file of an earlier release. No dyno has a part in it.
pub(crate) fn respond(mut exchange: Exchange, file: Bridged) -> Response<Relay> {
    let Bridged { release, content_type, body } = file;
    let length = body.len();
    (exchange.dyno, exchange.answering) = (None, None);
    (exchange.connect, exchange.sent) = (None, None);
    exchange.status = Some(StatusCode::OK);
    exchange.bytes = Some(if exchange.method == Method::HEAD { 0 } else { length as u64 });
    exchange.bridged = Some(release);
    let mut response = Response::new(Relay::Page(Some(body.into())));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
    // Fonts and modules are asked for across origins, and whoever has the name may have the file.
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

impl Router {
    /// The file that no dyno could be asked for, unless that is as its owner wants it.
    pub(crate) async fn bridge_for(
        &self,
        exchange: &Exchange,
        missable: bool,
        code: Code,
    ) -> Option<Bridged> {
        let wanted = matches!(code, Code::H80 | Code::H81);
        if missable && !wanted { self.bridged(exchange).await } else { None }
    }

    /// What the dyno has answered with 404, or the file in its place.
    pub(crate) async fn relay_or_bridge(
        &self,
        response: Response<Incoming>,
        reached: Reached,
        exchange: Exchange,
        client: Arc<Client>,
    ) -> Response<Relay> {
        if let Some(file) = self.bridged(&exchange).await {
            return respond(exchange, file);
        }
        self.elsewhere.missed(&exchange.app, &reached.dyno, &exchange.path);
        self.relay(response, reached, exchange, client, false)
    }

    async fn bridged(&self, exchange: &Exchange) -> Option<Bridged> {
        if !has_hash(&exchange.path) {
            return None;
        }
        let (app, path) = (exchange.app.clone(), exchange.path.clone());
        let elsewhere = Arc::clone(&self.elsewhere);
        tokio::task::spawn_blocking(move || elsewhere.bridged(&app, &path)).await.ok()?
    }
}
