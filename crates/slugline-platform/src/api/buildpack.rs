//! Buildpacks by name, as Heroku's registry tells them: its client looks a name up before it sets
//! it (`HEROKU_BUILDPACK_REGISTRY_URL`).

use axum::extract::Path;
use serde_json::json;

use super::error::ApiError;
use super::{Answer, ok};

/// What clients set instead of the name stands for the name: the build knows what it means.
pub(crate) async fn info(Path(name): Path<String>) -> Answer {
    let no_such_buildpack = || ApiError::not_found("buildpack", "Couldn't find that buildpack.");
    let name = crate::buildpacks::reference(&name).map_err(|_| no_such_buildpack())?;
    let (namespace, short) = name.split_once('/').ok_or_else(no_such_buildpack)?;
    Ok(ok(json!({
        "blob_url": format!("urn:buildpack:{name}"),
        "full_name": name,
        "name": short,
        "namespace": namespace,
        "two_factor_authentication": false,
    })))
}
