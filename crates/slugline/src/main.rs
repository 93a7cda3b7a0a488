//! Your own Heroku in one binary: subcommands and their wiring.

mod access;
mod acme_settings;
mod addon_settings;
mod backup;
mod bake;
mod bucket;
mod builds;
mod ci;
mod client;
mod compile_command;
mod configuration;
mod conformance;
mod console;
mod doctor;
mod dyno_plan;
mod dyno_settings;
mod errors;
mod layer_settings;
mod ledger;
mod limit_args;
mod listeners;
mod manual;
mod network;
mod objects;
mod outgoing;
mod outputs_away;
mod progress;
mod prove;
mod push_hook;
mod push_source;
mod server;
mod slug_exchange;
mod slug_reading;
mod slugs;
mod source;
mod source_doctor;
mod static_server;
mod storage;
mod store_care;
mod top;
mod up;
mod upgrade;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use slugline_model::domain::{LOCAL, server_domain};

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
    /// Show what every dyno uses: processors, memory, disk, network
    #[command(after_help = "Examples:\n  slugline top\n  slugline top --once --sort memory")]
    Top(top::TopArgs),
    /// Say whether this machine can run dynos, or what in a source is known to lose files
    #[command(after_help = "Examples:\n  slugline doctor\n  slugline doctor examples/library")]
    Doctor(source_doctor::DoctorArgs),
    /// Make a release of the current slug and of files as they are in a dyno: a stopgap
    #[command(after_help = "Example:\n  slugline bake web.1 static/CACHE -a library")]
    Bake(bake::BakeArgs),
    /// Hold what Slugline does against what others publish
    #[command(subcommand)]
    Conformance(conformance::Conformance),
    #[command(flatten)]
    Access(access::AccessCommand),
    #[command(flatten)]
    Backup(backup::BackupCommand),
    #[command(flatten)]
    Dyno(dyno_plan::DynoCommand),
    #[command(flatten)]
    Builds(builds::BuildsCommand),
    #[command(flatten)]
    Ci(ci::CiCommand),
    #[command(flatten)]
    Ledger(ledger::LedgerCommand),
    #[command(flatten)]
    Prove(prove::ProveCommand),
    #[command(flatten)]
    SlugExchange(slug_exchange::SlugExchangeCommand),
    #[command(flatten)]
    SlugReading(slug_reading::SlugReadingCommand),
    #[command(flatten)]
    Storage(storage::StorageCommand),
    #[command(flatten)]
    StoreCare(store_care::StoreCareCommand),
    #[command(flatten)]
    Manual(manual::ManualCommand),
    /// Own one dyno, whose directory is given
    #[command(hide = true)]
    Supervise {
        /// The dyno's directory
        directory: PathBuf,
    },
    /// Judge and build a push, as git's hook
    #[command(hide = true)]
    GitPreReceive,
    /// Turn a source into a tree that can be packed
    #[command(hide = true)]
    Compile(Box<compile_command::CompileArgs>),
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
    /// Where the app is in the source, if not at its top. What lies beside it is there in the build
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// What a server is asked for.
#[derive(Debug, Clone, Args)]
struct ServerArgs {
    /// Where everything is kept; `$XDG_DATA_HOME/slugline` where it is not given
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// What the operator decides, a TOML file; `slugline.toml` in the data directory where it is
    /// not given and there is one
    #[arg(long, env = "SLUGLINE_CONFIG")]
    config: Option<PathBuf>,
    /// What the names of apps end with: `library.DOMAIN`, and the API is `api.DOMAIN`. The DNS must
    /// lead both here
    #[arg(long, env = "SLUGLINE_DOMAIN", value_parser = server_domain)]
    #[arg(default_value = LOCAL)]
    domain: String,
    /// The address that the router and the API listen on. Beyond this machine the API speaks TLS alone
    #[arg(long, env = "SLUGLINE_BIND", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Where the router listens
    #[arg(long, env = "SLUGLINE_PORT", default_value_t = 5080)]
    port: u16,
    /// A second port of the router: 443 beside 80. Each of them speaks HTTP and TLS
    #[arg(long, env = "SLUGLINE_TLS_PORT")]
    tls_port: Option<u16>,
    /// Where the Platform API listens: git, streams and `heroku run` come there too, each
    /// plain or by TLS
    #[arg(long, env = "SLUGLINE_API_PORT", default_value_t = 5055)]
    api_port: u16,
    /// Where the embedded S3 server listens, on loopback; 5057, or any port where that is taken, where
    /// it is not given. Apps and browsers reach it through the router
    #[arg(long, env = "SLUGLINE_S3_PORT")]
    s3_port: Option<u16>,
    /// Write each dyno's load and memory into its app's log every 20 s, as Heroku's
    /// log-runtime-metrics does
    #[arg(long, env = "SLUGLINE_RUNTIME_METRICS")]
    runtime_metrics: bool,
    #[command(flatten)]
    limits: limit_args::LimitArgs,
}

fn main() {
    // In a build with mirrors this binary also stands where curl, wget and git do.
    if let Some(code) = slugline_build::pose_as_client(std::env::args_os()) {
        std::process::exit(code);
    }
    // Supervisors and builds are one process each, started often: no runtime for them.
    let code = match Slugline::parse().command {
        Command::Supervise { directory } => slugline_dyno::supervise(&directory),
        Command::Compile(args) => compile_command::compile_main(*args),
        Command::Buildpack(args) => compile_command::buildpack_main(&args),
        Command::GitPreReceive => push_hook::pre_receive(),
        Command::Static(args) => static_server::static_main(&args),
        Command::Up(args) => console::run(up::up(args)),
        Command::Serve(args) => {
            let wishes = upgrade::EarlyWishes::take();
            console::run_and_then(server::serve(args, wishes), upgrade::and_then)
        }
        Command::Conformance(args) => console::run(conformance::conformance(args)),
        Command::Backup(command) => console::run(backup::run(command)),
        Command::Bake(args) => console::run(bake::bake(args)),
        Command::Access(command) => console::run(access::run(command)),
        Command::Manual(command) => console::run(async { manual::run(command) }),
        Command::Dyno(command) => console::run(dyno_plan::run(command)),
        Command::Builds(command) => console::run(builds::run(command)),
        Command::Ci(command) => console::run(ci::run(command)),
        Command::Ledger(command) => console::run(ledger::run(command)),
        Command::Prove(command) => console::run(prove::run(command)),
        Command::SlugExchange(command) => console::run(slug_exchange::run(command)),
        Command::SlugReading(command) => console::run(slug_reading::run(command)),
        Command::Storage(command) => console::run(storage::run(command)),
        Command::StoreCare(command) => console::run(store_care::run(command)),
        Command::Top(args) => console::run(top::top(args)),
        Command::Doctor(args) => source_doctor::doctor(&args),
    };
    std::process::exit(code);
}
