//! Resource `domain`: the host names that an app answers to.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::domain::{HostName, MOST};
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, list as lists, ok, sni_endpoint};
use crate::clock::{self, api_time};
use crate::db;
use crate::db::app::App;
use crate::db::domain::Domain;
use crate::db::sni_endpoint::SniEndpoint;
use crate::platform::Platform;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let (domains, endpoints) = platform
        .inner
        .db
        .read(|db| Ok((db::domain::of_app(db, app.id)?, db::sni_endpoint::of_app(db, app.id)?)))?;
    let mut items = vec![own(&platform, &app)];
    for domain in &domains {
        items.push(render(&platform, &app, domain, &endpoints)?);
    }
    Ok(lists::list(&headers, items))
}

pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, domain)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    if domain == platform.own_host(&app.name) || domain == app.id.to_string() {
        return Ok(ok(own(&platform, &app)));
    }
    let domain = find(&platform, &app, &domain)?;
    let endpoints = platform.inner.db.read(|db| db::sni_endpoint::of_app(db, app.id))?;
    Ok(super::ok(render(&platform, &app, &domain, &endpoints)?))
}

pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let hostname = body.get("hostname").and_then(Value::as_str).unwrap_or_default();
    let invalid = |error: &str| ApiError::invalid(format!("{hostname} {error}"));
    let name: HostName = hostname.parse().map_err(|e| invalid(&format!("{e}.")))?;
    if name.is_within(&platform.inner.config.domain) {
        return Err(invalid("is a name of the platform itself: each app has one already."));
    }
    let endpoint = endpoint_for(&platform, &app, &body, &name)?;
    let now = clock::now();
    let domain = Domain {
        id: Uuid::new_v4(),
        app_id: app.id,
        hostname: name,
        sni_endpoint_id: endpoint.map(|endpoint| endpoint.id),
        created_at: now,
        updated_at: now,
    };
    let refused = platform.inner.db.transaction(|db| {
        if let Some(other) = db::domain::find(db, &domain.hostname)? {
            let whose = if other.app_id == app.id { "this" } else { "another" };
            return Ok(Some(format!("is currently in use by {whose} app.")));
        }
        if db::domain::of_app(db, app.id)?.len() >= MOST {
            return Ok(Some(format!("would be one domain more than the {MOST} of an app.")));
        }
        db::domain::insert(db, &domain)?;
        Ok(None)
    })?;
    if let Some(refused) = refused {
        return Err(invalid(&refused));
    }
    platform.say_api(&app.name, format!("Add {} domain", domain.hostname));
    platform.hosts_changed();
    platform.inner.other_domains.notify_one();
    answer(&platform, &app, &domain, (StatusCode::CREATED, "create"))
}

/// Shows another certificate, or none.
pub(crate) async fn update(
    State(platform): State<Platform>,
    Path((app, domain)): Path<(String, String)>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let domain = find(&platform, &app, &domain)?;
    let body = super::formation::object(&body)?;
    let wanted = match body.get("sni_endpoint") {
        None | Some(Value::Null) => None,
        Some(_) => endpoint_for(&platform, &app, &body, &domain.hostname)?,
    };
    let now = clock::now();
    let endpoint = wanted.map(|endpoint| endpoint.id);
    platform.inner.db.transaction(|db| db::domain::set_endpoint(db, domain.id, endpoint, now))?;
    platform.hosts_changed();
    let domain = find(&platform, &app, domain.hostname.as_str())?;
    answer(&platform, &app, &domain, (StatusCode::OK, "update"))
}

pub(crate) async fn delete(
    State(platform): State<Platform>,
    Path((app, domain)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    if domain == platform.own_host(&app.name) {
        return Err(ApiError::invalid(format!("{domain} is the app's own name, and stays.")));
    }
    let domain = find(&platform, &app, &domain)?;
    platform.inner.db.transaction(|db| db::domain::delete(db, domain.id))?;
    platform.say_api(&app.name, format!("Remove {} domain", domain.hostname));
    platform.hosts_changed();
    answer(&platform, &app, &domain, (StatusCode::OK, "destroy"))
}

fn find(platform: &Platform, app: &App, wanted: &str) -> Result<Domain, ApiError> {
    let domains = platform.inner.db.read(|db| db::domain::of_app(db, app.id))?;
    let is_it = |domain: &Domain| {
        domain.id.to_string() == wanted || domain.hostname.as_str().eq_ignore_ascii_case(wanted)
    };
    let found = domains.into_iter().find(is_it);
    found.ok_or_else(|| ApiError::not_found("domain", "Couldn't find that domain name."))
}

/// The certificate that is asked for, by name or id; where nobody says which, the only one that
/// covers the name.
fn endpoint_for(
    platform: &Platform,
    app: &App,
    body: &Map<String, Value>,
    name: &HostName,
) -> Result<Option<SniEndpoint>, ApiError> {
    let endpoints = platform.inner.db.read(|db| db::sni_endpoint::of_app(db, app.id))?;
    let Some(wanted) = body.get("sni_endpoint").and_then(Value::as_str) else {
        let mut covering = endpoints.into_iter().filter(|e| sni_endpoint::covers(e, name));
        let first = covering.next();
        return Ok(first.filter(|_| covering.next().is_none()));
    };
    let is_it = |e: &SniEndpoint| e.name == wanted || e.id.to_string() == wanted;
    let found = endpoints.into_iter().find(is_it).ok_or_else(sni_endpoint::no_such)?;
    if !sni_endpoint::covers(&found, name) {
        let message = format!("The certificate {wanted} is not for {name}.");
        return Err(ApiError::invalid(message));
    }
    Ok(Some(found))
}

/// Answers with what was done, which webhooks hear of too.
fn answer(
    platform: &Platform,
    app: &App,
    domain: &Domain,
    (status, action): (StatusCode, &str),
) -> Answer {
    let endpoints = platform.inner.db.read(|db| db::sni_endpoint::of_app(db, app.id))?;
    let item = render(platform, app, domain, &endpoints)?;
    platform.broadcast(app.id, "api:domain", action, |_| Some(item.clone()));
    Ok(super::json(status, item))
}

fn render(
    platform: &Platform,
    app: &App,
    domain: &Domain,
    endpoints: &[SniEndpoint],
) -> Result<Value, ApiError> {
    let acm = platform.inner.db.read(|db| super::acm::status(db, domain))?;
    let (acm_status, acm_status_reason) = acm.unzip();
    let endpoint = endpoints.iter().find(|endpoint| Some(endpoint.id) == domain.sni_endpoint_id);
    Ok(json!({
        "acm_status": acm_status,
        "acm_status_reason": acm_status_reason.flatten(),
        "app": super::app::reference(app),
        "cname": platform.own_host(&app.name),
        "created_at": api_time(domain.created_at),
        "hostname": domain.hostname,
        "id": domain.id,
        "kind": "custom",
        "sni_endpoint": endpoint.map(|e| json!({ "id": e.id, "name": e.name })),
        // Nothing has to be waited for.
        "status": "none",
        "updated_at": api_time(domain.updated_at),
    }))
}

/// The name that every app has.
fn own(platform: &Platform, app: &App) -> Value {
    json!({
        "acm_status": null,
        "acm_status_reason": null,
        "app": super::app::reference(app),
        "cname": null,
        "created_at": api_time(app.created_at),
        "hostname": platform.own_host(&app.name),
        "id": app.id,
        "kind": "heroku",
        "sni_endpoint": null,
        "status": "none",
        "updated_at": api_time(app.updated_at),
    })
}
