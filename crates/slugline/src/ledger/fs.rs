//! `slugline fs`: what dynos have written since they booted.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use slugline_model::advice::Advice;
use slugline_model::build::exit_code;
use slugline_model::ledger::Receipt;
use slugline_model::size;

use super::tree::{Depth, lines};
use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;
use crate::server::End;
use crate::slug_reading::encoded;

/// Which ledger.
#[derive(Debug, Args)]
pub(crate) struct FsArgs {
    /// The dyno, such as web.1; all of the app's where it is not given
    dyno: Option<String>,
    /// Show it anew until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Seconds from one look to the next
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// Show every file that is listed, and not only the biggest of each directory
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    options: Options,
}

/// Takes a terminal's cursor home, and what is below it away.
const ANEW: &str = "\x1b[H\x1b[J";

impl FsArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        if !self.watch {
            say(&self.look(&app).await?);
            return Ok(exit_code::OK);
        }
        let mut end = End::new()?;
        let anew = if std::io::stdout().is_terminal() { ANEW } else { "" };
        loop {
            let shown = self.look(&app).await?;
            say(&format!("{anew}{shown}"));
            tokio::select! {
                () = end.wait() => return Ok(exit_code::OK),
                () = tokio::time::sleep(Duration::from_secs(self.interval)) => {}
            }
        }
    }

    async fn look(&self, app: &App) -> Result<String, CommandError> {
        let path = match &self.dyno {
            Some(dyno) => format!("/dynos/{}/files", encoded(dyno.as_bytes())),
            None => "/files".to_owned(),
        };
        let answer = app.client.get(&app.path(&path)).await?;
        if self.options.json {
            // One look a line where they follow each other.
            return Ok(if self.watch { answer.to_string() } else { format!("{answer:#}") });
        }
        let depth = if self.all { Depth::ALL } else { Depth::SHORT };
        let dynos = match &answer {
            Value::Array(dynos) => dynos.as_slice(),
            one => std::slice::from_ref(one),
        };
        if dynos.is_empty() {
            return Ok(format!(
                "No dyno of {} runs now; slugline lost -a {0} shows what stopped ones lost",
                app.name
            ));
        }
        let shown: Vec<String> = dynos.iter().map(|dyno| describe(dyno, depth)).collect();
        Ok(shown.join("\n\n"))
    }
}

/// A dyno's ledger for people.
fn describe(dyno: &Value, depth: Depth) -> String {
    let text = |name: &str| dyno[name].as_str().unwrap_or_default();
    let Ok(ledger) = serde_json::from_value::<Receipt>(dyno.clone()) else {
        return format!("{dyno:#}");
    };
    let mut shown = vec![format!(
        "{} (v{}, {} since {}): {}",
        text("dyno"),
        dyno["release"]["version"],
        text("state"),
        text("started_at"),
        summary(&ledger)
    )];
    shown.extend(lines(&ledger, depth));
    shown.extend(noise(&ledger));
    shown.extend(advice(dyno));
    shown.join("\n")
}

fn summary(ledger: &Receipt) -> String {
    match ledger.content.files {
        0 => "nothing that a restart would lose".to_owned(),
        files => format!(
            "{}, {}, that go when it stops",
            size::files(files),
            size::human(ledger.content.bytes)
        ),
    }
}

/// What to do about it, a line for each class.
pub(super) fn advice(shown: &Value) -> Vec<String> {
    let classes = shown["advice"].as_object().into_iter().flatten();
    let line = |(class, advice): (&String, &Value)| {
        let advice: Advice = serde_json::from_value(advice.clone()).ok()?;
        Some(format!("  {class}: {advice}"))
    };
    classes.filter_map(line).collect()
}

/// What nobody misses.
fn noise(ledger: &Receipt) -> Option<String> {
    let (files, bytes) = (ledger.noise.files, ledger.noise.bytes);
    (files > 0).then(|| {
        format!(
            "{:>8}  {:<19}  of caches and temporary data",
            size::human(bytes),
            size::files(files)
        )
    })
}
