//! Resource `sni-endpoint`: certificates that users upload.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::domain::HostName;
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, list as lists};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::db::sni_endpoint::SniEndpoint;
use crate::platform::Platform;
use crate::tls::certificate::{Certificate, facts_of, parse};

const MICROS: i64 = 1_000_000;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/apps/{app}/sni-endpoints", get(list).post(create))
        .route("/apps/{app}/sni-endpoints/{endpoint}", get(info).patch(update).delete(delete))
}

async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let endpoints = platform.inner.db.read(|db| db::sni_endpoint::of_app(db, app.id))?;
    // What an authority issued is for one domain, which tells of it. The stock command line would
    // ask which of all to show.
    let uploaded = endpoints.iter().filter(|endpoint| !endpoint.acm);
    let items = uploaded.map(|endpoint| render(&platform, &app, endpoint));
    Ok(lists::list(&headers, items.collect::<Result<_, _>>()?))
}

async fn info(
    State(platform): State<Platform>,
    Path((app, endpoint)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let endpoint = find(&platform, &app, &endpoint)?;
    Ok(super::ok(render(&platform, &app, &endpoint)?))
}

async fn create(State(platform): State<Platform>, Path(app): Path<String>, body: String) -> Answer {
    let app = platform.app(&app)?;
    let now = clock::now();
    let id = Uuid::new_v4();
    let name = format!("{}-{}", app.name, &id.simple().to_string()[..5]);
    let (certificate_chain, private_key, _) = uploaded(&super::formation::object(&body)?)?;
    let endpoint = SniEndpoint {
        id,
        app_id: app.id,
        name,
        certificate_chain,
        private_key,
        acm: false,
        created_at: now,
        updated_at: now,
    };
    put(&platform, &app, &endpoint, StatusCode::CREATED)
}

async fn update(
    State(platform): State<Platform>,
    Path((app, endpoint)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let before = find(&platform, &app, &endpoint)?;
    let (certificate_chain, private_key, certificate) =
        uploaded(&super::formation::object(&body)?)?;
    let domains = platform.inner.db.read(|db| db::domain::of_app(db, app.id))?;
    let mut shown = domains.iter().filter(|domain| domain.sni_endpoint_id == Some(before.id));
    if let Some(left) = shown.find(|d| !certificate.facts.covers(d.hostname.as_str())) {
        let message = format!(
            "The new certificate is not for {}, which shows this one. It is for {}.",
            left.hostname,
            certificate.facts.names.join(", ")
        );
        return Err(ApiError::invalid(message));
    }
    let updated_at = clock::now();
    let endpoint = SniEndpoint { certificate_chain, private_key, updated_at, ..before };
    put(&platform, &app, &endpoint, StatusCode::OK)
}

async fn delete(
    State(platform): State<Platform>,
    Path((app, endpoint)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let endpoint = find(&platform, &app, &endpoint)?;
    let rendered = render(&platform, &app, &endpoint)?;
    platform.inner.db.transaction(|db| db::sni_endpoint::delete(db, endpoint.id))?;
    platform.say_api(&app.name, format!("Remove {} certificate", endpoint.name));
    platform.hosts_changed();
    platform.broadcast(app.id, "api:sni-endpoint", "destroy", |_| Some(rendered.clone()));
    Ok(super::ok(rendered))
}

fn put(platform: &Platform, app: &App, endpoint: &SniEndpoint, status: StatusCode) -> Answer {
    platform.inner.db.transaction(|db| db::sni_endpoint::put(db, endpoint))?;
    platform.say_api(&app.name, format!("Set {} certificate", endpoint.name));
    platform.hosts_changed();
    let item = render(platform, app, endpoint)?;
    let action = if status == StatusCode::CREATED { "create" } else { "update" };
    platform.broadcast(app.id, "api:sni-endpoint", action, |_| Some(item.clone()));
    Ok(super::json(status, item))
}

/// What a user uploads, once it is known to be of use.
fn uploaded(body: &Map<String, Value>) -> Result<(String, String, Certificate), ApiError> {
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (chain, key) = (text("certificate_chain"), text("private_key"));
    let certificate = parse(&chain, &key).map_err(|error| ApiError::invalid(error.to_string()))?;
    if certificate.facts.expires_at <= clock::now() / MICROS {
        let expired = api_time(certificate.facts.expires_at * MICROS);
        return Err(ApiError::invalid(format!("The certificate has expired on {expired}.")));
    }
    Ok((chain, key, certificate))
}

fn find(platform: &Platform, app: &App, wanted: &str) -> Result<SniEndpoint, ApiError> {
    let endpoints = platform.inner.db.read(|db| db::sni_endpoint::of_app(db, app.id))?;
    let is_it =
        |endpoint: &SniEndpoint| endpoint.name == wanted || endpoint.id.to_string() == wanted;
    endpoints.into_iter().find(is_it).ok_or_else(no_such)
}

pub(super) fn no_such() -> ApiError {
    ApiError::not_found("sni_endpoint", "Couldn't find that SNI endpoint.")
}

/// Whether a certificate is for a host.
pub(super) fn covers(endpoint: &SniEndpoint, name: &HostName) -> bool {
    facts_of(&endpoint.certificate_chain).is_some_and(|facts| facts.covers(name.as_str()))
}

fn render(platform: &Platform, app: &App, endpoint: &SniEndpoint) -> Result<Value, ApiError> {
    let domains = platform.inner.db.read(|db| db::domain::of_app(db, app.id))?;
    let shown = domains.iter().filter(|domain| domain.sni_endpoint_id == Some(endpoint.id));
    let shown: Vec<Uuid> = shown.map(|domain| domain.id).collect();
    let facts = facts_of(&endpoint.certificate_chain);
    let certificate = facts.map(|facts| {
        json!({
            "acm": endpoint.acm,
            "ca_signed?": !facts.is_self_signed(),
            "cert_domains": facts.names,
            "expires_at": api_time(facts.expires_at * MICROS),
            "id": endpoint.id,
            "issuer": facts.issuer,
            "self_signed?": facts.is_self_signed(),
            "starts_at": api_time(facts.starts_at * MICROS),
            "subject": facts.subject,
        })
    });
    Ok(json!({
        "app": super::app::reference(app),
        "certificate_chain": endpoint.certificate_chain,
        "created_at": api_time(endpoint.created_at),
        "display_name": null,
        "domains": shown,
        "id": endpoint.id,
        "name": endpoint.name,
        "ssl_cert": certificate,
        "updated_at": api_time(endpoint.updated_at),
    }))
}
