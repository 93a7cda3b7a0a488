//! Your own Heroku in one binary: subcommands and their wiring.

mod client;
mod compile_command;
mod console;
mod doctor;
mod errors;
mod network;
mod progress;
mod server;
mod slugs;
mod source;
mod static_server;
mod up;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Your own Heroku in one binary
#[derive(Debug, Parser)]
#[command(version)]
struct Slugline {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build an app, run it, and show its log until Ctrl-C
    #[command(after_help = "Example:\n  slugline up examples/library")]
    Up(UpArgs),
    /// Run the server: the Platform API, the router, and the dynos of every app
    #[command(after_help = "Example:\n  slugline serve --data-dir /var/lib/slugline")]
    Serve(ServerArgs),
    /// Say whether this machine can run dynos, and what it lacks
    Doctor,
    /// Own one dyno, whose directory is given
    #[command(hide = true)]
    Supervise {
        /// The dyno's directory
        directory: PathBuf,
    },
    /// Turn a source into a tree that can be packed
    #[command(hide = true)]
    Compile(compile_command::CompileArgs),
    /// Run a script of a buildpack that comes with Slugline
    #[command(hide = true)]
    Buildpack(compile_command::BuildpackArgs),
    /// Serve a site of files, as static.json says
    #[command(hide = true)]
    Static(static_server::StaticArgs),
}

/// What `up` is asked for.
#[derive(Debug, Args)]
struct UpArgs {
    /// The app's source
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The app's name; that of the directory where it is not given
    #[arg(long, short)]
    app: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What a server is asked for.
#[derive(Debug, Clone, Args)]
struct ServerArgs {
    /// Where everything is kept; `$XDG_DATA_HOME/slugline` where it is not given
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the router listens, on loopback
    #[arg(long, env = "SLUGLINE_PORT", default_value_t = 5080)]
    port: u16,
    /// Where the Platform API listens, on loopback
    #[arg(long, env = "SLUGLINE_API_PORT", default_value_t = 5055)]
    api_port: u16,
}

fn main() {
    // Supervisors and builds are one process each, started often: no runtime for them.
    let code = match Slugline::parse().command {
        Command::Supervise { directory } => slugline_dyno::supervise(&directory),
        Command::Compile(args) => compile_command::compile_main(args),
        Command::Buildpack(args) => compile_command::buildpack_main(&args),
        Command::Static(args) => static_server::static_main(&args),
        Command::Up(args) => console::run(up::up(args)),
        Command::Serve(args) => console::run(server::serve(args)),
        Command::Doctor => doctor::doctor(),
    };
    std::process::exit(code);
}
