//! The gate of the API: who comes in, what their token is good for, and whose apps they reach. It is
//! one function, which stands before every route that is no capability.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use slugline_model::access::{Area, Role, allows, area, changes};
use uuid::Uuid;

use super::error::ApiError;
use crate::asking::{self, Who};
use crate::clock;
use crate::db;
use crate::db::app::App;
use crate::db::audit_event::AuditEvent;
use crate::platform::Platform;

/// Where one logs in by password.
const LOGIN: &str = "/oauth/authorizations";

/// What is asked for by a method that changes things, and changes none.
const NO_CHANGES: [&str; 4] =
    ["/apps/{app}/log-sessions", "/sources", "/filters/apps", "/oauth/tokens"];

/// Lets a request pass for whoever its token belongs to, as far as that goes.
pub(crate) async fn gate(
    State(platform): State<Platform>,
    path: MatchedPath,
    request: Request,
    next: Next,
) -> Response {
    let call = Call {
        method: request.method().clone(),
        route: path.as_str().to_owned(),
        path: request.uri().path().to_owned(),
        request_id: request_id(request.headers()),
    };
    match admit(&platform, &call, request.headers()).await {
        Ok((who, app, left)) => {
            let work = platform.audited(&who, app.as_ref(), &call, next.run(request));
            let mut response = asking::on_behalf_of(Some(Arc::clone(&who)), work).await;
            response.headers_mut().insert("RateLimit-Remaining", HeaderValue::from(left));
            response
        }
        Err(refused) => refused.into_response(),
    }
}

/// In an answer: the app that was made, which the path could not name.
#[derive(Clone)]
pub(crate) struct Made(pub(crate) App);

/// What the gate has to know of a request.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) route: String,
    pub(crate) path: String,
    pub(crate) request_id: String,
}

impl Call {
    /// The app that the path names, by name or id: neither has what a URL escapes.
    fn app(&self) -> Option<&str> {
        let is_of_app = self.route.starts_with("/apps/{app}");
        is_of_app.then(|| self.path.split('/').nth(2).unwrap_or_default())
    }

    fn changes(&self) -> bool {
        changes(self.method.as_str())
    }
}

async fn admit(
    platform: &Platform,
    call: &Call,
    headers: &HeaderMap,
) -> Result<(Arc<Who>, Option<App>, u32), ApiError> {
    let is_login = call.route == LOGIN && call.method == Method::POST;
    let who = Arc::new(identify(platform, headers, is_login).await?);
    // How much is left may always be asked.
    let left = if call.route == "/account/rate-limits" {
        platform.calls_left(who.authorization)
    } else {
        platform.take_call(who.authorization).ok_or_else(ApiError::rate_limit)?
    };
    let area = area(call.method.as_str(), &call.path);
    if !allows(&who.scopes, area, call.changes()) {
        let scopes: Vec<&str> = who.scopes.iter().map(|scope| scope.as_str()).collect();
        return Err(ApiError::forbidden(format!(
            "This token is good for {}, which does not allow that. heroku authorizations:create \
             -s SCOPE makes another.",
            if scopes.is_empty() { "nothing".to_owned() } else { scopes.join(", ") }
        )));
    }
    if area == Area::Operator && !who.account.is_admin {
        return Err(ApiError::forbidden("Only the operator of this server may ask that."));
    }
    let app = call.app().map(|name| platform.app_for(&who, name)).transpose()?;
    if let Some(app) = &app
        && call.route == "/apps/{app}"
        && call.method == Method::DELETE
    {
        platform.require_owner(&who, app)?;
    }
    Ok((who, app, left))
}

/// Who presents a token, as `Bearer` or as the password of `Basic`, which is how git and older
/// clients send it; where one logs in, an email and a password too.
pub(crate) async fn identify(
    platform: &Platform,
    headers: &HeaderMap,
    by_password: bool,
) -> Result<Who, ApiError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let presented = header.and_then(presented).ok_or_else(ApiError::unauthorized)?;
    if let Some(who) = platform.holder(&presented.secret)? {
        return Ok(who);
    }
    match presented.user {
        Some(email) if by_password => {
            let who = platform.by_password(&email, &presented.secret).await?;
            who.ok_or_else(ApiError::unauthorized)
        }
        _ => Err(ApiError::unauthorized()),
    }
}

struct Presented {
    user: Option<String>,
    secret: String,
}

fn presented(header: &str) -> Option<Presented> {
    if let Some(token) = header.strip_prefix("Bearer ") {
        return Some(Presented { user: None, secret: token.trim().to_owned() });
    }
    let encoded = header.strip_prefix("Basic ")?.trim();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, secret) = text.split_once(':')?;
    Some(Presented { user: Some(user.to_owned()), secret: secret.to_owned() })
}

