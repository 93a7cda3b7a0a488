//! git-lfs beside git: `https://localhost:5055/APP.git/info/lfs`, as its clients ask by themselves.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::Stream;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use slugline_model::access::{Area, allows};
use slugline_model::large_file::{Oid, Pointer};
use slugline_model::size;
use tokio::io::AsyncReadExt as _;

use super::git::admit;
use crate::db;
use crate::db::app::App;
use crate::git::{NotTaken, Service};
use crate::platform::Platform;

/// Files that one request may ask for; clients ask for a hundred.
const MOST: usize = 1_000;

/// A request's list of files (bytes).
const LIST: usize = 1 << 20;

/// Read at once from a file (bytes).
const BUFFER: usize = 256 * 1024;

pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .route("/{repository}/info/lfs/objects/batch", post(batch))
        .route("/{repository}/info/lfs/objects/verify", post(verify))
        .route("/{repository}/info/lfs/objects/{oid}", get(download).put(upload))
        .layer(DefaultBodyLimit::max(LIST))
}

#[derive(Deserialize)]
struct Asked {
    operation: String,
    #[serde(default)]
    transfers: Vec<String>,
    #[serde(default)]
    hash_algo: Option<String>,
    objects: Vec<Object>,
}

#[derive(Deserialize)]
struct Object {
    oid: String,
    size: u64,
}

impl Object {
    fn pointer(&self) -> Option<Pointer> {
        Some(Pointer { oid: self.oid.parse().ok()?, size: self.size })
    }
}

/// An answer that git-lfs shows to whoever runs it.
type Told = Result<Response, Response>;

/// Says of each file where it is sent to or had from, or why not.
async fn batch(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Told {
    let (who, app) = admit(&platform, &repository, &headers, Service::Upload).await?;
    let asked: Asked = serde_json::from_str(&body)
        .map_err(|error| tell(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()))?;
    let service = match asked.operation.as_str() {
        "upload" => Service::Receive,
        "download" => Service::Upload,
        _ => return Err(tell(StatusCode::UNPROCESSABLE_ENTITY, "`operation` is not known.")),
    };
    if service == Service::Receive && !allows(&who.scopes, Area::Apps, true) {
        return Err(tell(StatusCode::FORBIDDEN, "This token does not allow that."));
    }
    if asked.hash_algo.is_some_and(|name| name != "sha256") {
        return Err(tell(StatusCode::CONFLICT, "Files are known by their sha256 here."));
    }
    if !asked.transfers.is_empty() && !asked.transfers.iter().any(|name| name == "basic") {
        return Err(tell(StatusCode::UNPROCESSABLE_ENTITY, "Files are transferred as `basic`."));
    }
    if asked.objects.len() > MOST {
        return Err(tell(StatusCode::PAYLOAD_TOO_LARGE, "Ask for fewer files at a time."));
    }
    let way = Way { platform: &platform, app: &app, repository: &repository, headers: &headers };
    let mut room = platform.inner.config.limits.repository.saturating_sub(taken(&app));
    let objects = asked.objects.iter().map(|object| match service {
        Service::Receive => way.in_(object, &mut room),
        Service::Upload => way.out(object),
    });
    let objects: Vec<Value> = objects.collect();
    Ok(answer(&json!({ "transfer": "basic", "objects": objects, "hash_algo": "sha256" })))
}

fn taken(app: &App) -> u64 {
    app.repo_size.unwrap_or_default()
}

/// Between one repository and one client.
struct Way<'a> {
    platform: &'a Platform,
    app: &'a App,
    repository: &'a str,
    headers: &'a HeaderMap,
}

impl Way<'_> {
    /// How a file comes in; one that is there need not.
    fn in_(&self, object: &Object, room: &mut u64) -> Value {
        let Some(file) = object.pointer() else { return no_name(object) };
        if self.platform.inner.has_large_file(self.app.id, &file) {
            return json!({ "oid": object.oid, "size": object.size });
        }
        let limits = &self.platform.inner.config.limits;
        if file.size > limits.push {
            let most = size::human(limits.push);
            return wrong(object, 422, &format!("A file may have {most} (--push-size)."));
        }
        let Some(left) = room.checked_sub(file.size) else {
            let most = size::human(limits.repository);
            let told = format!("The repository of {} may take {most}.", self.app.name);
            return wrong(object, 507, &told);
        };
        *room = left;
        let mut verify = self.action("objects/verify");
        verify["header"]["Accept"] = KIND.into();
        let upload = self.action(&format!("objects/{}?size={}", file.oid, file.size));
        ready(object, &json!({ "upload": upload, "verify": verify }))
    }

    fn out(&self, object: &Object) -> Value {
        let Some(file) = object.pointer() else { return no_name(object) };
        if !self.platform.inner.has_large_file(self.app.id, &file) {
            return wrong(object, 404, "The file is not here: git lfs push --all heroku");
        }
        let download = self.action(&format!("objects/{}", file.oid));
        ready(object, &json!({ "download": download }))
    }

    /// Where the client goes on, as whom it is already.
    fn action(&self, rest: &str) -> Value {
        let href = self.platform.url(&format!("/{}/info/lfs/{rest}", self.repository));
        let mut action = json!({ "href": href, "header": {} });
        let who = self.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some(who) = who {
            action["header"]["Authorization"] = who.into();
        }
        action
    }
}

