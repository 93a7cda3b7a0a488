//! Resource `add-on`, and what stands beside it: its config and its actions.

use std::collections::{BTreeMap, HashMap, HashSet};

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::addon::Usage;
use uuid::Uuid;

use super::error::ApiError;
use super::{Answer, add_on_attachment, add_on_move, add_on_service, is_seen, list as lists, ok};
use crate::addons::{AddOnError, NewAddOn, NewAttachment};
use crate::clock::api_time;
use crate::db;
use crate::db::add_on::AddOn;
use crate::db::app::App;
use crate::platform::Platform;

/// Add-ons, their attachments, and what is offered.
pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/addons", get(list))
        .route("/addons/{addon}", get(info))
        .route("/addons/{addon}/actions/provision", post(provision))
        .route("/addons/{addon}/actions/deprovision", post(deprovision))
        .route("/addons/{addon}/actions/rotate-credentials", post(rotate))
        .route("/addons/{addon}/config", get(config).patch(update_config))
        .route("/apps/{app}/addons", get(of_app).post(create))
        .route("/apps/{app}/addons/{addon}", get(info_by_app).patch(update).delete(delete))
        .route("/apps/{app}/addons/{addon}/sso", get(sso))
        .route("/apps/{app}/addons/{addon}/usage", get(usage))
        .route("/users/{user}/addons", get(list))
        .route("/actions/addons/resolve", post(resolve))
        .merge(add_on_attachment::routes())
        .merge(add_on_move::routes())
        .merge(add_on_service::routes())
}

async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    let mut addons = platform.inner.db.read(db::add_on::all)?;
    addons.retain(|addon| addon.app_id.is_some_and(|app| is_seen(&platform, app)));
    Ok(lists::list(&headers, render_all(&platform, &addons)?))
}

/// What an app owns, and what others share with it.
async fn of_app(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    Ok(lists::list(&headers, render_all(&platform, &all_of(&platform, &app)?)?))
}

fn all_of(platform: &Platform, app: &App) -> Result<Vec<AddOn>, ApiError> {
    let (mut addons, attached) = platform
        .inner
        .db
        .read(|db| Ok((db::add_on::of_app(db, app.id)?, db::add_on::attached(db, app.id)?)))?;
    let mut known: HashSet<Uuid> = addons.iter().map(|addon| addon.id).collect();
    addons.extend(attached.into_iter().map(|(_, addon)| addon).filter(|a| known.insert(a.id)));
    Ok(addons)
}

async fn info(State(platform): State<Platform>, Path(addon): Path<String>) -> Answer {
    info_of(&platform, &find(&platform, &addon)?).await
}

async fn info_by_app(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    info_of(&platform, &find_in(&platform, &app, &addon)?).await
}

/// What an add-on's owner should know has how full it is.
async fn info_of(platform: &Platform, addon: &AddOn) -> Answer {
    let mut item = render(platform, addon)?;
    if let Some(usage) = platform.usage_of(addon).await? {
        let message = item["provision_message"].as_str().unwrap_or_default();
        let message = format!("{message}. In it: {}", usage.told());
        item["provision_message"] = message.trim_start_matches(". ").into();
    }
    Ok(ok(item))
}

/// How much is in an add-on; null where its provider does not say.
async fn usage(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    let addon = find_in(&platform, &app, &addon)?;
    let usage = platform.usage_of(&addon).await?;
    Ok(ok(usage.map_or(Value::Null, |usage| {
        let Usage { files, bytes, quota } = usage;
        json!({ "files": files, "bytes": bytes, "quota": quota, "told": usage.told() })
    })))
}

async fn create(State(platform): State<Platform>, Path(app): Path<String>, body: String) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let plan = identity(body.get("plan")).ok_or_else(|| {
        ApiError::invalid("`plan` is missing: it must be the name of a plan, such as postgres:dev")
    })?;
    let name = text(&body, "name").map(|name| name.parse()).transpose();
    let attachment = body.get("attachment").and_then(Value::as_object).cloned().unwrap_or_default();
    let new = NewAddOn {
        plan,
        name: name.map_err(|error| ApiError::invalid(format!("{error}")))?,
        attachment: new_attachment(&attachment, confirmed(&body, &app))?,
        options: options(body.get("config")),
    };
    let (addon, attachment) = platform.create_addon(&app, new).await?;
    let item = render(&platform, &addon)?;
    platform.broadcast(app.id, "api:addon", "create", |_| Some(item.clone()));
    add_on_attachment::tell(&platform, &attachment, "create");
    Ok(super::json(StatusCode::CREATED, item))
}

