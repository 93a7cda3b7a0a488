//! `slugline compile` and `slugline buildpack`: the two commands that run inside a build's dyno.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use slugline_build::{CompileRequest, PrintEnv, compile, explain, print_env};
use slugline_model::build::exit_code;
use slugline_model::limits::Limits;
use slugline_model::message::Message;
use slugline_model::name::AppName;

/// Turn a source into a tree that can be packed.
#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// The source, a `.tgz`
    #[arg(long, required_unless_present = "print_env")]
    source: Option<PathBuf>,
    /// Where the source is unpacked, and the slug's tree is made
    #[arg(long, required_unless_present = "print_env")]
    build_dir: Option<PathBuf>,
    /// Where the app is in its source
    #[arg(long, default_value = ".")]
    root: PathBuf,
    /// Kept from build to build
    #[arg(long, required_unless_present = "print_env")]
    cache_dir: Option<PathBuf>,
    /// What the tree was in the app's last build; buildpacks may move things out of it
    #[arg(long)]
    last_tree: Option<PathBuf>,
    /// The config vars, a file each
    #[arg(long, required_unless_present = "print_env")]
    env_dir: Option<PathBuf>,
    /// Where buildpacks are put
    #[arg(long, required_unless_present = "print_env")]
    buildpacks_dir: Option<PathBuf>,
    /// Where the slug will be when it runs
    #[arg(long, default_value = "/app")]
    app_dir: PathBuf,
    /// Where the result is written, as JSON
    #[arg(long, required_unless_present = "print_env")]
    result: Option<PathBuf>,
    /// The app's name, for messages
    #[arg(long, required_unless_present = "print_env")]
    app: Option<AppName>,
    /// The stack beneath
    #[arg(long, default_value = "host")]
    stack: String,
    /// Which of Heroku's stacks buildpacks are told that it is
    #[arg(long)]
    announced_stack: Option<String>,
    /// Run `bin/test-compile` of buildpacks that have it, as on Heroku CI
    #[arg(long)]
    test: bool,
    /// A buildpack: heroku/python, a git URL with #ref, a .tgz URL, a directory. May be repeated
    #[arg(long = "buildpack")]
    buildpacks: Vec<String>,
    /// Print the environment of buildpacks' scripts and of hooks, and build nothing. Config vars are
    /// read from `--env-dir`, and only `values` shows what they hold
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "names", require_equals = true)]
    print_env: Option<Shown>,
    /// The most bytes that the source may have, unpacked
    #[arg(long, default_value_t = Limits::default().source)]
    source_limit: u64,
    /// The most entries that the source may have
    #[arg(long, default_value_t = Limits::default().source_entries)]
    source_entries_limit: u64,
}

/// What is shown of config vars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Their names
    Names,
    /// Their values too
    Values,
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
    if let Some(shown) = args.print_env {
        return print_env_main(args, shown);
    }
    let Some(app) = args.app else { return exit_code::INTERNAL };
    let limits = Limits {
        source: args.source_limit,
        source_entries: args.source_entries_limit,
        ..Limits::default()
    };
    let request = CompileRequest {
        app,
        stack: args.stack,
        announced_stack: args.announced_stack,
        source: args.source.unwrap_or_default(),
        build_dir: args.build_dir.unwrap_or_default(),
        root: args.root,
        cache_dir: args.cache_dir.unwrap_or_default(),
        last_tree: args.last_tree,
        env_dir: args.env_dir.unwrap_or_default(),
        buildpacks_dir: args.buildpacks_dir.unwrap_or_default(),
        app_dir: args.app_dir,
        result: args.result.unwrap_or_default(),
        buildpacks: args.buildpacks,
        test: args.test,
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

/// Runs `slugline compile --print-env`; the directories are those of a dyno where none are given.
fn print_env_main(args: CompileArgs, shown: Shown) -> i32 {
    let place = |given: Option<PathBuf>, usual: &str| given.unwrap_or_else(|| usual.into());
    let printed = print_env(&PrintEnv {
        build_dir: place(args.build_dir, "/tmp/build_01234567"),
        cache_dir: place(args.cache_dir, "/tmp/codon/tmp/cache"),
        env_dir: place(args.env_dir, "/tmp/env"),
        app_dir: args.app_dir,
        stack: args.stack,
        values: shown == Shown::Values,
    });
    match printed {
        Ok(()) => exit_code::OK,
        Err(error) => {
            crate::console::complain(&cannot_print_env(&error).plain());
            exit_code::INTERNAL
        }
    }
}

fn cannot_print_env(error: &std::io::Error) -> Message {
    Message {
        what: "cannot print the environment of hooks".to_owned(),
        found: error.to_string(),
        allowed: "The ENV_DIR must be a directory with a file for each config var.".to_owned(),
        next: "slugline compile --print-env --env-dir DIRECTORY".to_owned(),
        state: "Nothing was built.".to_owned(),
    }
}

/// Runs `slugline buildpack`; the answer is the exit code.
pub(crate) fn buildpack_main(args: &BuildpackArgs) -> i32 {
    slugline_build::builtin_main(&args.name, &args.phase, &args.args)
}
