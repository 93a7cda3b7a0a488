//! Heroku's Platform API v3: the one control surface. One file per resource, named as Heroku
//! names it.
//!
//! Streams, sources, the archives of slugs and log sessions are capabilities: their URLs are unguessable and need no
//! token. Everything else does.

mod access;
mod account;
mod account_feature;
mod acm;
mod add_on;
mod add_on_attachment;
mod add_on_move;
mod add_on_service;
mod advice;
mod app;
mod app_feature;
mod app_setup;
mod app_transfer;
mod app_webhook;
mod audit;
mod auth;
mod bake;
mod build;
mod buildpack;
mod buildpack_installation;
mod collaborator;
mod config_var;
mod cron;
mod domain;
mod dyno;
mod dyno_size;
mod envelope;
mod error;
mod formation;
mod further;
mod generation;
mod git;
mod git_lfs;
mod key;
mod ledger;
mod list;
mod log_drain;
mod log_session;
mod media;
mod metrics;
mod named_id;
mod oauth_authorization;
mod oauth_client;
mod organisation;
mod people;
mod pipeline;
mod pipeline_coupling;
mod pipeline_promotion;
mod prove;
mod push;
mod receipt;
mod refused;
mod region;
mod release;
mod review_app;
mod run;
mod schema;
mod slug;
mod slug_blob;
mod slug_image;
mod slug_reading;
mod sni_endpoint;
mod source;
mod stack;
mod store;
mod stream;
mod test_run;
mod told;

use axum::Router;
use axum::middleware;
use axum::routing::{delete, get, post};
use http::StatusCode;

use crate::asking;
use crate::db::app::App;
use crate::platform::Platform;
use crate::unread;
use error::ApiError;

pub(crate) use app::destroy;
pub(crate) use app_feature::RUNTIME_METRICS;
pub(crate) use told::actor;

/// What a handler answers.
type Answer = Result<axum::response::Response, ApiError>;

