//! What a client sees when there is no dyno's answer to show.

use http::header::{self, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use slugline_model::code::Code;

use crate::exchange::Exchange;
use crate::relay::Relay;

/// What a page says.
struct Page<'a> {
    status: StatusCode,
    title: &'a str,
    /// What happened, in plain words.
    what: String,
    /// For the app's owner: what to type.
    next: String,
    /// What to quote when asking somebody.
    details: String,
}

/// The page for a code. Notes the code in the exchange.
pub(crate) fn of_code(mut exchange: Exchange, code: Code, asked: &HeaderMap) -> Response<Relay> {
    exchange.fail(code);
    let app = &exchange.app;
    let page = Page {
        status: StatusCode::from_u16(code.status()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE),
        title: title(code),
        what: format!("The app {app} could not answer this request: {}.", in_words(code)),
        next: format!("heroku logs --tail -a {app}"),
        details: format!(
            "Code {} ({}), request {}",
            code.as_str(),
            code.description(),
            exchange.request_id
        ),
    };
    page.respond(asked)
}

/// The page for a host that belongs to no app.
pub(crate) fn no_such_app(host: &str, asked: &HeaderMap) -> Response<Relay> {
    let named = if host.is_empty() { "this address".to_owned() } else { format!("`{host}`") };
    let page = Page {
        status: StatusCode::NOT_FOUND,
        title: "No such app",
        what: format!("No app answers at {named}."),
        next: "heroku domains -a NAME".to_owned(),
        details: "The address may be misspelt, or its app renamed or destroyed".to_owned(),
    };
    page.respond(asked)
}

/// What an authority asks for before it issues a certificate.
pub(crate) fn challenge(answer: &str) -> Response<Relay> {
    let mut response = Response::new(Relay::Page(Some(answer.to_owned().into())));
    let kind = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The page for a request with more than one host.
pub(crate) fn two_hosts(asked: &HeaderMap) -> Response<Relay> {
    let page = Page {
        status: StatusCode::BAD_REQUEST,
        title: "Bad request",
        what: "The request names more than one host.".to_owned(),
        next: "heroku domains -a NAME".to_owned(),
        details: "A request has one Host header".to_owned(),
    };
    page.respond(asked)
}

/// The page for what the router does not do.
pub(crate) fn not_allowed(mut exchange: Exchange, asked: &HeaderMap) -> Response<Relay> {
    exchange.status = Some(StatusCode::METHOD_NOT_ALLOWED);
    let page = Page {
        status: StatusCode::METHOD_NOT_ALLOWED,
        title: "Not allowed",
        what: "CONNECT makes a tunnel through a proxy, and this is none.".to_owned(),
        next: format!("heroku logs --tail -a {}", exchange.app),
        details: format!("Request {}", exchange.request_id),
    };
    page.respond(asked)
}

impl Page<'_> {
    fn respond(&self, asked: &HeaderMap) -> Response<Relay> {
        let accept = asked.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let html = accept.is_some_and(|accept| accept.contains("text/html"));
        let (kind, text) = if html {
            ("text/html; charset=utf-8", self.html())
        } else {
            ("text/plain; charset=utf-8", self.plain())
        };
        let mut response = Response::new(Relay::Page(Some(text.into())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store"));
        response
    }

    fn plain(&self) -> String {
        let Self { title, what, next, details, .. } = self;
        format!("{title}\n\n{what}\n\nIf it is your app:  {next}\n\n{details}\n")
    }

    fn html(&self) -> String {
        let (title, what) = (escape(self.title), escape(&self.what));
        let (next, details) = (escape(&self.next), escape(&self.details));
        format!(
            r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.0625rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 16vh auto; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem; line-height: 1.25 }}
code {{ display: block; font-size: .9375rem; padding: .75rem 1rem; border: 1px solid; border-radius: .375rem; overflow-x: auto }}
small {{ opacity: .75; overflow-wrap: anywhere }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{what}</p>
<p>If it is your app, see what it says:</p>
<code>{next}</code>
<p><small>{details}</small></p>
</main>
</body>
</html>
"#
        )
    }
}

fn title(code: Code) -> &'static str {
    match code {
        Code::H80 => "Down for maintenance",
        Code::H81 => "Nothing is deployed here yet",
        Code::H20 => "The app is still starting",
        _ => "Application error",
    }
}

/// What happened, as the end of a sentence.
fn in_words(code: Code) -> &'static str {
    match code {
        Code::H10 => "it crashed, and is not running now",
        Code::H11 => "too many requests wait for it already",
        Code::H12 => "it took too long for the first byte of an answer",
        Code::H13 => "it closed the connection without an answer",
        Code::H14 => "no web dyno of it is running",
        Code::H17 => "what it answered is not HTTP",
        Code::H19 => "it did not accept a connection in time",
        Code::H20 => "no web dyno of it came up in time",
        Code::H21 => "it refused the connection",
        Code::H31 => "the connection was made to another app",
        Code::H80 => "its owner has turned on maintenance mode",
        Code::H81 => "it has no release yet",
        Code::H99 => "the bucket that its uploads are in does not answer",
        _ => "the connection broke off",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_cannot_write_html() {
        let mut asked = HeaderMap::new();
        asked.insert(header::ACCEPT, HeaderValue::from_static("text/html"));
        let Relay::Page(Some(page)) = no_such_app("<script>", &asked).into_body() else { panic!() };
        let page = String::from_utf8(page.to_vec()).unwrap();
        assert!(page.contains("No app answers at `&lt;script&gt;`."), "{page}");
        assert!(!page.contains("<script>"));
    }
}
