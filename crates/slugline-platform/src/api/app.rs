//! Resource `app`.

use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use slugline_model::kept::Ephemeral;
use slugline_model::name::AppName;
use uuid::Uuid;

use super::auth::Made;
use super::error::ApiError;
use super::{Answer, account, add_on, list as lists, ok};
use crate::clock::{self, api_time};
use crate::db::app::App;
use crate::db::{self, DbError};
use crate::platform::Platform;
use crate::rename::Renamed;

/// The apps that who asks owns or may work on.
pub(crate) async fn list(State(platform): State<Platform>, headers: HeaderMap) -> Answer {
    let id = account::asker()?.account.id;
    let apps = platform.inner.db.read(|db| db::app::of_account(db, id))?;
    let outlines = apps.iter().map(outline).collect();
    lists::list_of(&headers, outlines, |at, _| Ok(render(&platform, &apps[at])?))
}

/// What lists of apps are ordered by.
fn outline(app: &App) -> Value {
    json!({
        "created_at": api_time(app.created_at),
        "id": app.id,
        "name": app.name,
        "updated_at": api_time(app.updated_at),
    })
}

pub(crate) async fn of_user(
    State(platform): State<Platform>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Answer {
    account::own(&user)?;
    list(State(platform), headers).await
}

pub(crate) async fn info(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    Ok(ok(render(&platform, &platform.app(&app)?)?))
}

pub(crate) async fn create(State(platform): State<Platform>, body: String) -> Answer {
    let app = make(&platform, &super::formation::object(&body)?)?;
    let mut answer = super::json(StatusCode::CREATED, render(&platform, &app)?);
    answer.extensions_mut().insert(Made(app));
    Ok(answer)
}

/// Makes an app as a body asks for it.
pub(super) fn make(platform: &Platform, body: &Map<String, Value>) -> Result<App, ApiError> {
    let name = match body.get("name").and_then(Value::as_str) {
        Some(name) => name.parse::<AppName>().map_err(|e| ApiError::invalid(e.to_string()))?,
        None => invented_name(),
    };
    if let Some(stack) = add_on::identity(body.get("stack")) {
        super::stack::known(&stack)?;
    }
    if let Some(region) = add_on::identity(body.get("region")) {
        super::region::known(&region)?;
    }
    let app = new(name)?;
    let created = platform.inner.db.transaction(|db| {
        if db::app::find(db, app.name.as_str())?.is_some() {
            return Ok(false);
        }
        db::app::insert(db, &app)?;
        Ok(true)
    })?;
    if !created {
        return Err(ApiError::invalid(format!("Name {} is already taken", app.name)));
    }
    platform.changed();
    Ok(app)
}

/// One of who asks, which is not written down yet.
fn new(name: AppName) -> Result<App, ApiError> {
    let now = clock::now();
    Ok(App {
        id: Uuid::new_v4(),
        name,
        maintenance: false,
        preboot: true,
        ephemeral: Ephemeral::default(),
        owner_id: account::asker()?.account.id,
        repo_size: None,
        created_at: now,
        updated_at: now,
    })
}

/// One that goes soon, under a name that nobody else has.
pub(super) fn passing() -> Result<App, ApiError> {
    new(invented_name())
}

fn invented_name() -> AppName {
    let hex = Uuid::new_v4().simple().to_string();
    // Twelve digits after a letter and a dash are always a name.
    format!("app-{}", &hex[..12]).parse().unwrap_or_else(|_| unreachable!("app-… is a name"))
}

pub(crate) async fn update(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let app = match body.get("name").and_then(Value::as_str) {
        Some(name) => renamed(&platform, app, name).await?,
        None => app,
    };
    if let Some(stack) = add_on::identity(body.get("build_stack")) {
        super::stack::known(&stack)?;
    }
    if let Some(maintenance) = body.get("maintenance").and_then(Value::as_bool) {
        let now = clock::now();
        platform
            .inner
            .db
            .transaction(|db| db::app::set_maintenance(db, app.id, maintenance, now))?;
        platform.say_api(&app.name, format!("Maintenance mode {maintenance}"));
        platform.changed();
        platform.tell_app(&platform.app(app.name.as_str())?);
    }
    Ok(ok(render(&platform, &platform.app(app.name.as_str())?)?))
}

/// The app under another name.
async fn renamed(platform: &Platform, app: App, name: &str) -> Result<App, ApiError> {
    let name: AppName = name.parse().map_err(|error| ApiError::invalid(format!("{error}")))?;
    let refused = match platform.rename_app(&app, &name).await? {
        Renamed::Done => {
            let app = platform.app(name.as_str())?;
            platform.tell_app(&app);
            return Ok(app);
        }
        Renamed::Taken => format!("Name {name} is already taken"),
        Renamed::Building => format!(
            "{0} cannot be renamed while a build of it is under way. Nothing was changed: try \
             again when it is over, or cancel it (slugline builds:cancel -a {0})",
            app.name
        ),
    };
    Err(ApiError::invalid(refused))
}

pub(crate) async fn delete(State(platform): State<Platform>, Path(app): Path<String>) -> Answer {
    let app = platform.app(&app)?;
    let rendered = render(&platform, &app)?;
    destroy(&platform, &app).await?;
    Ok(ok(rendered))
}

/// Destroys an app with all that belongs to it.
pub(crate) async fn destroy(platform: &Platform, app: &App) -> Result<(), ApiError> {
    add_on::may_destroy(platform, app).await?;
    platform.inner.db.transaction(|db| {
        db::add_on::give_up(db, app.id)?;
        db::app::delete(db, app.id)
    })?;
    platform.remove_given_up_addons();
    platform.changed();
    platform.forget_cache(&app.name);
    platform.forget_repository(app);
    platform.keep_drains();
    platform.inner.log.forget(app.name.as_str());
    platform.inner.layers.look();
    Ok(())
}

/// The app as other resources refer to it.
pub(crate) fn reference(app: &App) -> Value {
    json!({ "id": app.id, "name": app.name })
}

pub(super) fn render(platform: &Platform, app: &App) -> Result<Value, DbError> {
    let running = platform.running(app.id)?;
    let stack = super::stack::reference();
    Ok(json!({
        "acm": platform.inner.db.read(|db| db::acm::is_enabled(db, app.id))?,
        "archived_at": null,
        "buildpack_provided_description":
            running.as_ref().map(|running| running.slug.buildpack.clone()),
        "build_stack": stack,
        "created_at": api_time(app.created_at),
        // Ours: what becomes of files that its dynos write.
        "ephemeral": app.ephemeral,
        "git_url": format!("https://{}/{}.git", platform.api_host(), app.name),
        "generation": super::generation::cedar(),
        "id": app.id,
        "internal_routing": null,
        "maintenance": app.maintenance,
        "name": app.name,
        "organization": null,
        "owner": account::reference_to(platform, app.owner_id)?,
        "region": super::region::reference(),
        "released_at": running.as_ref().map(|running| api_time(running.release.created_at)),
        "repo_size": app.repo_size,
        "slug_size": running.as_ref().map(|running| running.slug.size),
        "space": null,
        "stack": stack,
        "team": null,
        "updated_at": api_time(app.updated_at),
        "web_url": platform.web_url(&app.name),
    }))
}

/// Answers with an app that was changed.
pub(crate) fn accepted() -> Response {
    super::json(StatusCode::ACCEPTED, json!({}))
}
