//! Endpoints by subject, each with the routes of its own file.

use axum::Router;

use super::{
    account_feature, add_on, app_setup, app_webhook, buildpack, media, organisation, pipeline,
    refused, region, review_app, stack, test_run,
};
use crate::platform::Platform;

/// With a token.
pub(super) fn routes() -> Router<Platform> {
    Router::new()
        .merge(account_feature::routes())
        .merge(add_on::routes())
        .merge(app_setup::routes())
        .merge(app_webhook::routes())
        .merge(media::routes())
        .merge(organisation::routes())
        .merge(pipeline::routes())
        .merge(refused::routes())
        .merge(region::routes())
        .merge(review_app::routes())
        .merge(stack::routes())
        .merge(test_run::routes())
}

/// Without one.
pub(super) fn public_routes() -> Router<Platform> {
    Router::new().merge(buildpack::routes()).merge(refused::public_routes())
}
