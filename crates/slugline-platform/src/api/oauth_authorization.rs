//! Resource `oauth-authorization`, and `oauth-session` for those that were made by logging in. A
//! token is shown when it is made, and later only to whoever presents it: there are hashes alone.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Map, Value, json};
use slugline_model::access::Scope;
use uuid::Uuid;

use super::account::asker;
use super::error::ApiError;
use super::{Answer, formation, ok};
use crate::access::new_token;
use crate::asking::Who;
use crate::clock::{self, api_time};
use crate::db;
use crate::db::authorization::{Authorization, OPERATOR, Token};
use crate::platform::Platform;

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;

pub(crate) async fn list(State(platform): State<Platform>) -> Answer {
    let all = of_asker(&platform)?;
    let shown = all.iter().map(|authorization| render(&platform, authorization, None));
    Ok(ok(shown.collect::<Result<_, _>>()?))
}

fn of_asker(platform: &Platform) -> Result<Vec<Authorization>, ApiError> {
    let id = asker()?.account.id;
    let all = platform.inner.db.read(|db| db::authorization::of_account(db, id))?;
    Ok(all
        .into_iter()
        .filter(|found| found.expires_at.is_none_or(|at| at > clock::now()))
        .collect())
}

pub(crate) async fn info(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    Ok(ok(render(&platform, &found(&platform, &id)?, None)?))
}

/// One of who asks. `~` is the token of the data directory, which is the operator's.
fn found(platform: &Platform, id: &str) -> Result<Authorization, ApiError> {
    let account = asker()?.account.id;
    let id = if id == "~" { OPERATOR.to_string() } else { id.to_owned() };
    let found = platform.inner.db.read(|db| db::authorization::find(db, account, &id))?;
    found.ok_or_else(|| ApiError::not_found("authorization", "Couldn't find that authorization."))
}

/// Makes a token; by email and password this is how one logs in.
pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let who = asker()?;
    let body = formation::object(&body)?;
    let client = client(&platform, &who, &body)?;
    let (now, is_session) = (clock::now(), who.authorization.is_nil());
    let description = body.get("description").and_then(Value::as_str).unwrap_or("Long-lived user");
    let token = new_token();
    let authorization = Authorization {
        id: Uuid::new_v4(),
        account_id: who.account.id,
        client_id: client,
        description: description.chars().take(255).collect(),
        scopes: scopes(body.get("scope"))?,
        token: Token::of(&token),
        expires_at: expiry(body.get("expires_in"), now)?,
        is_session,
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| {
        db::authorization::put(db, &authorization)?;
        if is_session {
            let last_login = Some(now);
            db::account::put(db, &db::account::Account { last_login, ..who.account.clone() })?;
        }
        Ok(())
    })?;
    let shown = render(&platform, &authorization, Some(&token))?;
    Ok(super::json(StatusCode::CREATED, shown))
}

fn client(
    platform: &Platform,
    who: &Who,
    body: &Map<String, Value>,
) -> Result<Option<Uuid>, ApiError> {
    let Some(client) = body.get("client").filter(|client| !client.is_null()) else {
        return Ok(None);
    };
    let id = client.as_str().or(client["id"].as_str()).unwrap_or_default();
    super::oauth_client::found(platform, who, id).map(|client| Some(client.id))
}

/// As clients send them: a list, one text, or nothing, which is all.
fn scopes(asked: Option<&Value>) -> Result<Vec<Scope>, ApiError> {
    let names: Vec<&str> = match asked {
        None | Some(Value::Null) => vec!["global"],
        Some(Value::String(names)) => names.split([',', ' ']).collect(),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(_) => vec![""],
    };
    let scope = |name: &&str| {
        Scope::named(name).ok_or_else(|| {
            ApiError::invalid(format!(
                "`{name}` is no scope: they are global, identity, read, write, read-protected, \
                 write-protected"
            ))
        })
    };
    names.iter().map(scope).collect()
}

/// From seconds, which some clients send as a text.
fn expiry(asked: Option<&Value>, now: i64) -> Result<Option<i64>, ApiError> {
    let Some(asked) = asked.filter(|asked| !asked.is_null()) else { return Ok(None) };
    let text = asked.as_str().and_then(|text| text.parse().ok());
    let seconds = asked.as_i64().or(text).filter(|seconds| *seconds > 0);
    let seconds =
        seconds.ok_or_else(|| ApiError::invalid("`expires_in` is no number of seconds"))?;
    Ok(Some(now.saturating_add(seconds.saturating_mul(SECOND))))
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(id): Path<String>,
    body: String,
) -> Answer {
    let mut authorization = found(&platform, &id)?;
    let body = formation::object(&body)?;
    if let Some(description) = body.get("description").and_then(Value::as_str) {
        authorization.description = description.chars().take(255).collect();
    }
    authorization.updated_at = clock::now();
    platform.inner.db.transaction(|db| db::authorization::put(db, &authorization))?;
    Ok(ok(render(&platform, &authorization, None)?))
}

