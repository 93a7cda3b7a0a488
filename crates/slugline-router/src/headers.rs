//! Which headers a dyno and a client see.

use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::client::Client;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const REQUEST_START: HeaderName = HeaderName::from_static("x-request-start");
const VIA: &str = "1.1 slugline";

/// Headers that speak of one connection only (RFC 9110, 7.6.1), and so go no further.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The request's identity: its own if that is 20 to 200 characters of `[A-Za-z0-9+/=-]`, else new.
pub(crate) fn request_id(headers: &HeaderMap) -> String {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+/=-".contains(&b);
    let valid = |id: &&str| (20..=200).contains(&id.len()) && id.bytes().all(allowed);
    let own = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(valid);
    own.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
}

/// Every address that the request came through, the client's own last.
pub(crate) fn forwarded_for(headers: &HeaderMap, client: &Client) -> String {
    let mut all: Vec<&str> =
        headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let own = client.address.to_string();
    all.push(&own);
    all.join(", ")
}

/// The protocol that the client asks to go on with, if it does.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut options = connection_options(headers);
    let asked = options.any(|option| option.eq_ignore_ascii_case("upgrade"));
    headers.get(header::UPGRADE).filter(|_| asked).cloned()
}

/// Makes a client's headers a dyno's. `host` is the `Host` header, which stays as it is.
pub(crate) fn for_dyno(
    headers: &mut HeaderMap,
    client: &Client,
    host: &str,
    request_id: &str,
    forwarded: &str,
) {
    let protocol = upgrade(headers);
    strip_hop_by_hop(headers);
    // The client is told to go on when its body is first read.
    headers.remove(header::EXPECT);
    set(headers, REQUEST_ID, request_id);
    set(headers, FORWARDED_FOR, forwarded);
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static(client.protocol()));
    headers.insert(FORWARDED_PORT, port(host).unwrap_or(client.port).into());
    set(headers, FORWARDED_HOST, host);
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    set(headers, REQUEST_START, &since.as_millis().to_string());
    add_via(headers);
    if let Some(protocol) = protocol {
        keep_upgrade(headers, protocol);
    }
}

/// Makes a dyno's headers a client's.
pub(crate) fn for_client(headers: &mut HeaderMap, upgraded: bool) {
    let protocol = headers.get(header::UPGRADE).filter(|_| upgraded).cloned();
    strip_hop_by_hop(headers);
    add_via(headers);
    if let Some(protocol) = protocol {
        keep_upgrade(headers, protocol);
    }
}

fn keep_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, protocol);
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    // What the connection header names is for this hop too, but it must not take away what others
    // rely on, such as the host or the length.
    let named: Vec<HeaderName> = connection_options(headers)
        .filter_map(|option| option.parse().ok())
        .filter(|name| *name != header::HOST && *name != header::CONTENT_LENGTH)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

fn connection_options(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn add_via(headers: &mut HeaderMap) {
    headers.append(header::VIA, HeaderValue::from_static(VIA));
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // All values are the client's own header values or made here; one that is neither is dropped.
    match HeaderValue::from_str(value) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => drop(headers.remove(name)),
    }
}

fn port(host: &str) -> Option<u16> {
    host.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn sent(pairs: &[(&'static str, &'static str)], host: &str) -> HeaderMap {
        let client = Client {
            address: [203, 0, 113, 9].into(),
            port: 80,
            greeted: None,
            idle: false.into(),
        };
        let mut map = headers(pairs);
        let forwarded = forwarded_for(&map, &client);
        for_dyno(&mut map, &client, host, "the-id", &forwarded);
        map
    }

    #[test]
    fn a_dyno_learns_who_asked_and_how() {
        let map = sent(&[("host", "owl.example"), ("x-forwarded-for", "10.0.0.1")], "owl.example");
        assert_eq!(map["host"], "owl.example");
        assert_eq!(map["x-forwarded-for"], "10.0.0.1, 203.0.113.9");
        assert_eq!(map["x-forwarded-proto"], "http");
        assert_eq!(map["x-forwarded-port"], "80");
        assert_eq!(map["x-forwarded-host"], "owl.example");
        assert_eq!(map["x-request-id"], "the-id");
        assert_eq!(map["via"], "1.1 slugline");
        assert_eq!(map["x-request-start"].len(), 13);
        assert_eq!(sent(&[], "owl.localhost:5080")["x-forwarded-port"], "5080");
    }

    #[test]
    fn a_client_cannot_claim_another_protocol() {
        assert_eq!(sent(&[("x-forwarded-proto", "https")], "owl")["x-forwarded-proto"], "http");
    }

    #[test]
    fn what_is_of_one_connection_stays_there() {
        let map = sent(
            &[
                ("connection", "close, X-Secret, host"),
                ("x-secret", "1"),
                ("host", "owl"),
                ("te", "trailers"),
                ("keep-alive", "5"),
                ("expect", "100-continue"),
                ("upgrade", "h2c"),
            ],
            "owl",
        );
        for gone in ["connection", "x-secret", "te", "keep-alive", "expect", "upgrade"] {
            assert!(!map.contains_key(gone), "{gone}");
        }
        assert!(map.contains_key("host"));
    }

    #[test]
    fn an_upgrade_is_passed_on() {
        let map = sent(&[("connection", "keep-alive, Upgrade"), ("upgrade", "websocket")], "owl");
        assert_eq!(
            (&map["connection"], &map["upgrade"]),
            (&"Upgrade".parse().unwrap(), &"websocket".parse().unwrap())
        );
    }

    #[test]
    fn a_sound_request_id_is_kept() {
        let id = |id| request_id(&headers(&[("x-request-id", id)]));
        assert_eq!(id("abcdefghij/0123456789="), "abcdefghij/0123456789=");
        for bad in ["short", "abcdefghij 0123456789", "abcdefghij_0123456789"] {
            assert_eq!(id(bad).len(), 36, "{bad}");
        }
    }
}
