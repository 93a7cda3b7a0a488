//! Source to tree: what runs inside the dyno of a build.
//!
//! [`compile()`] reads like the log that it prints. The buildpacks that come with Slugline are
//! directories of scripts like anyone's; their scripts re-enter the binary at [`builtin_main`].

mod answers;
mod buildpack;
mod builtin;
mod compile;
mod difference;
mod env_dir;
mod error;
mod explain;
mod files;
#[doc(hidden)]
pub mod fuzzing;
mod heroku_yml;
mod hook;
mod hook_lint;
mod indent;
mod inspect;
mod kept;
mod leak;
mod log;
mod measure;
mod mirror;
mod network;
mod nodejs;
mod print_env;
mod process_types;
mod procfile_only;
mod program;
mod python;
mod record;
mod shell_script;
mod snapshot;
mod source;
mod static_site;
mod web_memory;

pub use buildpack::{ChooseError, FetchError, ReferenceError};
pub use builtin::builtin_main;
pub use compile::{CompileRequest, compile};
pub use error::CompileError;
pub use explain::explain;
pub use heroku_yml::HerokuYmlError;
pub use mirror::pose_as_client;
pub use network::{NETWORK_PREFIXES, NETWORK_VARIABLES, is_network_variable};
pub use print_env::{PrintEnv, print_env};
pub use process_types::ReleaseYamlError;
pub use record::Failure;
pub use source::{AppRootError, UnpackError};