pub(crate) async fn delete(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let authorization = found(&platform, &id)?;
    refuse_operator(&authorization)?;
    platform.inner.db.transaction(|db| db::authorization::delete(db, authorization.id))?;
    Ok(ok(render(&platform, &authorization, None)?))
}

/// Puts another token in a token's place.
pub(crate) async fn regenerate(State(platform): State<Platform>, Path(id): Path<String>) -> Answer {
    let mut authorization = found(&platform, &id)?;
    refuse_operator(&authorization)?;
    let (token, now) = (new_token(), clock::now());
    // It is good for as long as it was meant to be.
    let span = authorization.expires_at.map(|end| end - authorization.updated_at);
    authorization.token = Token::of(&token);
    authorization.expires_at = span.map(|span| now + span);
    authorization.updated_at = now;
    platform.inner.db.transaction(|db| db::authorization::put(db, &authorization))?;
    Ok(ok(render(&platform, &authorization, Some(&token))?))
}

fn refuse_operator(authorization: &Authorization) -> Result<(), ApiError> {
    if authorization.id != OPERATOR {
        return Ok(());
    }
    Err(ApiError::invalid(
        "The operator's token is what the file `token` of the data directory says: write another \
         one there and start the server again",
    ))
}

pub(crate) async fn sessions(State(platform): State<Platform>) -> Answer {
    let sessions = of_asker(&platform)?.into_iter().filter(|found| found.is_session);
    Ok(ok(sessions.map(|session| render_session(&session)).collect()))
}

/// Ends a session; `~` is that of who asks.
pub(crate) async fn end_session(
    State(platform): State<Platform>,
    Path(id): Path<String>,
) -> Answer {
    let own = asker()?.authorization;
    let is_meant = |session: &Authorization| {
        session.is_session
            && if id == "~" { session.id == own } else { session.id.to_string() == id }
    };
    let session = of_asker(&platform)?.into_iter().find(is_meant);
    let missing = || ApiError::not_found("session", "Couldn't find that session.");
    let session = session.ok_or_else(missing)?;
    platform.inner.db.transaction(|db| db::authorization::delete(db, session.id))?;
    Ok(ok(render_session(&session)))
}

fn render_session(session: &Authorization) -> Value {
    json!({
        "created_at": api_time(session.created_at),
        "description": session.description,
        "expires_in": left(session),
        "id": session.id,
        "updated_at": api_time(session.updated_at),
    })
}

/// How long it is still good for (s).
fn left(authorization: &Authorization) -> Option<i64> {
    authorization.expires_at.map(|end| ((end - clock::now()) / SECOND).max(0))
}

/// A token's authorization, and the token where it was made just now or is the one presented.
fn render(
    platform: &Platform,
    authorization: &Authorization,
    made: Option<&str>,
) -> Result<Value, ApiError> {
    let who = asker()?;
    let presented = who.token.as_deref().filter(|_| who.authorization == authorization.id);
    let end = &authorization.token.end;
    let token = made.or(presented).map_or_else(|| format!("…{end}"), str::to_owned);
    let client = match authorization.client_id {
        Some(id) => platform.inner.db.read(|db| db::oauth_client::by_id(db, id))?,
        None => None,
    };
    Ok(json!({
        "access_token": {
            "expires_in": left(authorization),
            "id": authorization.token.id,
            "token": token,
        },
        "client": client.map(|client| json!({
            "id": client.id,
            "name": client.name,
            "redirect_uri": client.redirect_uri,
        })),
        "created_at": api_time(authorization.created_at),
        "description": authorization.description,
        "grant": null,
        "id": authorization.id,
        "refresh_token": null,
        "scope": authorization.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
        "session": authorization.is_session.then(|| json!({ "id": authorization.id })),
        "updated_at": api_time(authorization.updated_at),
        "user": {
            "email": who.account.email,
            "full_name": who.account.name,
            "id": who.account.id,
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_and_expiry_are_taken_as_clients_send_them() {
        let scope = |asked: Value| scopes(Some(&asked)).map_err(|_| ());
        assert_eq!(scopes(None).unwrap(), [Scope::Global]);
        assert_eq!(scope(json!("read,write")), Ok(vec![Scope::Read, Scope::Write]));
        assert_eq!(scope(json!(["identity"])), Ok(vec![Scope::Identity]));
        assert_eq!(scope(json!(["everything"])), Err(()));
        assert_eq!(scope(json!(7)), Err(()));
        let expiry = |asked: Value| expiry(Some(&asked), 1).map_err(|_| ());
        assert_eq!(expiry(json!(60)), Ok(Some(60_000_001)));
        assert_eq!(expiry(json!("60")), Ok(Some(60_000_001)));
        assert_eq!(expiry(json!(null)), Ok(None));
        assert_eq!((expiry(json!(0)), expiry(json!("soon"))), (Err(()), Err(())));
    }
}
