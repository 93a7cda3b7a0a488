//! Ours: the accounts of this server, for its operator.

use axum::extract::{Path, State};
use http::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, account, formation, ok};
use crate::access::new_token;
use crate::clock;
use crate::db;
use crate::db::account::{Account, FIRST};
use crate::platform::Platform;

pub(crate) async fn list(State(platform): State<Platform>) -> Answer {
    let accounts = platform.inner.db.read(db::account::all)?;
    Ok(ok(accounts.iter().map(account::render).collect()))
}

/// Lets somebody in, by a password that is told once.
pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let body = formation::object(&body)?;
    let email = body.get("email").and_then(Value::as_str);
    let email = account::email_of(email.ok_or_else(|| ApiError::invalid("`email` is missing"))?)?;
    let known = platform.inner.db.read(|db| db::account::find(db, &email))?;
    if known.as_ref().is_some_and(|known| !known.is_removed) {
        return Err(ApiError::invalid(format!("Email {email} is already taken")));
    }
    let now = clock::now();
    let password = password(&body);
    let account = Account {
        id: known.map_or_else(Uuid::new_v4, |known| known.id),
        email,
        name: body.get("name").and_then(Value::as_str).map(str::to_owned),
        password: Some(account::hashed(&platform, &password).await?),
        is_admin: body.get("operator").and_then(Value::as_bool).unwrap_or(false),
        is_removed: false,
        last_login: None,
        created_at: now,
        updated_at: now,
    };
    platform.inner.db.transaction(|db| db::account::put(db, &account))?;
    Ok(super::json(StatusCode::CREATED, with_password(&account, &password)))
}

/// The one that was given, else one that nobody guesses.
fn password(body: &serde_json::Map<String, Value>) -> String {
    let given = body.get("password").and_then(Value::as_str);
    given.map_or_else(|| new_token()[9..32].to_owned(), str::to_owned)
}

fn with_password(account: &Account, password: &str) -> Value {
    let mut shown = account::render(account);
    shown["password"] = json!(password);
    shown
}

/// Gives somebody another password, which ends what they were logged in with; or changes who is an
/// operator.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(name): Path<String>,
    body: String,
) -> Answer {
    let mut account = found(&platform, &name)?;
    let body = formation::object(&body)?;
    if let Some(operator) = body.get("operator").and_then(Value::as_bool) {
        if account.id == FIRST && !operator {
            return Err(refuse_first());
        }
        account.is_admin = operator;
    }
    let password = body.contains_key("password").then(|| password(&body));
    if let Some(password) = &password {
        account.password = Some(account::hashed(&platform, password).await?);
    }
    account.updated_at = clock::now();
    platform.inner.db.transaction(|db| {
        db::account::put(db, &account)?;
        if password.is_some() {
            db::authorization::delete_others(db, account.id, Uuid::nil())?;
        }
        Ok(())
    })?;
    Ok(ok(match password {
        Some(password) => with_password(&account, &password),
        None => account::render(&account),
    }))
}

/// Shows somebody out. Their apps must have another owner first.
pub(crate) async fn delete(State(platform): State<Platform>, Path(name): Path<String>) -> Answer {
    let account = found(&platform, &name)?;
    if account.id == FIRST {
        return Err(refuse_first());
    }
    let own = platform.inner.db.transaction(|db| {
        let mut own = db::app::of_account(db, account.id)?;
        own.retain(|app| app.owner_id == account.id);
        if own.is_empty() {
            db::account::remove(db, account.id, clock::now())?;
        }
        Ok(own)
    })?;
    if !own.is_empty() {
        let names: Vec<&str> = own.iter().map(|app| app.name.as_str()).collect();
        return Err(ApiError::invalid(format!(
            "{} cannot be removed: {} of theirs are here ({}). heroku apps:transfer EMAIL gives \
             one away, heroku apps:destroy ends it",
            account.email,
            names.len(),
            names.join(", ")
        )));
    }
    Ok(ok(account::render(&account)))
}

fn refuse_first() -> ApiError {
    ApiError::invalid("The first account is the operator's: it stays, and so does what it may do")
}

fn found(platform: &Platform, name: &str) -> Result<Account, ApiError> {
    let account = platform.inner.db.read(|db| db::account::find(db, name))?;
    let account = account.filter(|account| !account.is_removed);
    account.ok_or_else(|| ApiError::not_found("account", "Couldn't find that account."))
}
