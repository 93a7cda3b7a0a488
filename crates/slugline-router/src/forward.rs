//! One request: who asks for what → a dyno → its answer, or a page.

use std::sync::Arc;
use std::time::Instant;

use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Incoming;
use slugline_model::code::Code;

use crate::client::Client;
use crate::exchange::Exchange;
use crate::media::Found;
use crate::pool::Sender;
use crate::reach::Reached;
use crate::relay::{Answer, Relay};
use crate::tunnel::Tunnel;
use crate::upload::{Upload, UploadState};
use crate::{Router, bridge, headers, media, page};

impl Router {
    /// Answers a request.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        client: Arc<Client>,
    ) -> Response<Relay> {
        // Which of two the dyno would believe, nobody knows (RFC 9112, 3.2).
        if request.headers().get_all(header::HOST).iter().count() > 1 {
            return page::two_hosts(request.headers());
        }
        if let Some(answer) = self.routes.borrow().challenge(request.uri().path()) {
            return page::challenge(answer);
        }
        let host = host(&request);
        if let Some(aside) = self.aside.as_ref().filter(|aside| aside.is_at(&host)) {
            return (aside.answer)(request).await.map(Relay::Aside);
        }
        let Some(mut exchange) = self.begin(&request, &host, &client) else {
            return page::no_such_app(&host, request.headers());
        };
        // Before the headers become the dyno's.
        let accept = accepted(request.headers());
        if self.is_misdirected(&exchange, &client) {
            return page::of_code(exchange, Code::H31, &accept);
        }
        if request.method() == Method::CONNECT {
            return page::not_allowed(exchange, &accept);
        }
        if let Some(found) = self.media(&exchange, &request).await {
            match found {
                Found::Answer(answer) => return media::respond(exchange, answer),
                Found::Unreachable => return page::of_code(exchange, Code::H99, &accept),
                Found::NotThere => {}
            }
        }
        let upgrade = headers::upgrade(request.headers()).is_some();
        let client_end = upgrade.then(|| hyper::upgrade::on(&mut request));
        let missable = bridge::is_missable(&request);
        let Exchange { request_id, forwarded, .. } = &exchange;
        headers::for_dyno(request.headers_mut(), &client, &host, request_id, forwarded);
        to_origin_form(&mut request, &host);
        let (request, state) = with_upload(request);
        let sent = self.send(request, &state, &mut exchange, upgrade).await;
        match sent {
            Err(code) => match self.bridge_for(&exchange, missable, code).await {
                Some(file) => bridge::respond(exchange, file),
                None => page::of_code(exchange, code, &accept),
            },
            Ok((reached, response)) => match client_end {
                _ if missable && response.status() == StatusCode::NOT_FOUND => {
                    self.relay_or_bridge(response, reached, exchange, client).await
                }
                Some(client_end) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                    self.tunnel(response, client_end, exchange)
                }
                _ => self.relay(response, reached, exchange, client, upgrade),
            },
        }
    }

    /// The exchange, if an app answers at the host.
    fn begin(&self, request: &Request<Incoming>, host: &str, client: &Client) -> Option<Exchange> {
        let app = self.routes.borrow().find(host)?.app.clone();
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        Some(Exchange {
            log: Arc::clone(&self.log),
            app,
            method: request.method().clone(),
            path: path.to_owned(),
            host: host.to_owned(),
            protocol: client.protocol(),
            request_id: headers::request_id(request.headers()),
            forwarded: headers::forwarded_for(request.headers(), client),
            dyno: None,
            answering: None,
            connect: None,
            sent: None,
            status: None,
            bytes: None,
            code: None,
            bridged: None,
        })
    }

    /// Whether the certificate that the client was shown is another app's.
    fn is_misdirected(&self, exchange: &Exchange, client: &Client) -> bool {
        let Some(greeted) = &client.greeted else { return false };
        let routes = self.routes.borrow();
        routes.find(greeted).is_some_and(|route| route.app != exchange.app)
    }

    /// Sends the request to a dyno and waits for the head of the answer.
    async fn send(
        &self,
        request: Request<Upload>,
        state: &UploadState,
        exchange: &mut Exchange,
        fresh: bool,
    ) -> Result<(Reached, Response<Incoming>), Code> {
        let mut reached = self.reach(exchange, fresh).await?;
        exchange.sent = Some(Instant::now());
        let response = tokio::select! {
            response = self.try_send(&mut reached, request) => response,
            code = state.overdue(&self.limits) => return Err(code),
        };
        match response {
            Ok(response) => Ok((reached, response)),
            Err(_) if state.is_broken() => Err(Code::H27),
            Err(error) if error.is_parse() => Err(Code::H17),
            Err(_) => Err(Code::H13),
        }
    }

    /// Sends the request; once more over a new connection, if the dyno had closed the one it was
    /// meant for and nothing of the request was sent.
    async fn try_send(
        &self,
        reached: &mut Reached,
        request: Request<Upload>,
    ) -> hyper::Result<Response<Incoming>> {
        let mut failure = match reached.sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        match failure.take_message() {
            Some(request) if reached.used => {
                let Ok(again) = self.connect(&reached.dyno, true).await else {
                    return Err(failure.into_error());
                };
                *reached = again;
                reached.sender.send_request(request).await
            }
            _ => Err(failure.into_error()),
        }
    }

    pub(crate) fn relay(
        &self,
        response: Response<Incoming>,
        reached: Reached,
        mut exchange: Exchange,
        client: Arc<Client>,
        upgrade: bool,
    ) -> Response<Relay> {
        let (mut head, body) = response.into_parts();
        headers::for_client(&mut head.headers, false);
        head.version = Version::HTTP_11;
        exchange.status = Some(head.status);
        exchange.bytes = Some(0);
        // A connection that was asked to change over is not used again.
        let Reached { dyno, sender, .. } = reached;
        let connection: Option<(_, _, Sender)> =
            (!upgrade).then(|| (Arc::clone(&self.pool), dyno.id, sender));
        let patience = self.limits.idle;
        let answer =
            Answer { body, exchange, client, connection, patience, silence: None, over: false };
        Response::from_parts(head, Relay::Answer(Box::new(answer)))
    }

    fn tunnel(
        &self,
        mut response: Response<Incoming>,
        client: hyper::upgrade::OnUpgrade,
        mut exchange: Exchange,
    ) -> Response<Relay> {
        let dyno = hyper::upgrade::on(&mut response);
        exchange.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        let (patience, closing) = (self.limits.idle, self.closing.clone());
        tokio::spawn(Tunnel { client, dyno, exchange, patience, closing }.run());
        let mut response = response.map(|_| Relay::Page(None));
        headers::for_client(response.headers_mut(), true);
        response
    }
}

/// Which host the request is for: the one in the request line, if there is one (RFC 9112, 3.2.2).
fn host(request: &Request<Incoming>) -> String {
    let in_header = || request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let in_line = request.uri().authority().map(http::uri::Authority::as_str);
    in_line.or_else(in_header).unwrap_or_default().to_owned()
}

/// Dynos expect a path in the request line and the host in its header.
fn to_origin_form(request: &mut Request<Incoming>, host: &str) {
    *request.version_mut() = Version::HTTP_11;
    if request.uri().authority().is_none() {
        return;
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    if let Ok(host) = HeaderValue::from_str(host) {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn accepted(headers: &HeaderMap) -> HeaderMap {
    let accept = headers.get(header::ACCEPT);
    accept.map(|accept| (header::ACCEPT, accept.clone())).into_iter().collect()
}

fn with_upload(request: Request<Incoming>) -> (Request<Upload>, Arc<UploadState>) {
    let (head, body) = request.into_parts();
    let (upload, state) = Upload::new(body);
    (Request::from_parts(head, upload), state)
}
