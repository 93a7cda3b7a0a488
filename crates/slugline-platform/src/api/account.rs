//! Resource `account`.

use axum::response::Response;
use serde_json::{Value, json};

/// The one account there is so far: whoever holds the token.
pub(crate) const EMAIL: &str = "owner@localhost";

const ID: &str = "00000000-0000-4000-8000-000000000001";

pub(crate) async fn info() -> Response {
    super::ok(json!({
        "id": ID,
        "email": EMAIL,
        "name": "Owner",
        "allow_tracking": false,
        "beta": false,
        "verified": true,
        "two_factor_authentication": false,
        "federated": false,
        "acknowledged_msa": true,
        "suspended_at": null,
        "default_team": null,
    }))
}

/// The account as it stands in other resources.
pub(crate) fn reference() -> Value {
    json!({ "id": ID, "email": EMAIL })
}
