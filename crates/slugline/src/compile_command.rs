//! `slugline compile` and `slugline buildpack`: the two commands that run inside a build's dyno.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use slugline_build::{CompileRequest, compile, explain};
use slugline_model::build::exit_code;
use slugline_model::limits::Limits;
use slugline_model::name::AppName;

/// Turn a source into a tree that can be packed.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The source, a `.tgz`
    #[arg(long)]
    source: PathBuf,
    /// Becomes the slug's tree
    #[arg(long)]
    build_dir: PathBuf,
    /// Kept from build to build
    #[arg(long)]
    cache_dir: PathBuf,
    /// The config vars, a file each
    #[arg(long)]
    env_dir: PathBuf,
    /// Where buildpacks are put
    #[arg(long)]
    buildpacks_dir: PathBuf,
    /// Where the slug will be when it runs
    #[arg(long, default_value = "/app")]
    app_dir: PathBuf,
    /// Where the result is written, as JSON
    #[arg(long)]
    result: PathBuf,
    /// The app's name, for messages
    #[arg(long)]
    app: AppName,
    /// The stack beneath
    #[arg(long, default_value = "host")]
    stack: String,
    /// A buildpack: heroku/python, a git URL with #ref, a .tgz URL, a directory. May be repeated
    #[arg(long = "buildpack")]
    buildpacks: Vec<String>,
    /// The most bytes that the source may have, unpacked
    #[arg(long, default_value_t = Limits::default().source)]
    source_limit: u64,
    /// The most entries that the source may have
    #[arg(long, default_value_t = Limits::default().source_entries)]
    source_entries_limit: u64,
}

/// Run a script of a buildpack that comes with Slugline.
#[derive(Debug, Args)]
pub(crate) struct BuildpackArgs {
    /// python, nodejs, static or procfile
    name: String,
    /// detect, compile, release or report
    phase: String,
    /// What the script is called with
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

/// Runs `slugline compile`; the answer is the exit code.
pub(crate) fn compile_main(args: CompileArgs) -> i32 {
    let limits = Limits {
        source: args.source_limit,
        source_entries: args.source_entries_limit,
        ..Limits::default()
    };
    let request = CompileRequest {
        app: args.app,
        stack: args.stack,
        source: args.source,
        build_dir: args.build_dir,
        cache_dir: args.cache_dir,
        env_dir: args.env_dir,
        buildpacks_dir: args.buildpacks_dir,
        app_dir: args.app_dir,
        result: args.result,
        buildpacks: args.buildpacks,
        limits,
    };
    match compile(&request) {
        Ok(_) => exit_code::OK,
        Err(error) => {
            let _ = std::io::stdout().write_all(explain(&error).gutter().as_bytes());
            error.exit_code()
        }
    }
}

/// Runs `slugline buildpack`; the answer is the exit code.
pub(crate) fn buildpack_main(args: &BuildpackArgs) -> i32 {
    slugline_build::builtin_main(&args.name, &args.phase, &args.args)
}
