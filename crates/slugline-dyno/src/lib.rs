//! Slug to dyno: namespaces, the throw-away layer, and one small supervisor process per dyno.
//!
//! The server calls [`LocalEngine`]; it re-executes the binary as a supervisor
//! ([`supervise`]), which owns the dyno from then on, so the server may be killed and started
//! again while dynos run. The supervisor starts init, pid 1 of the dyno, which starts the command.
//! All `unsafe` of the workspace is in [`sys`].

mod command;
mod control;
mod dial;
mod discard;
mod engine;
mod filter;
mod first;
mod follow;
mod host;
mod init;
mod kept;
mod launch;
mod layers;
mod left;
mod limits;
mod lines;
mod listen;
mod network;
mod op_error;
mod pipes;
mod processes;
mod ready;
mod scan;
mod seen;
mod shape;
mod spares;
mod spool;
mod supervisor;
mod sys;
mod trees;
mod usage;
mod view;
mod walk;
mod watch;
mod writers;

pub use engine::LocalEngine;
pub use host::{closes_abstract_sockets, is_host_root};
pub use limits::{Mechanism, has_fair_disks, mechanism};
pub use network::{NetworkFacts, network_facts};
pub use supervisor::supervise;
pub use view::can_mount_slugs;