impl Platform {
    /// The API as an HTTP service.
    pub fn api(&self) -> Router {
        let with_token = Router::new()
            .route("/apps", get(app::list).post(app::create))
            .route("/users/{user}/apps", get(app::of_user))
            .route("/apps/{app}", get(app::info).patch(app::update).delete(app::delete))
            .route("/apps/{app}/acm", post(acm::enable).delete(acm::disable).patch(acm::refresh))
            .route("/apps/{app}/builds", get(build::list).post(build::create))
            .route("/apps/{app}/build-cache", get(build::cache).delete(build::delete_cache))
            .route("/apps/{app}/builds/{build}", get(build::info).delete(build::cancel))
            .route("/apps/{app}/builds/{build}/actions/replay", post(build::replay))
            .route("/apps/{app}/builds/{build}/result", get(build::result))
            .route(
                "/apps/{app}/buildpack-installations",
                get(buildpack_installation::list).put(buildpack_installation::update),
            )
            .route("/apps/{app}/config-vars", get(config_var::info).patch(config_var::update))
            .route("/apps/{app}/cron", get(cron::list))
            .route("/apps/{app}/dynos", get(dyno::list).post(run::create).delete(dyno::restart_all))
            .route(
                "/apps/{app}/dynos/{dyno}",
                get(dyno::info).post(run::inside).delete(dyno::restart),
            )
            .route("/apps/{app}/dynos/{dyno}/actions/stop", post(dyno::stop))
            .route("/apps/{app}/dynos/{dyno}/plan", get(dyno::plan))
            .route("/apps/{app}/dynos/{dyno}/bake", post(bake::create))
            .route("/apps/{app}/dynos/{dyno}/advice", get(advice::of_dyno))
            .route("/apps/{app}/formations/{type}", delete(dyno::restart_type))
            .route("/apps/{app}/formations/{type}/actions/stop", post(dyno::stop_type))
            .route("/apps/{app}/available-dyno-sizes", get(dyno_size::available))
            .route("/apps/{app}/features", get(app_feature::list))
            .route(
                "/apps/{app}/features/{feature}",
                get(app_feature::info).patch(app_feature::update),
            )
            .route("/apps/{app}/formation", get(formation::list).patch(formation::batch_update))
            .route("/apps/{app}/formation/{type}", get(formation::info).patch(formation::update))
            .route("/apps/{app}/domains", get(domain::list).post(domain::create))
            .route(
                "/apps/{app}/domains/{domain}",
                get(domain::info).patch(domain::update).delete(domain::delete),
            )
            .route("/apps/{app}/log-drains", get(log_drain::list).post(log_drain::create))
            .route("/apps/{app}/log-drains/{drain}", get(log_drain::info).delete(log_drain::delete))
            .route("/apps/{app}/log-sessions", post(log_session::create))
            .route("/apps/{app}/prove", get(prove::info).post(prove::create).patch(prove::update))
            .route("/apps/{app}/receipts", get(receipt::list))
            .route("/apps/{app}/receipts/{receipt}", get(receipt::info))
            .route("/apps/{app}/receipts/{receipt}/files", get(receipt::files))
            .route("/apps/{app}/files", get(ledger::of_app))
            .route("/apps/{app}/dynos/{dyno}/files", get(ledger::of_dyno))
            .route("/apps/{app}/dynos/{dyno}/archive", get(ledger::files))
            .route("/apps/{app}/ephemeral", get(ledger::mode).patch(ledger::set_mode))
            .route("/apps/{app}/releases", get(release::list).post(release::create))
            .route("/apps/{app}/releases/{release}", get(release::info))
            .route("/apps/{app}/releases/{release}/proof", get(prove::of_release))
            .route("/apps/{app}/releases/{release}/config-vars", get(release::config_vars))
            .route("/apps/{app}/sources", post(source::create_for_app))
            .route("/apps/{app}/slugs", post(slug::create))
            .route("/apps/{app}/slugs/{slug}", get(slug::info))
            .route("/apps/{app}/slugs/{slug}/image", get(slug_image::image))
            .route("/apps/{app}/slugs/{slug}/actions/push", post(slug_image::push))
            .route("/apps/{app}/slugs/actions/pull", post(slug_image::pull))
            .route("/apps/{app}/slugs/{slug}/tree", get(slug_reading::tree))
            .route("/apps/{app}/slugs/{slug}/diff", get(slug_reading::diff))
            .route("/apps/{app}/slugs/{slug}/files/{*path}", get(slug_reading::file))
            .route("/apps/{app}/slugs/{slug}/files", get(slug_reading::file))
            .route("/apps/{app}/slugs/{slug}/files/", get(slug_reading::file))
            .route("/apps/{app}/slugs/{slug}/sbom", get(slug_reading::sbom))
            .route("/apps/{app}/slugs/{slug}/provenance", get(slug_reading::provenance))
            .route("/apps/{app}/slugs/{slug}/actions/verify", post(slug_reading::verify))
            .route("/dynos/usage", get(metrics::usage))
            .route("/metrics", get(metrics::prometheus))
            .route("/dyno-sizes", get(dyno_size::list))
            .route("/dyno-sizes/{size}", get(dyno_size::info))
            .route("/store", get(store::usage))
            .route("/store/actions/gc", post(store::collect))
            .route("/store/actions/fsck", post(store::fsck))
            .route("/sources", post(source::create))
            .merge(access::routes())
            .merge(sni_endpoint::routes())
            .merge(further::routes())
            .route_layer(middleware::from_fn_with_state(self.clone(), auth::gate));
        Router::new()
            .merge(with_token)
            .merge(further::public_routes())
            .merge(schema::routes())
            .route("/slugs/{slug}", get(slug_blob::download).put(slug_blob::upload))
            .route("/sources/{source}", get(source::download).put(source::upload))
            .route("/streams/{output}", get(stream::output))
            .route("/log-streams/{session}", get(log_session::stream))
            .fallback(async || ApiError::not_found("endpoint", "Couldn't find that endpoint."))
            .layer(middleware::from_fn(envelope::wrap))
            // git's clients read neither tags nor JSON.
            .merge(git::routes())
            .merge(git_lfs::routes())
            .merge(push::routes())
            .layer(middleware::from_fn(asking::note_base))
            .layer(middleware::map_request(unread::read_to_its_end))
            .with_state(self.clone())
    }

    /// Where an output is read. Whoever knows the URL may.
    fn stream_url(&self, output: uuid::Uuid) -> String {
        self.url(&format!("/streams/{output}"))
    }

    /// The app that a path or a body names, by name or id: one that who asks may see.
    fn app(&self, name_or_id: &str) -> Result<App, ApiError> {
        self.app_for(&*account::asker()?, name_or_id)
    }
}

/// Whether who asks may see what belongs to an app.
fn is_seen(platform: &Platform, app: uuid::Uuid) -> bool {
    platform.app(&app.to_string()).is_ok()
}

fn json(status: StatusCode, body: serde_json::Value) -> axum::response::Response {
    axum::response::IntoResponse::into_response((status, axum::Json(body)))
}

fn ok(body: serde_json::Value) -> axum::response::Response {
    json(StatusCode::OK, body)
}