/// What the client calls its request, else a name of our own.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("request-id").and_then(|value| value.to_str().ok());
    let given = given.and_then(|ids| ids.split(',').next()).map(str::trim);
    let is_id = |id: &&str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-".contains(&byte);
        (1..=200).contains(&id.len()) && id.bytes().all(known)
    };
    given.filter(is_id).map_or_else(|| Uuid::new_v4().to_string(), str::to_owned)
}

impl Platform {
    /// The app of a name or an id, for somebody: there is none that is not theirs.
    pub(crate) fn app_for(&self, who: &Who, name_or_id: &str) -> Result<App, ApiError> {
        let missing = || ApiError::not_found("app", "Couldn't find that app.");
        let app = self.inner.db.read(|db| db::app::find(db, name_or_id))?.ok_or_else(missing)?;
        self.role(who, &app)?.map(|_| app).ok_or_else(missing)
    }

    /// What only an app's owner may do.
    pub(crate) fn require_owner(&self, who: &Who, app: &App) -> Result<(), ApiError> {
        if self.role(who, app)? == Some(Role::Owner) {
            return Ok(());
        }
        Err(ApiError::forbidden(format!("Only the owner of {} may do that.", app.name)))
    }

    /// Does what a call asks for. Changes are written down before, and what became of them after:
    /// a server that is killed in between leaves a trace of what it had begun.
    async fn audited(
        &self,
        who: &Who,
        app: Option<&App>,
        call: &Call,
        work: impl Future<Output = Response>,
    ) -> Response {
        if !call.changes() || NO_CHANGES.contains(&call.route.as_str()) {
            return work.await;
        }
        let action = format!("{} {}", call.method, call.path);
        let number = match self.audit(who, app, &action, &call.request_id) {
            Ok(number) => number,
            Err(error) => return ApiError::from(error).into_response(),
        };
        let response = work.await;
        let status = response.status().as_u16();
        let made = response.extensions().get::<Made>();
        let ended = self.inner.db.transaction(|db| {
            if let Some(Made(app)) = made {
                db::audit_event::concerns(db, number, app)?;
            }
            db::audit_event::end(db, number, status)
        });
        if let Err(error) = ended {
            tracing::error!(?error, "the end of a change could not be written down");
        }
        response
    }

    /// Forgets changes that are older than the trail is kept.
    pub(crate) fn forget_old_changes(&self) {
        let age = i64::try_from(self.inner.config.limits.audit.as_micros()).unwrap_or(i64::MAX);
        let before = clock::now().saturating_sub(age);
        if let Err(error) = self.inner.db.transaction(|db| db::audit_event::forget(db, before)) {
            tracing::error!(?error, "old changes could not be forgotten");
        }
    }

    /// Writes down what somebody is about to change; gives the event's number.
    pub(crate) fn audit(
        &self,
        who: &Who,
        app: Option<&App>,
        action: &str,
        request_id: &str,
    ) -> Result<i64, db::DbError> {
        let event = AuditEvent {
            id: 0,
            created_at: clock::now(),
            account_id: who.account.id,
            email: who.account.email.clone(),
            authorization_id: who.authorization,
            app_id: app.map(|app| app.id),
            app: app.map(|app| app.name.to_string()),
            action: action.to_owned(),
            request_id: request_id.to_owned(),
            status: None,
        };
        self.inner.db.transaction(|db| db::audit_event::begin(db, &event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_both_schemes() {
        let found = |header| presented(header).map(|found| (found.user, found.secret));
        let with = |user: &str| Some((Some(user.to_owned()), "secret".to_owned()));
        assert_eq!(found("Bearer secret"), Some((None, "secret".to_owned())));
        assert_eq!(found("Basic OnNlY3JldA=="), with(""));
        assert_eq!(found("Basic aGVyb2t1OnNlY3JldA=="), with("heroku"));
        assert_eq!(found("Digest x"), None);
        assert_eq!(found("Basic !"), None);
    }

    #[test]
    fn a_request_is_called_what_its_client_calls_it_within_reason() {
        let given = |id: &str| {
            HeaderMap::from_iter([(
                http::HeaderName::from_static("request-id"),
                id.parse().unwrap(),
            )])
        };
        assert_eq!(request_id(&given("abc-1, def")), "abc-1");
        for strange in ["", "a b", "<script>", &"a".repeat(201)] {
            assert_eq!(request_id(&given(strange)).len(), 36, "{strange}");
        }
    }
}
