//! Resource `account`.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, formation, ok};
use crate::access::hash_password;
use crate::asking::{self, Who};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::account::Account;
use crate::platform::Platform;

/// The shortest password. Ours, and that of most guides: Heroku asks for eight of several kinds.
pub(crate) const SHORTEST: usize = 8;

pub(crate) async fn info() -> Answer {
    Ok(ok(render(&asker()?.account)))
}

/// The account of a path, where it is that of who asks: nobody reads another's.
pub(crate) async fn of_user(Path(user): Path<String>) -> Answer {
    let who = own(&user)?;
    Ok(ok(render(&who.account)))
}

/// Who asks, where a path names them: by `~`, id or email.
pub(crate) fn own(user: &str) -> Result<std::sync::Arc<Who>, ApiError> {
    let who = asker()?;
    let Account { id, email, .. } = &who.account;
    if user == "~" || user.eq_ignore_ascii_case(email) || user == id.to_string() {
        return Ok(who);
    }
    Err(ApiError::not_found("user", "Couldn't find that user."))
}

pub(crate) async fn update_user(
    State(platform): State<Platform>,
    Path(user): Path<String>,
    body: String,
) -> Answer {
    own(&user)?;
    update(State(platform), body).await
}

/// Changes the name, the email or the password; these two for whoever gives the password.
pub(crate) async fn update(State(platform): State<Platform>, body: String) -> Answer {
    let who = asker()?;
    let body = formation::object(&body)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let mut account = who.account.clone();
    if let Some(name) = body.get("name") {
        account.name = name.as_str().map(str::to_owned);
    }
    let (email, new_password) = (text("email"), text("new_password"));
    // Who logs in by token alone has no password to give.
    if (email.is_some() || new_password.is_some()) && account.password.is_some() {
        let given = text("password").unwrap_or_default();
        if platform.by_password(&account.email, given).await?.is_none() {
            return Err(ApiError::invalid("`password` is not the account's"));
        }
    }
    if let Some(email) = email {
        account.email = email_of(email)?;
    }
    if let Some(password) = new_password {
        account.password = Some(hashed(&platform, password).await?);
    }
    account.updated_at = clock::now();
    let kept = who.authorization;
    platform.inner.db.transaction(|db| {
        db::account::put(db, &account)?;
        if new_password.is_some() {
            db::authorization::delete_others(db, account.id, kept)?;
        }
        Ok(())
    })?;
    Ok(ok(render(&account)))
}

/// What is kept of a password that is long enough.
pub(crate) async fn hashed(platform: &Platform, password: &str) -> Result<String, ApiError> {
    if password.chars().count() < SHORTEST {
        return Err(ApiError::invalid(format!("the password is shorter than {SHORTEST}")));
    }
    let password = password.to_owned();
    let hashed = platform.blocking(move |_| hash_password(&password)).await;
    hashed.map_err(|error| {
        tracing::error!(%error, "a password could not be hashed");
        ApiError::internal()
    })
}

/// An email, which is a name with an @ to the platform: nothing is sent there.
pub(crate) fn email_of(text: &str) -> Result<String, ApiError> {
    let is_plain = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_graphic() && !"@:/\\<>\"',;".contains(c))
    };
    let parts = text.split_once('@');
    if text.len() <= 254 && parts.is_some_and(|(user, host)| is_plain(user) && is_plain(host)) {
        return Ok(text.to_owned());
    }
    Err(ApiError::invalid(format!("`{text}` is no email address")))
}

/// Who asks. Behind the gate somebody does.
pub(crate) fn asker() -> Result<std::sync::Arc<Who>, ApiError> {
    asking::who().ok_or_else(ApiError::unauthorized)
}

/// The email of who asks.
pub(crate) fn email() -> String {
    asking::who().map_or_else(|| "slugline".to_owned(), |who| who.account.email.clone())
}

/// Who asks, as they stand in other resources; the operator where nobody does.
pub(crate) fn reference() -> Value {
    asking::who().map_or_else(
        || json!({ "id": db::account::FIRST, "email": email() }),
        |who| json!({ "id": who.account.id, "email": who.account.email }),
    )
}

/// Somebody as they stand in other resources.
pub(crate) fn reference_to(platform: &Platform, id: Uuid) -> Result<Value, db::DbError> {
    let account = platform.inner.db.read(|db| db::account::by_id(db, id))?;
    Ok(json!({ "id": id, "email": account.map(|account| account.email) }))
}

/// Who did something, or the app's owner where that was not yet written down.
pub(crate) fn reference_or(
    platform: &Platform,
    user: Option<Uuid>,
    app: &db::app::App,
) -> Result<Value, db::DbError> {
    reference_to(platform, user.unwrap_or(app.owner_id))
}

pub(crate) fn render(account: &Account) -> Value {
    json!({
        "allow_tracking": false,
        "beta": false,
        "country_of_residence": null,
        "created_at": api_time(account.created_at),
        "default_organization": null,
        "default_team": null,
        "delinquent_at": null,
        "email": account.email,
        "federated": false,
        "id": account.id,
        "identity_provider": null,
        "last_login": account.last_login.map(api_time),
        "name": account.name,
        "sms_number": null,
        "suspended_at": null,
        "two_factor_authentication": false,
        "updated_at": api_time(account.updated_at),
        "verified": true,
        "acknowledged_msa": true,
        // Ours: whether it may ask what belongs to the machine.
        "operator": account.is_admin,
    })
}

/// How many calls are left.
pub(crate) async fn rate_limit(State(platform): State<Platform>) -> Result<Response, ApiError> {
    let left = platform.calls_left(asker()?.authorization);
    Ok(ok(json!({ "remaining": left })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_email_is_a_name_at_a_host() {
        for email in ["a@b", "jo.o+x@example.com"] {
            assert_eq!(email_of(email).unwrap(), email);
        }
        for other in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a:b@c", "a/b@c", "a@b\n"] {
            assert!(email_of(other).is_err(), "{other}");
        }
    }
}
