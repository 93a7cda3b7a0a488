//! The routes of accounts, tokens, and who may work on what.

use axum::Router;
use axum::routing::{delete, get, post};

use super::{
    account, app_transfer, audit, collaborator, key, oauth_authorization as authorization,
    oauth_client as client, people,
};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/account", get(account::info).patch(account::update))
        .route("/account/rate-limits", get(account::rate_limit))
        .route("/account/keys", get(key::list).post(key::create))
        .route("/account/keys/{key}", get(key::info).delete(key::delete))
        .route("/account/app-transfers", get(app_transfer::list).post(app_transfer::create))
        .route(
            "/account/app-transfers/{transfer}",
            get(app_transfer::info).patch(app_transfer::update).delete(app_transfer::delete),
        )
        .route("/users/{user}", get(account::of_user).patch(account::update_user))
        .route("/accounts", get(people::list).post(people::create))
        .route("/accounts/{account}", axum::routing::patch(people::update).delete(people::delete))
        .route("/apps/{app}/audit", get(audit::of_app))
        .route("/audit", get(audit::all))
        .route("/apps/{app}/collaborators", get(collaborator::list).post(collaborator::create))
        .route(
            "/apps/{app}/collaborators/{collaborator}",
            get(collaborator::info).delete(collaborator::delete),
        )
        .merge(oauth())
}

fn oauth() -> Router<Platform> {
    Router::new()
        .route("/oauth/authorizations", get(authorization::list).post(authorization::create))
        .route(
            "/oauth/authorizations/{authorization}",
            get(authorization::info).patch(authorization::update).delete(authorization::delete),
        )
        .route(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            post(authorization::regenerate),
        )
        .route("/oauth/sessions", get(authorization::sessions))
        .route("/oauth/sessions/{session}", delete(authorization::end_session))
        .route("/oauth/clients", get(client::list).post(client::create))
        .route(
            "/oauth/clients/{client}",
            get(client::info).patch(client::update).delete(client::delete),
        )
        .route("/oauth/clients/{client}/actions/rotate-credentials", post(client::rotate))
}
