//! Slugline's vocabulary and every decision, in the order of the flow.
//!
//! This crate does no I/O, reads no clock and has no async runtime: parsers take `&str`, decisions
//! take values and return values. Every other crate depends on it, and on no sibling.

pub mod name;
pub mod procfile;
pub mod slugignore;
pub mod tar_extended;

pub mod access;
pub mod acm;
pub mod addon;
pub mod advice;
pub mod app_json;
pub mod app_setup;
pub mod bake;
pub mod bridge;
pub mod build;
pub mod care;
pub mod carry;
pub mod config_vars;
pub mod cron;
pub mod cycle;
pub mod domain;
pub mod drain;
pub mod dyno;
pub mod exchange;
pub mod kept;
pub mod large_file;
pub mod launch_plan;
pub mod layer;
pub mod ledger;
pub mod listing;
pub mod media;
pub mod mirror;
pub mod neighbours;
pub mod network;
pub mod outbound;
pub mod parts;
pub mod pipeline;
pub mod prove;
pub mod provenance;
pub mod push;
pub mod range;
pub mod resources;
pub mod retention;
pub mod sandbox;
pub mod sbom;
pub mod slug;
pub mod source_check;
pub mod stack;
pub mod static_site;
pub mod submodule;
pub mod test_run;
pub mod usage;
pub mod webhook;

pub mod code;
pub mod limits;
pub mod logline;
pub mod message;
pub mod plan;
pub mod port;
pub mod route;
pub mod size;
