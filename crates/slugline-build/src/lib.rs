//! Source to tree: what runs inside the dyno of a build.
//!
//! [`compile()`] reads like the log that it prints. The buildpacks that come with Slugline are
//! directories of scripts like anyone's; their scripts re-enter the binary at [`builtin_main`].

mod buildpack;
mod builtin;
mod compile;
mod env_dir;
mod error;
mod explain;
mod files;
mod hook;
mod indent;
mod log;
mod measure;
mod mirror;
mod network;
mod nodejs;
mod process_types;
mod program;
mod python;
mod record;
mod source;

pub use buildpack::{ChooseError, FetchError, ReferenceError};
pub use builtin::builtin_main;
pub use compile::{CompileRequest, compile};
pub use error::CompileError;
pub use explain::explain;
pub use mirror::pose_as_client;
pub use network::{NETWORK_PREFIXES, NETWORK_VARIABLES, is_network_variable};
pub use process_types::ReleaseYamlError;
pub use record::Failure;
pub use source::UnpackError;
