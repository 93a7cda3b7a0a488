//! What Heroku has and this server has not, each with the reason and what there is instead.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{any, get, post};
use http::HeaderMap;
use serde_json::json;

use super::error::ApiError;
use super::{Answer, list as lists, ok};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/apps/{app}/oci-images", post(no_images))
        .route("/apps/{app}/oci-images/{image}", get(no_image))
        .route("/apps/{app}/telemetry-drains", get(nothing_of_app))
        .route("/telemetry-drains", any(no_telemetry))
        .route("/telemetry-drains/{drain}", any(no_telemetry_drain))
        .route("/apps/{app}/usage", get(usage))
        .route("/client/v11/apps/{app}/transfers", get(nothing_of_app))
        .route("/accounts/{account}/actions/get-quota", get(no_quota))
        .route("/account/delinquency", any(no_bills))
        .route("/account/credits", any(no_bills))
        .route("/account/credits/{credit}", any(no_bills))
        .route("/account/invoices", any(no_bills))
        .route("/account/invoices/{invoice}", any(no_bills))
        .route("/account/invoice-address", any(no_bills))
        .route("/users/{user}/sms-number", any(no_sms))
        .route("/users/{user}/sms-number/actions/{action}", any(no_sms))
        .route("/addons/{addon}/webhooks", any(no_partners))
        .route("/addons/{addon}/webhooks/{webhook}", any(no_partners))
        .route("/addons/{addon}/webhook-deliveries", any(no_partners))
        .route("/addons/{addon}/webhook-deliveries/{delivery}", any(no_partners))
        .route("/addons/{addon}/webhook-events", any(no_partners))
        .route("/addons/{addon}/webhook-events/{event}", any(no_partners))
        .route("/addons/{addon}/log-drains", any(no_partners))
        .route("/addons/{addon}/log-drains/{drain}", any(no_partners))
}

/// What anybody may ask, as Heroku's page of its own health answers it.
pub(super) fn public_routes() -> Router<Platform> {
    Router::new().route("/api/v4/current-status", get(status))
}

async fn status() -> Answer {
    let green = |system: &str| json!({ "status": "green", "system": system });
    let systems = ["Apps", "Data", "Tools"].map(green);
    Ok(ok(json!({ "incidents": [], "scheduled": [], "status": systems })))
}

async fn no_images(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    platform.app(&app)?;
    Err(ApiError::not_implemented(
        "Apps run from slugs here. An image becomes a slug, and a slug an image: slugline \
         slug:import, slugline slug:export",
    ))
}

async fn no_image(
    State(platform): State<Platform>,
    Path((app, _)): Path<(String, String)>,
) -> Answer {
    platform.app(&app)?;
    Err(ApiError::not_found("oci_image", "Couldn't find that OCI image: apps run from slugs here."))
}

async fn nothing_of_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    platform.app(&app)?;
    Ok(lists::list(&headers, vec![]))
}

async fn no_telemetry() -> Answer {
    Err(ApiError::not_implemented(
        "Traces are not collected. Logs go out by heroku drains:add, and numbers by GET /metrics, \
         as Prometheus reads them",
    ))
}

async fn no_telemetry_drain() -> Answer {
    Err(ApiError::not_found("telemetry_drain", "Couldn't find that telemetry drain."))
}

/// Nothing is metered.
async fn usage(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    Ok(ok(json!({ "addons": [], "id": app.id, "name": app.name })))
}

async fn no_quota() -> Answer {
    Err(ApiError::not_found("quota", "There is no quota of dyno hours here."))
}

async fn no_bills() -> Answer {
    Err(ApiError::not_implemented("Nothing costs anything here, and there are no bills."))
}

async fn no_sms() -> Answer {
    Err(ApiError::not_implemented("This server sends no text messages."))
}

async fn no_partners() -> Answer {
    Err(ApiError::not_implemented(
        "Providers of add-ons are part of this server or declared by its operator, and call no API. \
         An app's own webhooks are there: heroku webhooks:add",
    ))
}
