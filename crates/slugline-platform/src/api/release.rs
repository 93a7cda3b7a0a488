//! Resource `release`.

use axum::extract::{Path, State};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use slugline_model::config_vars::ConfigVars;

use super::error::ApiError;
use super::{Answer, account, app as apps, list as lists, ok, slug as slugs};
use crate::clock::api_time;
use crate::db;
use crate::db::app::App;
use crate::db::release::{Release, Status};
use crate::platform::Platform;
use crate::releases::NewRelease;

pub(crate) async fn list(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    headers: HeaderMap,
) -> Answer {
    let app = platform.app(&app)?;
    let (releases, current) = platform
        .inner
        .db
        .read(|db| Ok((db::release::of_app(db, app.id)?, db::release::current(db, app.id)?)))?;
    let items = releases
        .iter()
        .map(|release| render(&platform, &app, release, current.as_ref()))
        .collect::<Result<_, _>>()?;
    Ok(lists::list(&headers, items))
}

/// One release, which `current` names too.
pub(crate) async fn info(
    State(platform): State<Platform>,
    Path((app, release)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let (release, current) = platform.inner.db.read(|db| {
        Ok((db::release::named(db, app.id, &release)?, db::release::current(db, app.id)?))
    })?;
    let release = release.ok_or_else(no_such_release)?;
    Ok(ok(render(&platform, &app, &release, current.as_ref())?))
}

/// The config vars that a release has.
pub(crate) async fn config_vars(
    State(platform): State<Platform>,
    Path((app, release)): Path<(String, String)>,
) -> Answer {
    let app = platform.app(&app)?;
    let release = platform.inner.db.read(|db| db::release::named(db, app.id, &release))?;
    Ok(ok(json!(release.ok_or_else(no_such_release)?.config_vars)))
}

/// Rolls back to an earlier release (`release`), or releases a slug anew (`slug`).
pub(crate) async fn create(
    State(platform): State<Platform>,
    Path(app): Path<String>,
    body: String,
) -> Answer {
    let app = platform.app(&app)?;
    let body = super::formation::object(&body)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let release = match (text("release"), text("slug")) {
        (Some(release), _) => rollback(&platform, &app, &release)?,
        (None, Some(slug)) => {
            let new = of_slug(&platform, &slug, text("description"))?;
            platform.release_in_background(&app, new)?
        }
        (None, None) => {
            return Err(ApiError::invalid("one of `slug` and `release` must be given"));
        }
    };
    let current = platform.inner.db.read(|db| db::release::current(db, app.id))?;
    Ok(super::json(StatusCode::CREATED, render(&platform, &app, &release, current.as_ref())?))
}

/// Code and config vars of an earlier release become those of a new one.
fn rollback(platform: &Platform, app: &App, to: &str) -> Result<Release, ApiError> {
    let found = platform.inner.db.read(|db| {
        let Some(release) = db::release::find(db, app.id, to)? else { return Ok(None) };
        let slug = release.slug_id.map(|id| db::slug::find(db, id)).transpose()?.flatten();
        Ok(Some((release, slug)))
    })?;
    let (release, slug) = found.ok_or_else(no_such_release)?;
    if release.status != Status::Succeeded {
        return Err(ApiError::invalid(format!(
            "v{} cannot be rolled back to: it did not succeed",
            release.version
        )));
    }
    if let Some(slug) = &slug {
        refuse_expired(
            platform,
            slug.id,
            &format!("v{} cannot be rolled back to", release.version),
        )?;
    }
    let new = NewRelease { slug, description: format!("Rollback to v{}", release.version) };
    let rolled = platform.release_in_background_with(app, new, |db| {
        let vars = with_addons_of_now(db, app, &release)?;
        db::config_var::replace(db, app.id, &vars)?;
        Ok(Ok::<_, std::convert::Infallible>(()))
    })?;
    let Ok(((), release)) = rolled;
    Ok(release)
}

/// The config vars of an earlier release, but those of add-ons as they are now: what is no longer
/// attached is not there any more, and credentials may have changed.
fn with_addons_of_now(
    db: &rusqlite::Connection,
    app: &App,
    release: &Release,
) -> rusqlite::Result<ConfigVars> {
    let mut vars = release.config_vars.clone();
    vars.retain(|name, _| !release.addon_vars.contains(name));
    for (attachment, addon) in db::add_on::attached(db, app.id)? {
        vars.extend(addon.held(&attachment.name).vars());
    }
    Ok(vars)
}

fn of_slug(
    platform: &Platform,
    slug: &str,
    description: Option<String>,
) -> Result<NewRelease, ApiError> {
    let slug = slugs::stored(platform, slug)?;
    refuse_expired(platform, slug.id, &format!("Slug {} cannot be released", slug.id))?;
    let description = description.unwrap_or_else(|| "Deploy".to_owned());
    Ok(NewRelease { slug: Some(slug), description })
}

/// Whether a slug is still kept; says why not where it is not.
fn refuse_expired(platform: &Platform, slug: uuid::Uuid, what: &str) -> Result<(), ApiError> {
    if !platform.inner.db.read(|db| db::retention::is_expired(db, slug))? {
        return Ok(());
    }
    let kept = platform.inner.config.retention.releases;
    Err(ApiError::invalid(format!(
        "{what}: its slug has expired. The slugs of an app's newest {kept} releases are kept, as \
         [store] keep_releases, keep_days and quota of slugline.toml say"
    )))
}

fn no_such_release() -> ApiError {
    ApiError::not_found("release", "Couldn't find that release.")
}

pub(super) fn render(
    platform: &Platform,
    app: &App,
    release: &Release,
    current: Option<&Release>,
) -> Result<Value, ApiError> {
    let expired = match release.slug_id {
        Some(slug) => platform.inner.db.read(|db| db::retention::is_expired(db, slug))?,
        None => false,
    };
    let version = release.version;
    let lost = platform.inner.db.read(|db| db::receipt::lost_by_release(db, app.id, version))?;
    // Only a release phase has an output.
    let has_output = platform.inner.outputs.exists(release.id);
    let succeeded = release.status == Status::Succeeded;
    let status = if succeeded && expired { "expired" } else { release.status.as_str() };
    Ok(json!({
        "addon_plan_names": release.addon_plans,
        "app": apps::reference(app),
        "artifacts": [],
        "created_at": api_time(release.created_at),
        "current": current.is_some_and(|current| current.id == release.id),
        "description": description(release),
        // Ours: whether its web dynos serve; null as long as that is not known.
        "health": release.is_healthy.map(|is| if is { "healthy" } else { "unhealthy" }),
        "eligible_for_rollback": succeeded && release.slug_id.is_some() && !expired,
        "id": release.id,
        // Ours: what its dynos wrote and lost.
        "lost": lost,
        "oci_image": null,
        "output_stream_url": has_output.then(|| platform.stream_url(release.id)),
        "slug": release.slug_id.map(|id| json!({ "id": id })),
        "status": status,
        "updated_at": api_time(release.updated_at),
        "user": account::reference_or(platform, release.user_id, app)?,
        "version": release.version,
    }))
}

/// `heroku releases` shows it, and so whether the release serves.
fn description(release: &Release) -> String {
    match release.is_healthy {
        Some(false) => format!("{} (does not get up)", release.description),
        _ => release.description.clone(),
    }
}
