//! Lists, by the client's `Range` header.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// Answers with a list, which comes in ascending order, as the `Range` header asks: `version ..;
/// order=desc, max=10`. A list that was cut is answered 206.
pub(crate) fn list(headers: &HeaderMap, mut items: Vec<Value>) -> Response {
    let range = headers.get(http::header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.unwrap_or_default();
    let option = |name: &str| {
        range.split([';', ',']).find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    if option("order") == Some("desc") {
        items.reverse();
    }
    let max = option("max").and_then(|max| max.parse().ok()).unwrap_or(1_000);
    let status = if items.len() > max { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    items.truncate(max);
    super::json(status, Value::Array(items))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn listed(range: &str) -> (u16, String) {
        let headers = HeaderMap::from_iter([(http::header::RANGE, range.parse().unwrap())]);
        let response = list(&headers, vec![1.into(), 2.into(), 3.into()]);
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1_000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ranges_of_real_clients_are_understood() {
        assert_eq!(listed("version ..; max=1, order=desc").await, (206, "[3]".into()));
        assert_eq!(listed("version ..; order=desc,max=15").await, (200, "[3,2,1]".into()));
        assert_eq!(listed("id ..; max=1000;").await, (200, "[1,2,3]".into()));
        assert_eq!(listed("").await, (200, "[1,2,3]".into()));
        assert_eq!(listed("what ever").await, (200, "[1,2,3]".into()));
    }
}
