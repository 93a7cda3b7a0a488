//! Uploads out of an app's bucket: what is there is answered without a dyno, and what is not is the
//! app's to answer.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use slugline_model::media::MediaRule;
use slugline_model::name::AppName;

use crate::Router;
use crate::aside::AsideBody;
use crate::exchange::Exchange;
use crate::relay::Relay;

/// What a client wants of an app's uploads.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Whose.
    pub app: AppName,
    /// Where they are.
    pub rule: MediaRule,
    /// Which one.
    pub key: String,
    /// GET or HEAD.
    pub method: Method,
    /// What the client says beside: ranges and conditions.
    pub headers: HeaderMap,
}

/// What there is of it.
#[derive(Debug)]
pub enum Found {
    /// This.
    Answer(Response<AsideBody>),
    /// Nothing: the app may know better.
    NotThere,
    /// Nobody knows: the bucket does not answer, or not to this app.
    Unreachable,
}

/// Looks for what a client wants.
pub type MediaSource = Arc<dyn Fn(Wanted) -> BoxFuture<'static, Found> + Send + Sync>;

impl Router {
    /// What is in the bucket for a request, if it is for something that may be there.
    pub(crate) async fn media(
        &self,
        exchange: &Exchange,
        request: &Request<Incoming>,
    ) -> Option<Found> {
        let source = self.media.as_ref()?;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let rule = self.routes.borrow().media.get(&exchange.app)?.clone();
        let key = rule.key(request.uri().path())?;
        let (app, method) = (exchange.app.clone(), request.method().clone());
        let headers = request.headers().clone();
        Some(source(Wanted { app, rule, key, method, headers }).await)
    }
}

/// The app's log has the request as one without a dyno.
pub(crate) fn respond(mut exchange: Exchange, answer: Response<AsideBody>) -> Response<Relay> {
    let length = answer.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let is_head = exchange.method == Method::HEAD;
    exchange.status = Some(answer.status());
    exchange.bytes = if is_head { Some(0) } else { length.and_then(|text| text.parse().ok()) };
    answer.map(Relay::Aside)
}
