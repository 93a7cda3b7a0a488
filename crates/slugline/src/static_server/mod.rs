//! `slugline static`: serves a site of files, in a dyno whose slug holds this very program.

mod exchange;
mod files;
mod respond;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use slugline_model::static_site::StaticSite;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::console;
use files::Files;

/// How long accepting rests after it failed, for want of file descriptors mostly.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How long requests under way may take to end: less than a dyno has before it is killed.
const PATIENCE: Duration = Duration::from_secs(25);

/// What `static` is asked for.
#[derive(Debug, Args)]
pub(crate) struct StaticArgs {
    /// The app, with or without a static.json
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// What is served where there is no static.json, below the app
    #[arg(long, default_value = "public_html")]
    root: String,
    /// Where to listen, on all addresses
    #[arg(long, env = "PORT")]
    port: u16,
}

/// A site, and the files that it consists of.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) says: StaticSite,
    pub(crate) files: Files,
}

/// Runs `slugline static` until SIGTERM; the answer is the exit code.
pub(crate) fn static_main(args: &StaticArgs) -> i32 {
    let run = || -> Result<(), String> {
        let site = Arc::new(open(args)?);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(serve(site, args.port))
    };
    match run() {
        Ok(()) => 0,
        Err(why) => {
            console::complain(&format!("static: {why}"));
            1
        }
    }
}

fn open(args: &StaticArgs) -> Result<Site, String> {
    let says = match fs_err::read_to_string(args.directory.join("static.json")) {
        Ok(text) => StaticSite::parse(&text, &|name| std::env::var(name).ok())
            .map_err(|error| format!("static.json: {error}"))?,
        Err(_) => StaticSite::of_directory(&args.root),
    };
    let files = Files::open(&args.directory.join(&says.root)).map_err(|error| error.to_string())?;
    Ok(Site { says, files })
}

async fn serve(site: Arc<Site>, port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let bound = TcpListener::bind(address).await;
    let listener = bound.map_err(|error| format!("listen on port {port}: {error}"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    console::say(&format!("static: serving {} on port {port}", site.files.root().display()));
    let (close, closing) = watch::channel(false);
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    clients.spawn(exchange::converse(Arc::clone(&site), stream, peer, closing.clone()));
                }
                Err(_) => tokio::time::sleep(ACCEPT_REST).await,
            },
            Some(_) = clients.join_next() => {}
        }
    }
    drop(listener);
    close.send_replace(true);
    let all = async { while clients.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(PATIENCE, all).await;
    Ok(())
}