fn ready(object: &Object, actions: &Value) -> Value {
    json!({ "oid": object.oid, "size": object.size, "authenticated": true, "actions": actions })
}

fn no_name(object: &Object) -> Value {
    wrong(object, 422, "A file's name is its SHA-256: 64 digits of 0-9 and a-f.")
}

fn wrong(object: &Object, code: u16, message: &str) -> Value {
    let error = json!({ "code": code, "message": message });
    json!({ "oid": object.oid, "size": object.size, "error": error })
}

#[derive(Deserialize)]
struct Announced {
    size: Option<String>,
}

async fn upload(
    State(platform): State<Platform>,
    Path((repository, oid)): Path<(String, String)>,
    Query(announced): Query<Announced>,
    headers: HeaderMap,
    body: Body,
) -> Told {
    let (_, app) = admit(&platform, &repository, &headers, Service::Receive).await?;
    let size = announced.size.and_then(|size| size.parse().ok());
    let size = size.ok_or_else(|| tell(StatusCode::BAD_REQUEST, "`size` must be a number."))?;
    let object = Object { oid, size };
    let file = object.pointer().ok_or_else(|| missing(&object.oid))?;
    let limits = &platform.inner.config.limits;
    if file.size > limits.push.min(limits.repository.saturating_sub(taken(&app))) {
        return Err(tell(StatusCode::INSUFFICIENT_STORAGE, "The repository has no room for it."));
    }
    match platform.inner.take_large_file(app.id, &file, body).await {
        Ok(added) => {
            let noted = platform.inner.db.transaction(|db| db::app::grow_repo(db, app.id, added));
            if let Err(error) = noted {
                tracing::error!(?error, "a repository's size could not be written down");
            }
            Ok(StatusCode::OK.into_response())
        }
        Err(NotTaken::Other) => Err(tell(
            StatusCode::UNPROCESSABLE_ENTITY,
            "What was sent is not the file that was announced.",
        )),
        Err(NotTaken::BrokenOff) => Err(tell(StatusCode::BAD_REQUEST, "The file broke off.")),
        Err(NotTaken::Disk(error)) => {
            tracing::error!(%error, "a file of git-lfs could not be kept");
            let (status, told) = match error.kind() {
                std::io::ErrorKind::StorageFull => {
                    (StatusCode::INSUFFICIENT_STORAGE, "The server's disk is full.")
                }
                _ => (StatusCode::INTERNAL_SERVER_ERROR, "The file cannot be kept."),
            };
            Err(tell(status, told))
        }
    }
}

async fn download(
    State(platform): State<Platform>,
    Path((repository, oid)): Path<(String, String)>,
    headers: HeaderMap,
) -> Told {
    let (_, app) = admit(&platform, &repository, &headers, Service::Upload).await?;
    let oid: Oid = oid.parse().map_err(|()| missing(&oid))?;
    let file = tokio::fs::File::open(platform.inner.large_file(app.id, &oid)).await;
    let file = file.map_err(|_| missing(oid.as_str()))?;
    let length = file.metadata().await.map_err(|_| missing(oid.as_str()))?.len();
    let head = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, length.to_string()),
    ];
    Ok((head, Body::from_stream(chunks(file))).into_response())
}

fn chunks(file: tokio::fs::File) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    futures_util::stream::try_unfold(file, async |mut file| {
        let mut buffer = vec![0; BUFFER];
        let length = file.read(&mut buffer).await?;
        buffer.truncate(length);
        Ok((length > 0).then_some((buffer, file)))
    })
}

/// Whether a file that was sent is there.
async fn verify(
    State(platform): State<Platform>,
    Path(repository): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Told {
    let (_, app) = admit(&platform, &repository, &headers, Service::Receive).await?;
    let object: Option<Object> = serde_json::from_str(&body).ok();
    let file = object.as_ref().and_then(Object::pointer);
    match file.filter(|file| platform.inner.has_large_file(app.id, file)) {
        Some(_) => Ok(answer(&json!({}))),
        None => Err(missing(object.as_ref().map_or("it", |object| &object.oid))),
    }
}

/// How git-lfs's JSON is called.
const KIND: &str = "application/vnd.git-lfs+json";

fn answer(body: &Value) -> Response {
    ([(CONTENT_TYPE, KIND)], body.to_string()).into_response()
}

fn tell(status: StatusCode, message: &str) -> Response {
    let body = json!({ "message": message }).to_string();
    (status, [(CONTENT_TYPE, KIND)], body).into_response()
}

fn missing(oid: &str) -> Response {
    let shown: String = oid.chars().take(64).collect();
    tell(StatusCode::NOT_FOUND, &format!("There is no such file as {shown}."))
}
