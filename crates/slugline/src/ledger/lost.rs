//! `slugline lost`: what dynos lost when they stopped.

use clap::Args;
use serde_json::Value;
use slugline_model::build::exit_code;
use slugline_model::ledger::Receipt;
use slugline_model::size;

use super::fs::advice;
use super::tree::{Depth, lines};
use crate::builds::{App, Options};
use crate::console::say;
use crate::errors::CommandError;
use crate::slug_reading::encoded;

/// Which losses.
#[derive(Debug, Args)]
pub(crate) struct LostArgs {
    /// Only those of this release, such as v41, and of later ones
    #[arg(long)]
    since: Option<String>,
    /// Name every file that a receipt lists, and the runs that lost nothing, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    options: Options,
}

impl LostArgs {
    pub(super) async fn run(self) -> Result<i32, CommandError> {
        let app = App::of(&self.options)?;
        let since = self.since.as_deref().unwrap_or("0");
        let path = app.path(&format!("/receipts?since={}", encoded(since.as_bytes())));
        let answer = app.client.get(&path).await?;
        if self.options.json {
            say(&format!("{answer:#}"));
            return Ok(exit_code::OK);
        }
        let receipts = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let lost = |receipt: &&Value| self.all || receipt["files"].as_u64() != Some(0);
        let lost: Vec<&Value> = receipts.iter().filter(lost).collect();
        for receipt in &lost {
            say(&self.describe(receipt, &app));
            say("");
        }
        say(&total(&lost, receipts.len()));
        Ok(exit_code::OK)
    }

    fn describe(&self, receipt: &Value, app: &App) -> String {
        let text = |name: &str| receipt[name].as_str().unwrap_or_default();
        let headline = text("headline");
        let mut shown = vec![format!(
            "{} (v{}, {}): {}",
            text("name"),
            receipt["release"]["version"],
            text("created_at"),
            headline.split_once(':').map_or(headline, |(headline, _)| headline)
        )];
        if let Ok(ledger) = serde_json::from_value::<Receipt>(receipt.clone()) {
            shown.extend(lines(&ledger, if self.all { Depth::ALL } else { Depth::SHORT }));
        }
        shown.extend(advice(receipt));
        shown.extend(layer(receipt, app));
        shown.join("\n")
    }
}

/// Whether it can be had back.
fn layer(receipt: &Value, app: &App) -> Option<String> {
    let (name, layer) = (receipt["name"].as_str()?, &receipt["layer"]);
    let text = |name: &str| layer[name].as_str().unwrap_or_default();
    match text("state") {
        "kept" => Some(format!(
            "  can be restored until {}: slugline restore {name} -a {}",
            text("until"),
            app.name
        )),
        "discarded" => Some(format!(
            "  cannot be restored any more: it was discarded at {}, as {}",
            text("at"),
            text("reason")
        )),
        _ if receipt["files"].as_u64() == Some(0) => None,
        _ => Some("  cannot be restored: it was not kept".to_owned()),
    }
}

fn total(lost: &[&Value], of: usize) -> String {
    if lost.is_empty() {
        return format!("Nothing of note was lost, in {of} runs of dynos");
    }
    let sum = |name: &str| lost.iter().filter_map(|receipt| receipt[name].as_u64()).sum::<u64>();
    let kept = lost.iter().filter(|receipt| receipt["layer"]["state"] == "kept").count();
    format!(
        "{} of {of} runs lost {}, {}; {kept} of them can be restored",
        lost.len(),
        size::files(sum("files")),
        size::human(sum("bytes"))
    )
}
