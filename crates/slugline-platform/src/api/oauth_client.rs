//! Resource `oauth-client`.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::account::asker;
use super::error::ApiError;
use super::{Answer, formation, ok};
use crate::asking::Who;
use crate::clock::{self, api_time};
use crate::db;
use crate::db::oauth_client::OauthClient;
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>) -> Answer {
    let id = asker()?.account.id;
    let clients = platform.inner.db.read(|db| db::oauth_client::of_account(db, id))?;
    Ok(ok(clients.iter().map(render).collect()))
}

pub(crate) async fn info(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&found(&platform, &*asker()?, &id)?)))
}

/// A client of somebody's own.
pub(crate) fn found(platform: &Platform, who: &Who, id: &str) -> Result<OauthClient, ApiError> {
    let missing = || ApiError::not_found("client", "Couldn't find that client.");
    let id: Uuid = id.parse().map_err(|_| missing())?;
    let client = platform.inner.db.read(|db| db::oauth_client::by_id(db, id))?;
    client.filter(|client| client.account_id == who.account.id).ok_or_else(missing)
}

pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let who = asker()?;
    let body = formation::object(&body)?;
    let text = |name: &str| {
        let text = body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        text.ok_or_else(|| ApiError::invalid(format!("`{name}` is missing")))
    };
    let now = clock::now();
    let client = OauthClient {
        id: Uuid::new_v4(),
        account_id: who.account.id,
        name: text("name")?.to_owned(),
        redirect_uri: redirect_uri(text("redirect_uri")?)?,
        secret: new_secret(),
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| db::oauth_client::put(db, &client))?;
    Ok(super::json(StatusCode::CREATED, render(&client)))
}

/// What carries what it is given in the clear is for this machine alone.
fn redirect_uri(text: &str) -> Result<String, ApiError> {
    let host = text.strip_prefix("http://").map(|rest| rest.split(['/', ':']).next());
    let is_here = matches!(host, Some(Some("localhost" | "127.0.0.1")));
    if is_here || (text.starts_with("https://") && text.len() > "https://".len()) {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid(format!("`{text}` does not begin with https://")))
}

fn new_secret() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(id): Path<String>,
    body: String,
) -> Answer {
    let mut client = found(&platform, &*asker()?, &id)?;
    let body = formation::object(&body)?;
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        name.clone_into(&mut client.name);
    }
    if let Some(uri) = body.get("redirect_uri").and_then(Value::as_str) {
        client.redirect_uri = redirect_uri(uri)?;
    }
    put(&platform, client)
}

pub(crate) async fn rotate(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let client = found(&platform, &*asker()?, &id)?;
    put(&platform, OauthClient { secret: new_secret(), ..client })
}

fn put(platform: &Platform, client: OauthClient) -> Answer {
    let client = OauthClient { updated_at: clock::now(), ..client };
    platform.inner.db.transaction(|db| db::oauth_client::put(db, &client))?;
    Ok(ok(render(&client)))
}

pub(crate) async fn delete(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let client = found(&platform, &*asker()?, &id)?;
    platform.inner.db.transaction(|db| db::oauth_client::delete(db, client.id))?;
    Ok(ok(render(&client)))
}

fn render(client: &OauthClient) -> Value {
    json!({
        "created_at": api_time(client.created_at),
        "id": client.id,
        "ignores_delinquent": false,
        "name": client.name,
        "redirect_uri": client.redirect_uri,
        "secret": client.secret,
        "updated_at": api_time(client.updated_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_led_back_over_tls_or_on_this_machine() {
        for uri in ["https://a.example/x", "http://localhost:3000/", "http://127.0.0.1"] {
            assert_eq!(redirect_uri(uri).unwrap(), uri);
        }
        for other in ["", "https://", "http://a.example/", "http://localhost.example/", "ftp://x"] {
            assert!(redirect_uri(other).is_err(), "{other}");
        }
    }
}