/// What the client says beside the plan; a word without a value is `true`.
pub(super) fn options(config: Option<&Value>) -> BTreeMap<String, String> {
    let config = config.and_then(Value::as_object).cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    config.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Whether the client confirms by the app's name what it was asked to confirm.
pub(super) fn confirmed(body: &Map<String, Value>, app: &App) -> bool {
    body.get("confirm").and_then(Value::as_str) == Some(app.name.as_str())
}

pub(super) fn new_attachment(
    body: &Map<String, Value>,
    replace: bool,
) -> Result<NewAttachment, ApiError> {
    let name = text(body, "name").map(|name| name.parse()).transpose();
    Ok(NewAttachment {
        name: name.map_err(|error| ApiError::invalid(format!("{error}")))?,
        namespace: text(body, "namespace"),
        replace,
    })
}

/// A text of a body that says something.
pub(super) fn text(body: &Map<String, Value>, name: &str) -> Option<String> {
    body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// What a client names, by a text or by an object with an id or a name.
pub(super) fn identity(value: Option<&Value>) -> Option<String> {
    let value = value?;
    let text = value.as_str().or(value["id"].as_str()).or(value["name"].as_str())?;
    (!text.is_empty()).then(|| text.to_owned())
}

/// Changes the plan or the name.
async fn update(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
    body: String,
) -> Answer {
    let mut addon = find_in(&platform, &app, &addon)?;
    let body = super::formation::object(&body)?;
    if let Some(name) = text(&body, "name") {
        let name = name.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
        addon = platform.rename_addon(&addon, &name)?;
    }
    if let Some(plan) = identity(body.get("plan")) {
        let plan = add_on_service::plan_name(&platform, &plan);
        addon = platform.change_addon_plan(&addon, &plan).await?;
    }
    let item = render(&platform, &addon)?;
    if let Some(owner) = addon.app_id {
        platform.broadcast(owner, "api:addon", "update", |_| Some(item.clone()));
    }
    Ok(ok(item))
}

async fn delete(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
    body: String,
) -> Answer {
    let owner = platform.app(&app)?;
    let addon = find_in(&platform, &app, &addon)?;
    if addon.app_id != Some(owner.id) {
        return Err(ApiError::invalid(format!(
            "{} belongs to another app, and is only attached to {}: heroku addons:detach",
            addon.name, owner.name
        )));
    }
    let body = super::formation::object(&body)?;
    let force = body.get("force").and_then(Value::as_bool).unwrap_or(false);
    let held = platform.held_by(&addon).await.ok().flatten();
    let before = render(&platform, &addon)?;
    let addon = platform.destroy_addon(addon, force).await?;
    let mut item = before;
    item["state"] = addon.state.as_str().into();
    platform.broadcast(owner.id, "api:addon", "destroy", |_| Some(item.clone()));
    let mut answer = ok(item);
    // The stock command line prints it.
    let warning =
        held.and_then(|held| HeaderValue::from_str(&format!("Gone with it: {held}")).ok());
    if let Some(warning) = warning {
        answer.headers_mut().insert("x-heroku-warning", warning);
    }
    Ok(answer)
}

/// Our providers are asked and answer in one go; what a partner would call afterwards changes
/// nothing.
async fn provision(State(platform): State<Platform>, Path(addon): Path<String>) -> Answer {
    Ok(ok(render(&platform, &find(&platform, &addon)?)?))
}

async fn deprovision(State(platform): State<Platform>, Path(addon): Path<String>) -> Answer {
    let addon = find(&platform, &addon)?;
    Err(ApiError::invalid(format!(
        "{0} is not deprovisioned from outside: whoever owns it destroys it. Next: heroku \
         addons:destroy {0}",
        addon.name
    )))
}

/// Ours: new credentials, in a new release of every app that has the add-on.
async fn rotate(State(platform): State<Platform>, Path(addon): Path<String>) -> Answer {
    let addon = find(&platform, &addon)?;
    let addon = platform.rotate_addon(&addon).await?;
    Ok(ok(render(&platform, &addon)?))
}

async fn config(
    State(platform): State<Platform>,
    Path(addon): Path<String>,
    headers: HeaderMap,
) -> Answer {
    Ok(lists::list(&headers, render_config(&find(&platform, &addon)?)))
}

/// Resource `add-on-config`: the values as the service names them.
fn render_config(addon: &AddOn) -> Vec<Value> {
    addon.vars.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

/// Gives the add-on other values, all of which it has already.
async fn update_config(
    State(platform): State<Platform>,
    Path(addon): Path<String>,
    body: String,
) -> Answer {
    let addon = find(&platform, &addon)?;
    let body = super::formation::object(&body)?;
    let asked = body.get("config").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut values = BTreeMap::new();
    for pair in &asked {
        let (Some(name), Some(value)) = (pair["name"].as_str(), pair["value"].as_str()) else {
            return Err(ApiError::invalid(
                "`config` must be a list of {\"name\": …, \"value\": …}",
            ));
        };
        if !addon.vars.contains_key(name) || value.contains('\0') {
            let names: Vec<&str> = addon.vars.keys().map(String::as_str).collect();
            return Err(ApiError::invalid(format!(
                "`{name}` is no value of {}, which has {}",
                addon.name,
                names.join(", ")
            )));
        }
        values.insert(name.to_owned(), value.to_owned());
    }
    let addon = platform.set_addon_values(&addon, values)?;
    Ok(ok(Value::Array(render_config(&addon))))
}

/// Where a browser sees it.
async fn sso(
    State(platform): State<Platform>,
    Path((app, addon)): Path<(String, String)>,
) -> Answer {
    let addon = find_in(&platform, &app, &addon)?;
    let url = web_url(&platform, &addon)
        .ok_or_else(|| ApiError::invalid(format!("{} has no page to look at", addon.name)))?;
    Ok(ok(json!({ "action": url, "method": "get", "params": {} })))
}

/// Every add-on that a text may mean.
async fn resolve(State(platform): State<Platform>, body: String) -> Answer {
    let body = super::formation::object(&body)?;
    let wanted = text(&body, "addon").unwrap_or_default();
    let service = text(&body, "addon_service");
    let (app, wanted) = split_scope(identity(body.get("app")), &wanted);
    let mut found = match app {
        Some(app) => meant_in(&platform, &platform.app(&app)?, &wanted)?,
        None => find(&platform, &wanted).map(|addon| vec![addon])?,
    };
    found.retain(|addon| service.as_ref().is_none_or(|service| addon.service == *service));
    if found.is_empty() {
        return Err(no_such());
    }
    Ok(ok(Value::Array(render_all(&platform, &found)?)))
}

/// `owl::DATABASE` names the app beside what it has.
pub(super) fn split_scope(app: Option<String>, wanted: &str) -> (Option<String>, String) {
    match wanted.split_once("::") {
        Some((app, name)) => (Some(app.to_owned()), name.to_owned()),
        None => (app, wanted.to_owned()),
    }
}

/// What people may mean within an app: an attachment, an add-on, all of a service or of a plan.
fn meant_in(platform: &Platform, app: &App, wanted: &str) -> Result<Vec<AddOn>, ApiError> {
    let attached = platform.inner.db.read(|db| db::add_on::attached(db, app.id))?;
    let by_attachment = attached.into_iter().find(|(attachment, _)| {
        attachment.name.as_str() == wanted || attachment.id.to_string() == wanted
    });
    if let Some((_, addon)) = by_attachment {
        return Ok(vec![addon]);
    }
    let all = all_of(platform, app)?;
    let exactly = |addon: &&AddOn| addon.name == wanted || addon.id.to_string() == wanted;
    if let Some(addon) = all.iter().find(exactly) {
        return Ok(vec![addon.clone()]);
    }
    Ok(all.into_iter().filter(|a| a.service == wanted || a.full_plan() == wanted).collect())
}

/// An add-on by its name or its id, of an app that who asks may see.
pub(super) fn find(platform: &Platform, wanted: &str) -> Result<AddOn, ApiError> {
    let found = platform.inner.db.read(|db| match wanted.parse::<Uuid>() {
        Ok(id) => db::add_on::find(db, id),
        Err(_) => db::add_on::named(db, wanted),
    })?;
    let is_there = |addon: &AddOn| addon.state != db::add_on::State::Deprovisioned;
    let addon = found.filter(is_there).ok_or_else(no_such)?;
    let attachments = platform.inner.db.read(|db| db::add_on_attachment::of_addon(db, addon.id))?;
    let mut apps = attachments.iter().map(|attachment| attachment.app_id).chain(addon.app_id);
    if apps.any(|app| is_seen(platform, app)) { Ok(addon) } else { Err(no_such()) }
}

/// One that an app has.
pub(super) fn find_in(platform: &Platform, app: &str, wanted: &str) -> Result<AddOn, ApiError> {
    let app = platform.app(app)?;
    let mut meant = meant_in(platform, &app, wanted)?;
    match meant.len() {
        0 => Err(no_such()),
        1 => Ok(meant.remove(0)),
        _ => {
            let names: Vec<&str> = meant.iter().map(|addon| addon.name.as_str()).collect();
            Err(ApiError::multiple_matches(format!(
                "Ambiguous identifier; multiple matching add-ons found: {}.",
                names.join(", ")
            )))
        }
    }
}

pub(super) fn no_such() -> ApiError {
    ApiError::not_found("add_on", "Couldn't find that add-on.")
}

pub(super) fn web_url(platform: &Platform, addon: &AddOn) -> Option<String> {
    platform.provider(&addon.service)?.web_url(&addon.order())
}

pub(super) fn render(platform: &Platform, addon: &AddOn) -> Result<Value, ApiError> {
    let all = render_all(platform, std::slice::from_ref(addon))?;
    all.into_iter().next().ok_or_else(no_such)
}

fn render_all(platform: &Platform, addons: &[AddOn]) -> Result<Vec<Value>, ApiError> {
    let mut owners: HashMap<Uuid, Option<App>> = HashMap::new();
    let mut items = Vec::new();
    for addon in addons {
        let Some(id) = addon.app_id else { continue };
        let (owner, attachments) = platform.inner.db.read(|db| {
            let owner = match owners.remove(&id) {
                Some(known) => known,
                None => db::app::find(db, &id.to_string())?,
            };
            Ok((owner, db::add_on_attachment::of_addon(db, addon.id)?))
        })?;
        if let Some(owner) = &owner {
            let own = attachments.iter().find(|attachment| attachment.app_id == id);
            let names = own.map(|own| addon.held(&own.name).names()).unwrap_or_default();
            items.push(item(platform, addon, owner, &Vec::from_iter(names)));
        }
        owners.insert(id, owner);
    }
    Ok(items)
}

fn item(platform: &Platform, addon: &AddOn, owner: &App, config_vars: &[String]) -> Value {
    json!({
        "actions": [],
        "addon_service": add_on_service::reference(&addon.service),
        "app": super::app::reference(owner),
        "billed_price": { "cents": 0, "contract": false, "unit": "month" },
        "billing_entity": { "id": owner.id, "name": owner.name, "type": "app" },
        "config_vars": config_vars,
        "created_at": api_time(addon.created_at),
        "id": addon.id,
        "name": addon.name,
        "plan": add_on_service::plan_reference(platform, addon),
        "provider_id": addon.id,
        "provision_message": addon.message.clone().unwrap_or_default(),
        "state": addon.state.as_str(),
        "updated_at": api_time(addon.updated_at),
        "web_url": web_url(platform, addon),
    })
}

/// What went wrong, for whoever asked: what to do about it, and that nothing has changed.
impl From<AddOnError> for ApiError {
    fn from(error: AddOnError) -> Self {
        match &error {
            AddOnError::Db(_) => {
                tracing::error!(?error, "an add-on could not be written down");
                ApiError::internal()
            }
            AddOnError::Provider(slugline_model::addon::ProviderError::Failed(source)) => {
                tracing::error!(?source, "a provider of add-ons has failed");
                ApiError::unavailable(
                    "The add-on's provider has failed; the server's log says why. Nothing was changed: \
                 try again.",
                )
            }
            // So begins what the stock command line adds the list of plans to.
            AddOnError::NoService(asked) | AddOnError::NoPlan { plan: asked, .. } => {
                ApiError::invalid(format!(
                    "Couldn't find either the add-on service or the add-on plan of \"{asked}\": \
                 {error}. What there is: heroku addons:services, heroku addons:plans SERVICE"
                ))
            }
            AddOnError::NeedsConfirmation { .. } => ApiError::confirmation_required(format!(
                "{error}. That attachment would be gone, and its config vars would become those of the \
             new one"
            )),
            AddOnError::LastAttachment { name } => ApiError::invalid(format!(
                "{error}. Nothing was changed. Next: heroku addons:destroy {name}"
            )),
            AddOnError::Shared { name, .. } => ApiError::invalid(format!(
                "{error}. Nothing was destroyed. Next: heroku addons:detach there, or heroku \
             addons:destroy {name} --force"
            )),
            AddOnError::Holds { name, .. } => ApiError::invalid(format!(
                "{error}, which would be gone for good. Nothing was destroyed. Next: heroku \
             addons:destroy {name} --force"
            )),
            _ => ApiError::invalid(format!("{error}. Nothing was changed.")),
        }
    }
}

/// Tells that an app may not be destroyed, and why.
pub(super) async fn may_destroy(platform: &Platform, app: &App) -> Result<(), ApiError> {
    Ok(platform.refuse_to_destroy_with(app).await?)
}
