//! Resource `key`. Keys are kept for clients that list them; nothing is reached by one.

use axum::extract::{Path, State};
use base64::Engine as _;
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::asker;
use super::error::ApiError;
use super::{Answer, formation, ok};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::account_key::AccountKey;
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>) -> Answer {
    let keys = of_asker(&platform)?;
    Ok(ok(keys.iter().map(render).collect::<Result<_, _>>()?))
}

fn of_asker(platform: &Platform) -> Result<Vec<AccountKey>, ApiError> {
    let id = asker()?.account.id;
    Ok(platform.inner.db.read(|db| db::account_key::of_account(db, id))?)
}

pub(crate) async fn info(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&found(&platform, &id)?)?))
}

fn found(platform: &Platform, id: &str) -> Result<AccountKey, ApiError> {
    let is_meant = |key: &AccountKey| key.id.to_string() == id || key.fingerprint == id;
    let found = of_asker(platform)?.into_iter().find(is_meant);
    found.ok_or_else(|| ApiError::not_found("key", "Couldn't find that key."))
}

pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = formation::object(&body)?;
    let text = body.get("public_key").and_then(Value::as_str).unwrap_or_default();
    let key = parse(text).ok_or_else(|| {
        ApiError::invalid("`public_key` is no public key: it looks like `ssh-ed25519 AAAA… NAME`")
    })?;
    let id = asker()?.account.id;
    if !platform.inner.db.transaction(|db| db::account_key::insert(db, id, &key))? {
        return Err(ApiError::invalid("Fingerprint already exists"));
    }
    Ok(super::json(StatusCode::CREATED, render(&key)?))
}

/// A line of a `.pub` file.
fn parse(text: &str) -> Option<AccountKey> {
    let mut words = text.trim().splitn(3, ' ');
    let (kind, encoded) = (words.next()?, words.next()?);
    let comment = words.next().unwrap_or_default().trim().to_owned();
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    // It begins with its kind again, and how long that is.
    let length = usize::try_from(u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?)).ok()?;
    let is_whole = bytes.get(4..4 + length) == Some(kind.as_bytes()) && bytes.len() > 4 + length;
    let is_line = !text.trim().contains(['\n', '\0']) && text.len() < 20_000;
    (is_whole && is_line).then(|| AccountKey {
        id: Uuid::new_v4(),
        fingerprint: blake3::hash(&bytes).to_hex()[..32].to_owned(),
        comment,
        public_key: text.trim().to_owned(),
        created_at: clock::now(),
    })
}

pub(crate) async fn delete(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let key = found(&platform, &id)?;
    platform.inner.db.transaction(|db| db::account_key::delete(db, key.id))?;
    Ok(ok(render(&key)?))
}

fn render(key: &AccountKey) -> Result<Value, ApiError> {
    Ok(json!({
        "comment": key.comment,
        "created_at": api_time(key.created_at),
        "email": asker()?.account.email,
        "fingerprint": key.fingerprint,
        "id": key.id,
        "public_key": key.public_key,
        "updated_at": api_time(key.created_at),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_is_one_line_that_says_its_kind_twice() {
        let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g jo@owl";
        let key = parse(&format!("{line}\n")).unwrap();
        assert_eq!((key.comment.as_str(), key.public_key.as_str()), ("jo@owl", line));
        for other in ["", "ssh-rsa", "ssh-rsa AAAA", "-----BEGIN PRIVATE KEY-----", &line[1..]] {
            assert!(parse(other).is_none(), "{other}");
        }
    }
}
