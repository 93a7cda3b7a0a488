//! Resources `add-on-service` and `plan`: what is offered.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use http::HeaderMap;
use serde_json::{Value, json};
use slugline_model::addon::{Plan, Service};
use uuid::Uuid;

use super::error::ApiError;
use super::named_id::named_id;
use super::{Answer, list as lists, ok};
use crate::db::add_on::AddOn;
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/addon-services", get(list))
        .route("/addon-services/{service}", get(info))
        .route("/addon-services/{service}/plans", get(plans))
        .route("/addon-services/{service}/plans/{plan}", get(plan_of_service))
        .route("/plans/{plan}", get(plan))
}

/// What is offered does not change while a server runs, and nobody notes since when it is.
const SINCE: &str = "2026-01-01T00:00:00Z";

async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    Ok(lists::list(&headers, platform.services().iter().map(render).collect()))
}

async fn info(State(platform): State<Platform>, Path(service): Path<String>) -> Answer {
    Ok(ok(render(&find(&platform, &service)?)))
}

async fn plans(
    State(platform): State<Platform>,
    Path(service): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let service = find(&platform, &service)?;
    let plans = service.plans.iter().map(|plan| render_plan(&service, plan)).collect();
    Ok(lists::list(&headers, plans))
}

async fn plan_of_service(
    State(platform): State<Platform>,
    Path((service, plan)): Path<(String, String)>,
) -> Answer {
    let service = find(&platform, &service)?;
    let by_id = |known: &&Plan| plan_id(&service.name, &known.name).to_string() == plan;
    let found = service.plan(&plan).or_else(|| service.plans.iter().find(by_id));
    Ok(ok(render_plan(&service, found.ok_or_else(no_such_plan)?)))
}

async fn plan(State(platform): State<Platform>, Path(plan): Path<String>) -> Answer {
    let name = plan_name(&platform, &plan);
    let (service, plan) = platform.offered(&name).map_err(|_| no_such_plan())?;
    Ok(ok(render_plan(&service, &plan)))
}

/// A plan's name for its id; what is no id is a name.
pub(super) fn plan_name(platform: &Platform, id: &str) -> String {
    let services = platform.services();
    let mut plans =
        services.iter().flat_map(|service| service.plans.iter().map(move |plan| (service, plan)));
    let found = plans.find(|(service, plan)| plan_id(&service.name, &plan.name).to_string() == id);
    found.map_or_else(|| id.to_owned(), |(service, plan)| service.full_name(&plan.name))
}

fn find(platform: &Platform, wanted: &str) -> Result<Service, ApiError> {
    let is_it = |service: &Service| {
        service.name == wanted || service_id(&service.name).to_string() == wanted
    };
    platform
        .services()
        .into_iter()
        .find(is_it)
        .ok_or_else(|| ApiError::not_found("addon_service", "Couldn't find that add-on service."))
}

fn no_such_plan() -> ApiError {
    ApiError::not_found("plan", "Couldn't find that add-on plan.")
}

fn service_id(service: &str) -> Uuid {
    named_id("addon-service", service)
}

fn plan_id(service: &str, plan: &str) -> Uuid {
    named_id("plan", &format!("{service}:{plan}"))
}

/// A service as other resources refer to it.
pub(super) fn reference(service: &str) -> Value {
    json!({ "id": service_id(service), "name": service })
}

/// The plan of an add-on, with its price: some clients ask for that (`Accept-Expansion`), and none
/// minds.
pub(super) fn plan_reference(platform: &Platform, addon: &AddOn) -> Value {
    let service = platform.provider(&addon.service).map(|provider| provider.service());
    let plan = service.as_ref().and_then(|service| Some((service, service.plan(&addon.plan)?)));
    match plan {
        Some((service, plan)) => render_plan(service, plan),
        // The operator offers it no more.
        None => json!({
            "id": plan_id(&addon.service, &addon.plan),
            "name": addon.full_plan(),
            "price": price(),
        }),
    }
}

/// Nothing costs anything here.
fn price() -> Value {
    json!({ "cents": 0, "contract": false, "metered": false, "unit": "month" })
}

fn render(service: &Service) -> Value {
    json!({
        "cli_plugin_name": null,
        "created_at": SINCE,
        "human_name": service.human_name,
        "id": service_id(&service.name),
        "name": service.name,
        "state": "ga",
        "supported_generations": [super::generation::cedar()],
        "supports_multiple_installations": true,
        "supports_sharing": service.is_shareable,
        "updated_at": SINCE,
    })
}

fn render_plan(service: &Service, plan: &Plan) -> Value {
    json!({
        "addon_service": reference(&service.name),
        "compliance": null,
        "created_at": SINCE,
        "default": service.plans.first() == Some(plan),
        "description": plan.description,
        "human_name": plan.human_name,
        "id": plan_id(&service.name, &plan.name),
        "installable_inside_private_network": false,
        "installable_outside_private_network": true,
        "name": service.full_name(&plan.name),
        "price": price(),
        "space_default": false,
        "state": "ga",
        "updated_at": SINCE,
        "visible": true,
    })
}
