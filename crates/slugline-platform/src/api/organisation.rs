//! Teams, spaces and what belongs to them. A server has accounts and collaborators, and nothing
//! above them: lists are empty, and what would make something says why it does not.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{any, get};
use http::HeaderMap;
use serde_json::{Value, json};

use super::add_on::text;
use super::error::ApiError;
use super::{Answer, list as lists, ok};
use crate::db;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/teams", get(nothing).post(no_teams))
        .route("/teams/permissions", get(nothing))
        .route("/teams/apps", any(no_teams))
        .route("/teams/apps/{app}", get(app_info).patch(update_app))
        .route("/teams/apps/{app}/collaborators", get(app_collaborators).post(no_teams))
        .route("/teams/apps/{app}/collaborators/{user}", any(no_teams))
        .route("/teams/invitations/{token}", get(no_invitation))
        .route("/teams/invitations/{token}/accept", any(no_teams))
        .route("/teams/{team}", any(no_team))
        .route("/teams/{team}/{*rest}", any(no_team_with))
        .route("/spaces", get(nothing).post(no_spaces))
        .route("/spaces/{space}", any(no_space))
        .route("/spaces/{space}/{*rest}", any(no_space_with))
        .route("/addon-region-capabilities", get(nothing))
        .route("/addon-services/{service}/region-capabilities", get(nothing))
        .route("/regions/{region}/addon-region-capabilities", get(nothing))
        .route("/enterprise-accounts", get(nothing))
        .route("/enterprise-accounts/{*rest}", any(no_enterprise))
        .route("/users/{user}/preferences", get(preferences).patch(preferences))
}

async fn nothing(headers: HeaderMap) -> Answer {
    Ok(lists::list(&headers, vec![]))
}

async fn no_team(Path(team): Path<String>) -> Answer {
    Err(missing_team(&team))
}

async fn no_team_with(Path((team, _)): Path<(String, String)>) -> Answer {
    Err(missing_team(&team))
}

fn missing_team(team: &str) -> ApiError {
    let message = format!("Couldn't find the team {team}: a server of one's own has no teams.");
    ApiError::not_found("team", &message)
}

async fn no_teams() -> Answer {
    Err(ApiError::not_implemented(
        "A server of one's own has no teams: apps belong to accounts, and are shared with \
         collaborators. Next: heroku access:add EMAIL",
    ))
}

async fn no_invitation() -> Answer {
    Err(ApiError::not_found("team_invitation", "Couldn't find that team invitation."))
}

async fn no_space(Path(space): Path<String>) -> Answer {
    Err(missing_space(&space))
}

async fn no_space_with(Path((space, _)): Path<(String, String)>) -> Answer {
    Err(missing_space(&space))
}

fn missing_space(space: &str) -> ApiError {
    let message = format!("Couldn't find the space {space}: a server of one's own has no spaces.");
    ApiError::not_found("space", &message)
}

async fn no_spaces() -> Answer {
    Err(ApiError::not_implemented(
        "A server of one's own has no spaces: every app's dynos have a network of their own anyway.",
    ))
}

async fn no_enterprise() -> Answer {
    Err(ApiError::not_implemented("A server of one's own has no enterprise accounts."))
}

/// Clients lock and unlock an app here, whether or not it is a team's.
async fn update_app(
    State(platform): State<Platform>,
    Path(name): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&name)?;
    let body = super::formation::object(&body)?;
    if text(&body, "owner").is_some() || body.get("owner").is_some_and(Value::is_object) {
        return no_teams().await;
    }
    if let Some(locked) = body.get("locked").and_then(Value::as_bool) {
        platform.inner.db.transaction(|db| db::app::set_locked(db, app.id, locked))?;
    }
    app_info(State(platform), Path(name)).await
}

async fn app_info(State(platform): State<Platform>, Path(name): Path<String>) -> Answer {
    let app = platform.app(&name)?;
    let mut item = super::app::render(&platform, &app)?;
    item["joined"] = true.into();
    item["locked"] = platform.inner.db.read(|db| db::app::is_locked(db, app.id))?.into();
    Ok(ok(item))
}

async fn app_collaborators(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    platform.app(&app)?;
    Ok(lists::list(&headers, vec![]))
}

/// What Heroku's dashboard remembers of a person.
async fn preferences() -> Answer {
    Ok(ok(json!({
        "default-organization": null,
        "dismissed-getting-started": null,
        "dismissed-github-banner": null,
        "dismissed-org-access-controls": null,
        "dismissed-org-wizard-notification": null,
        "dismissed-pipelines-banner": null,
        "dismissed-pipelines-github-banner": null,
        "dismissed-pipelines-github-banners": null,
        "dismissed-sms-banner": null,
        "timezone": null,
    })))
}
