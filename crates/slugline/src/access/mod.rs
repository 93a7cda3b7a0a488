//! `slugline trust`, `login`, `users`, `audit`: who may use a server, and what their clients need.

mod audit;
mod netrc;
mod people;
mod trust;

use std::io::Read as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;
use slugline_model::domain::{LOCAL, api_host, server_domain};

use crate::client::Client;
use crate::console::{complain, say};
use crate::errors::CommandError;
use crate::server::data_directory_or_default;

/// The commands of access.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// Print what the stock clients of Heroku and git need to reach and trust this server
    #[command(after_help = "Example:\n  eval \"$(slugline trust)\"")]
    Trust(Options),
    /// Write a token where the stock clients look for one: into ~/.netrc
    #[command(
        after_help = "Examples:\n  slugline login\n  slugline login ann@example.com < password"
    )]
    Login {
        /// Whose; their password is read from the input. The operator, by the token of the data
        /// directory, where it is not given
        email: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// List the accounts of the server
    #[command(after_help = "Example:\n  slugline users --json")]
    Users(Options),
    /// Let somebody in; says their password, once
    #[command(name = "users:add", after_help = "Example:\n  slugline users:add ann@example.com")]
    Add {
        /// Their email
        email: String,
        /// Let them do all that the operator may
        #[arg(long)]
        operator: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Give somebody another password; says it, once
    #[command(
        name = "users:reset",
        after_help = "Example:\n  slugline users:reset ann@example.com"
    )]
    Reset {
        /// Their email
        email: String,
        #[command(flatten)]
        options: Options,
    },
    /// Show somebody out: their tokens are good for nothing from then on
    #[command(
        name = "users:remove",
        after_help = "Example:\n  slugline users:remove ann@example.com"
    )]
    Remove {
        /// Their email
        email: String,
        #[command(flatten)]
        options: Options,
    },
    /// Say who changed what, and when
    #[command(after_help = "Examples:\n  slugline audit\n  slugline audit -a library -n 50")]
    Audit(audit::AuditArgs),
    /// Answer git's question for a token
    #[command(name = "git:credentials", hide = true)]
    Credentials {
        /// What git wants: get, store or erase
        wanted: String,
        #[command(flatten)]
        options: Options,
    },
}

/// Which server.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// The server's data directory, where its token lies; else the token is `$HEROKU_API_KEY`, or
    /// what `login` wrote
    #[arg(long, env = "SLUGLINE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Where the server's Platform API listens
    #[arg(long, env = "SLUGLINE_API_PORT", default_value_t = 5055)]
    api_port: u16,
    /// The server's domain, as it was given to `serve`
    #[arg(long, env = "SLUGLINE_DOMAIN", value_parser = server_domain)]
    #[arg(default_value = LOCAL)]
    domain: String,
}

/// Runs one of the commands; gives the exit code.
pub(crate) async fn run(command: AccessCommand) -> Result<i32, CommandError> {
    let done = match command {
        AccessCommand::Trust(options) => trust::trust(&options),
        AccessCommand::Login { email, options } => login(email.as_deref(), &options).await,
        AccessCommand::Users(options) => people::list(&options).await,
        AccessCommand::Add { email, operator, options } => {
            people::add(&email, operator, &options).await
        }
        AccessCommand::Reset { email, options } => people::reset(&email, &options).await,
        AccessCommand::Remove { email, options } => people::remove(&email, &options).await,
        AccessCommand::Audit(args) => audit::audit(args).await,
        AccessCommand::Credentials { wanted, options } => credentials(&wanted, &options),
    };
    done.map_err(CommandError::of_a_client)
}

impl Options {
    fn data_dir(&self) -> Result<PathBuf, CommandError> {
        data_directory_or_default(self.data_dir.as_deref())
    }

    fn client(&self) -> Result<Client, CommandError> {
        Client::of_server(&self.data_dir()?, self.api_port)
    }

    /// As netrc and the stock command line name the server.
    fn machine(&self) -> String {
        format!("{}:{}", api_host(&self.domain), self.api_port)
    }

    /// Says lines, or the value that they were made of.
    fn tell(&self, value: &Value, lines: impl FnOnce(&Value) -> Vec<String>) {
        if self.json {
            say(&format!("{value:#}"));
        } else {
            for line in lines(value) {
                say(&line);
            }
        }
    }
}

/// Logs in, and says what else clients need.
async fn login(email: Option<&str>, options: &Options) -> Result<i32, CommandError> {
    let (email, token) = if let Some(email) = email {
        (email.to_owned(), by_password(email, options).await?)
    } else {
        let client = options.client()?;
        let account = client.get("/account").await?;
        let email = account["email"].as_str().unwrap_or_default().to_owned();
        (email, client.token().to_owned())
    };
    let path = netrc::path().ok_or(CommandError::NoDataDirectory)?;
    netrc::write(&path, &options.machine(), &email, &token)
        .map_err(|source| CommandError::Destination { path: path.clone(), source })?;
    complain(&format!("Logged in as {email}: {} knows the token now.", path.display()));
    trust::trust(options)
}

/// A token for whoever knows the password, which is read from the input.
async fn by_password(email: &str, options: &Options) -> Result<String, CommandError> {
    complain(&format!("Password of {email}:"));
    let password = read_password()
        .map_err(|source| CommandError::Source { path: PathBuf::from("/dev/stdin"), source })?;
    let client = Client::by_password(options.api_port, email, &password);
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let body = json!({
        "description": format!("slugline login from {host}"),
        "expires_in": 30 * 24 * 3_600,
        "scope": ["global"],
    });
    let made = client.send(Method::POST, "/oauth/authorizations", &body).await?;
    Ok(made["access_token"]["token"].as_str().unwrap_or_default().to_owned())
}

/// A line of the input, which a terminal does not show.
fn read_password() -> std::io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin).ok();
    if let Some(before) = &before {
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&stdin, OptionalActions::Now, &silent)?;
    }
    let mut line = String::new();
    let read = stdin.read_line(&mut line);
    if let Some(before) = &before {
        tcsetattr(&stdin, OptionalActions::Now, before)?;
    }
    read.map(|_| line.trim_end_matches(['\r', '\n']).to_owned())
}

/// Tells git the token, for this server and no other.
fn credentials(wanted: &str, options: &Options) -> Result<i32, CommandError> {
    let mut asked = String::new();
    // Without a question there is no answer.
    let _ = std::io::stdin().read_to_string(&mut asked);
    let has = |line: String| asked.lines().any(|known| known == line);
    let is_ours = has("protocol=https".to_owned()) && has(format!("host={}", options.machine()));
    if wanted == "get" && is_ours {
        let client = options.client()?;
        say(&format!("username=slugline\npassword={}", client.token()));
    }
    Ok(exit_code::OK)
}

/// The token of a server that `login` has written.
pub(crate) fn written_token(port: u16) -> Option<String> {
    let domain = std::env::var("SLUGLINE_DOMAIN").unwrap_or_else(|_| LOCAL.to_owned());
    netrc::token(&netrc::path()?, &format!("{}:{port}", api_host(&domain)))
}
