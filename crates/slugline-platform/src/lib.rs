//! State, Platform API and the reconcile loop.
//!
//! [`Platform::start`] observes what an earlier server left, then keeps what runs equal to what is
//! wanted; [`Platform::api`] is the one control surface, Heroku's Platform API v3.

mod addons;
mod api;
mod apt;
mod bake;
mod bridge;
mod build_failure;
mod buildpacks;
mod builds;
mod cache;
mod cancel;
mod clock;
mod compile_dyno;
mod crashes;
mod cron;
mod db;
mod drains;
mod dynos;
mod elsewhere;
mod events;
mod excess;
mod health;
mod inputs;
mod layers;
mod left_builds;
mod locales;
mod lost_files;
mod metrics;
mod mirrors;
mod one_off;
mod outputs;
mod over;
mod pins;
mod platform;
mod ports;
mod promotions;
mod prove;
mod reconcile;
mod releases;
mod rename;
mod rendezvous;
mod retire;
mod routes;
mod runs;
mod setups;
mod slug_reading;
mod sources;
mod split;
mod store_care;
mod store_check;
mod tls;
mod turns;
mod webhooks;
mod workspace;

pub use addons::{Declared, DeclaredPlan};
pub use db::copy_database;
pub use drains::{DrainOrder, DrainSender};
pub use platform::{Config, LogQuery, LogSessions, Platform, Ports, StartError};
pub use store_check::Offline;
pub use tls::acme::Acme;
pub use webhooks::{WebhookRequest, WebhookSender};
