//! Who may use the API: whoever holds the token.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use http::header::AUTHORIZATION;

use super::error::ApiError;
use crate::platform::Platform;

/// Lets a request pass that has the token as `Bearer`, or as the password of `Basic`, which is how
/// git and older clients send it.
pub(crate) async fn require_token(
    State(platform): State<Platform>,
    request: Request,
    next: Next,
) -> Response {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = header.and_then(presented_token);
    match presented {
        Some(token) if same(token.as_bytes(), platform.inner.config.token.as_bytes()) => {
            next.run(request).await
        }
        _ => ApiError::unauthorized().into_response(),
    }
}

fn presented_token(header: &str) -> Option<String> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(token.trim().to_owned());
    }
    let encoded = header.strip_prefix("Basic ")?.trim();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    Some(text.split_once(':')?.1.to_owned())
}

/// Compares without telling by its time where two texts differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_both_schemes() {
        assert_eq!(presented_token("Bearer secret").as_deref(), Some("secret"));
        assert_eq!(presented_token("Basic OnNlY3JldA==").as_deref(), Some("secret"));
        assert_eq!(presented_token("Basic aGVyb2t1OnNlY3JldA==").as_deref(), Some("secret"));
        assert_eq!(presented_token("Digest x"), None);
        assert_eq!(presented_token("Basic !"), None);
    }

    #[test]
    fn only_equal_texts_are_the_same() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd") && !same(b"abc", b"ab"));
    }
}
