//! git over HTTP: `https://localhost:5055/APP.git`. Who pushes or clones says their token as the
//! password, with any user, as `heroku git:credentials` does.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use slugline_model::access::{Area, allows};
use slugline_model::size;

use super::auth::identify;
use super::error::ApiError;
use crate::asking::Who;
use crate::db::app::App;
use crate::git::{GZIP, Service, exchange};
use crate::platform::Platform;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/{repository}/info/refs", get(refs))
        .route("/{repository}/git-receive-pack", post(receive))
        .route("/{repository}/git-upload-pack", post(upload))
}

/// An answer that git shows to whoever runs it.
type Told = Result<Response, Response>;

/// What a repository has, with which every exchange begins.
async fn refs(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Told {
    let service = query.get("service").and_then(|name| Service::named(name));
    let service = service.ok_or_else(|| {
        tell(StatusCode::FORBIDDEN, "This git is too old: git 1.6.6 and newer are served.")
    })?;
    let (_, app) = admit(&platform, &repository, &headers, service).await?;
    let mut git = run(&platform, &app, service, &headers).await?;
    git.1.args(["--http-backend-info-refs", "."]).current_dir(&git.0);
    let output = git.1.output().await.map_err(|error| no_git(&error))?;
    if !output.status.success() {
        tracing::error!(said = %String::from_utf8_lossy(&output.stderr), "a repository is broken");
        return Err(tell(StatusCode::INTERNAL_SERVER_ERROR, "The repository cannot be read."));
    }
    let mut body = Vec::new();
    if !is_version_2(service, &headers) {
        let first = format!("# service={}\n", service.as_str());
        body.extend(format!("{:04x}{first}0000", first.len() + 4).bytes());
    }
    body.extend(output.stdout);
    Ok(answer(service, "advertisement", Body::from(body)))
}

/// Takes a push. It is built before its refs change, by a hook that asks for that.
async fn receive(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Told {
    let service = Service::Receive;
    let (who, app) = admit(&platform, &repository, &headers, service).await?;
    let (directory, mut git) = run(&platform, &app, service, &headers).await?;
    let who = Arc::new(who);
    let limit = platform.inner.config.limits.repository;
    if app.repo_size.is_some_and(|bytes| bytes > limit) {
        let found = size::human(app.repo_size.unwrap_or_default());
        let told = format!(
            "The repository of {} takes {found}, and may take {}: heroku apps:destroy and create \
             begin a new one, and a shallow clone pushes less.",
            app.name,
            size::human(limit)
        );
        return Err(tell(StatusCode::INSUFFICIENT_STORAGE, &told));
    }
    let (id, name) = (app.id, platform.inner.pushes.begin(app, Arc::clone(&who)));
    let port = platform.inner.config.api_port;
    git.env("SLUGLINE_PROGRAM", &platform.inner.config.program)
        .env("SLUGLINE_PUSH", format!("http://localhost:{port}/pushes/{name}"))
        .arg(".")
        .current_dir(directory);
    let over = platform.clone();
    let ended = move || async move {
        over.inner.pushed(name, id).await;
    };
    let answered = exchange(git, body, (is_packed(&headers), true), ended);
    let answered = answered.map_err(|error| {
        platform.inner.pushes.end(name);
        no_git(&error)
    })?;
    Ok(answer(service, "result", answered))
}

async fn upload(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Told {
    let service = Service::Upload;
    let (_, app) = admit(&platform, &repository, &headers, service).await?;
    let (directory, mut git) = run(&platform, &app, service, &headers).await?;
    git.arg(".").current_dir(directory);
    let answered = exchange(git, body, (is_packed(&headers), false), || std::future::ready(()));
    Ok(answer(service, "result", answered.map_err(|error| no_git(&error))?))
}

/// Who asks, and the app whose repository it is.
pub(super) async fn admit(
    platform: &Platform,
    repository: &str,
    headers: &HeaderMap,
    service: Service,
) -> Result<(Who, App), Response> {
    let who = identify(platform, headers, false).await.map_err(|_| challenge())?;
    let name = repository.strip_suffix(".git").unwrap_or(repository);
    let missing = |_: ApiError| tell(StatusCode::NOT_FOUND, &format!("No such app as {name}."));
    let app = platform.app_for(&who, name).map_err(missing)?;
    if !allows(&who.scopes, Area::Apps, service == Service::Receive) {
        return Err(tell(StatusCode::FORBIDDEN, "This token does not allow that."));
    }
    Ok((who, app))
}

/// A run of git that still lacks its directory, and that directory.
async fn run(
    platform: &Platform,
    app: &App,
    service: Service,
    headers: &HeaderMap,
) -> Result<(std::path::PathBuf, tokio::process::Command), Response> {
    let made = platform.inner.ensure_repository(app.id).await;
    let directory = made.map_err(|error| no_git(&error))?;
    let mut git = platform.inner.git();
    if is_version_2(service, headers) {
        git.env("GIT_PROTOCOL", "version=2");
    }
    git.args([service.command(), "--stateless-rpc"]);
    Ok((directory, git))
}

/// Whether a fetch speaks the protocol's second version. Pushes know no second one.
fn is_version_2(service: Service, headers: &HeaderMap) -> bool {
    let asked = headers.get("git-protocol").and_then(|value| value.to_str().ok());
    service == Service::Upload
        && asked.is_some_and(|asked| asked.split(':').any(|part| part == "version=2"))
}

fn is_packed(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding == GZIP)
}

fn answer(service: Service, part: &str, body: Body) -> Response {
    let kind = format!("application/x-{}-{part}", service.as_str());
    ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache".to_owned())], body).into_response()
}

fn challenge() -> Response {
    let realm = [(WWW_AUTHENTICATE, "Basic realm=\"Slugline\"")];
    (realm, tell(StatusCode::UNAUTHORIZED, "Say a token as the password: heroku auth:token"))
        .into_response()
}

/// git shows plain text to whoever runs it.
fn tell(status: StatusCode, text: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], format!("{text}\n")).into_response()
}

fn no_git(error: &std::io::Error) -> Response {
    tracing::error!(%error, "git could not be run");
    if error.kind() == std::io::ErrorKind::NotFound {
        let told = "The server has no git: its operator installs it (apt-get install git).";
        return tell(StatusCode::NOT_IMPLEMENTED, told);
    }
    tell(StatusCode::INTERNAL_SERVER_ERROR, "The repository cannot be opened.")
}
