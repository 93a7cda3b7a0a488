//! Resource `generation`: which of Heroku's platforms this one is like.

use serde_json::{Value, json};

const ID: &str = "00000000-0000-4000-8000-00000000000c";

/// The one generation: Heroku's classic platform, with slugs, not images.
pub(super) fn cedar() -> Value {
    json!({ "id": ID, "name": "cedar" })
}

pub(super) fn render() -> Value {
    json!({
        "created_at": "2026-01-01T00:00:00Z",
        "id": ID,
        "name": "cedar",
        "updated_at": "2026-01-01T00:00:00Z",
    })
}
