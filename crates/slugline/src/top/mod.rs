//! `slugline top`: what every dyno uses, live.

mod keys;
mod rows;
mod table;

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use slugline_model::build::exit_code;

use crate::client::{Client, OfServer};
use crate::console::say;
use crate::errors::CommandError;
use crate::server::End;
use keys::Keys;
use rows::{Order, Usages};
use table::Look;

/// Two looks of a single table: rates are of the time between them.
const BETWEEN: Duration = Duration::from_secs(1);

/// What a terminal of unknown size is taken for (characters).
const WIDTH: usize = 100;
const HEIGHT: usize = 40;

/// What `top` is asked for.
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Print one table and end, as without a terminal
    #[arg(long)]
    once: bool,
    /// Print one look as JSON and end
    #[arg(long)]
    json: bool,
    /// Which come first
    #[arg(long, value_enum, default_value_t = Order::Cpu)]
    sort: Order,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    #[command(flatten)]
    server: OfServer,
}

/// Shows what dynos use, until told to end.
pub(crate) async fn top(args: TopArgs) -> Result<i32, CommandError> {
    let done = args.run().await;
    done.map_err(CommandError::of_a_client)
}

impl TopArgs {
    async fn run(&self) -> Result<i32, CommandError> {
        let client = self.server.client()?;
        // The first look makes the second one's rates.
        client.get(USAGE).await?;
        if self.json || self.once || !std::io::stdout().is_terminal() {
            tokio::time::sleep(BETWEEN).await;
            let found = client.get(USAGE).await?;
            self.print(&found);
            return Ok(exit_code::OK);
        }
        self.show(&client).await
    }

    fn print(&self, found: &Value) {
        if self.json {
            return say(&format!("{found:#}"));
        }
        let look = Look { width: WIDTH, height: usize::MAX, colour: false };
        say(&table::render(&Usages::read(found, self.sort), self.sort, look).join("\n"));
    }

    /// Draws the table anew until it is told to end. What was on the terminal before comes back.
    async fn show(&self, client: &Client) -> Result<i32, CommandError> {
        let mut end = End::new()?;
        let (mut keys, mut order) = (Keys::take(), self.sort);
        let mut beat = tokio::time::interval(Duration::from_secs(self.interval));
        let mut found = Value::Null;
        loop {
            tokio::select! {
                () = end.wait() => break,
                key = keys.next() => match key {
                    Some(b'q') => break,
                    Some(key) => order = Order::of_key(key).unwrap_or(order),
                    None => {}
                },
                _ = beat.tick() => found = client.get(USAGE).await?,
            }
            let lines = table::render(&Usages::read(&found, order), order, look());
            let mut out = std::io::stdout().lock();
            // Home, each line to its end, and nothing below.
            let _ = write!(out, "\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"));
            let _ = out.flush();
        }
        Ok(exit_code::OK)
    }
}

const USAGE: &str = "/dynos/usage";

/// How the table can be drawn on this terminal.
fn look() -> Look {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    let known = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Look {
        width: known.map_or(WIDTH, |size| size.ws_col.into()),
        height: known.map_or(HEIGHT, |size| size.ws_row.into()),
        colour: !no_colour,
    }
}
