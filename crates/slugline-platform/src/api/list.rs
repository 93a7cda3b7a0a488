//! Lists, by the client's `Range` header.

use axum::response::{IntoResponse as _, Response};
use http::header::{ACCEPT_RANGES, CONTENT_RANGE, RANGE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use slugline_model::range::{Key, Page, Range, page, parse};

use super::Answer;
use super::error::ApiError;

/// What lists may be ordered by, as far as their items have it. The first one that a list comes in
/// the order of is what its pages go by where the client does not say.
const FIELDS: [&str; 9] =
    ["version", "number", "name", "hostname", "ordinal", "created_at", "updated_at", "type", "id"];

/// Answers with the part of a list that the `Range` header asks for: `version ..; order=desc,
/// max=10`. One that was cut is answered 206, and says how to go on.
pub(crate) fn list(headers: &HeaderMap, items: Vec<Value>) -> Response {
    let listed = list_of(headers, items, |_, item| Ok(item));
    listed.unwrap_or_else(ApiError::into_response)
}

/// The same, of items of which only what they are ordered by is there: those that are answered are
/// made of that, by their places. A list of very many costs what a part of it costs.
pub(crate) fn list_of(
    headers: &HeaderMap,
    items: Vec<Value>,
    mut whole: impl FnMut(usize, Value) -> Result<Value, ApiError>,
) -> Answer {
    let asked = headers.get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut range = parse(asked).map_err(|error| ApiError::range(error.to_string()))?;
    let sorted = settle_field(&mut range, &items);
    let keys: Vec<Key> = items.iter().map(|item| key(item, &range.field)).collect();
    let Page { items: chosen, next } = page(&range, &keys, sorted);
    let content = content_range(&range, &keys, &chosen);
    let offered = offered(&items);
    let mut items: Vec<Option<Value>> = items.into_iter().map(Some).collect();
    let part = chosen.iter().filter_map(|at| Some(whole(*at, items[*at].take()?)));
    let part: Vec<Value> = part.collect::<Result<_, _>>()?;
    let status = if next.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = super::json(status, Value::Array(part));
    set(&mut response, ACCEPT_RANGES, Some(offered));
    set(&mut response, CONTENT_RANGE, content);
    set(&mut response, HeaderName::from_static("next-range"), next);
    Ok(response)
}

/// What is gone by: the field that is asked for where the items have it, else one that they are in
/// the order of. Tells whether they are still to be put in order.
fn settle_field(range: &mut Range, items: &[Value]) -> bool {
    if has(items, &range.field) {
        return true;
    }
    // A bound of what is not there bounds nothing.
    (range.start, range.end) = (None, None);
    let in_order = |field: &&&str| {
        has(items, field)
            && items.windows(2).all(|pair| {
                let keys = [&pair[0], &pair[1]].map(|item| key(item, field));
                page(&Range::default(), &keys, true).items == [0, 1]
            })
    };
    let found = FIELDS.iter().find(in_order);
    found
        .or(FIELDS.iter().find(|field| has(items, field)))
        .map_or("id", |field| field)
        .clone_into(&mut range.field);
    // Names before ids: a list that is in no such order is put in one, so that its pages fit.
    found.is_none() && items.len() > range.max
}

fn has(items: &[Value], field: &str) -> bool {
    !items.is_empty() && items.iter().all(|item| text(&item[field]).is_some())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn key(item: &Value, field: &str) -> Key {
    let id = if field == "id" { None } else { text(&item["id"]) };
    Key { value: text(&item[field]).unwrap_or_default(), id: id.unwrap_or_default() }
}

fn offered(items: &[Value]) -> String {
    let fields = FIELDS.into_iter().filter(|field| has(items, field));
    let fields = fields.collect::<Vec<_>>().join(", ");
    if fields.is_empty() { "id".to_owned() } else { fields }
}

/// `name a..c; order=desc`; none for an empty list.
fn content_range(range: &Range, keys: &[Key], chosen: &[usize]) -> Option<String> {
    let (first, last) = (keys.get(*chosen.first()?)?, keys.get(*chosen.last()?)?);
    let order = if range.descending { "; order=desc" } else { "" };
    Some(format!("{} {}..{}{order}", range.field, first.value, last.value))
}

/// What no header can carry is left out.
fn set(response: &mut Response, name: HeaderName, value: Option<String>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    async fn listed(range: &str, items: &[Value]) -> (u16, HeaderMap, Value) {
        let headers = HeaderMap::from_iter([(RANGE, range.parse().unwrap())]);
        let response = list(&headers, items.to_vec());
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = axum::body::to_bytes(response.into_body(), 100_000).await.unwrap();
        (status, headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_list_is_cut_where_the_client_says_and_tells_how_to_go_on() {
        let items = [1, 2, 3].map(|version| json!({ "version": version, "id": "x" }));
        let (status, headers, body) = listed("version ..; max=1, order=desc", &items).await;
        assert_eq!((status, &body[0]["version"]), (206, &json!(3)));
        assert_eq!(headers["next-range"], "version ]3~x..; order=desc, max=1");
        assert_eq!(headers["content-range"], "version 3..3; order=desc");
        assert_eq!(headers["accept-ranges"], "version, id");
        let next = headers["next-range"].to_str().unwrap();
        let (status, _, body) = listed(next, &items).await;
        assert_eq!((status, &body[0]["version"]), (206, &json!(2)));
        let (status, headers, body) = listed("nothing ..; max=1000;", &items).await;
        assert_eq!((status, body.as_array().unwrap().len()), (200, 3));
        assert!(!headers.contains_key("next-range"));
        let (status, _, body) = listed("id ..; max=0", &items).await;
        assert_eq!((status, &body["id"]), (416, &json!("requested_range_not_satisfiable")));
        assert_eq!(listed("name ..", &[]).await.2, json!([]));
    }

    #[tokio::test]
    async fn a_list_without_a_header_keeps_its_order_and_has_pages() {
        let items: Vec<Value> =
            (0..450).map(|at| json!({ "name": format!("app-{at:03}"), "id": 450 - at })).collect();
        let (mut asked, mut all) = (String::new(), Vec::new());
        loop {
            let (_, headers, body) = listed(&asked, &items).await;
            all.extend(body.as_array().unwrap().clone());
            let Some(next) = headers.get("next-range") else { break };
            next.to_str().unwrap().clone_into(&mut asked);
        }
        assert_eq!(all, items);
    }
}
