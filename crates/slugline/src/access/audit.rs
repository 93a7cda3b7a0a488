//! `slugline audit`: who changed what.

use clap::Args;
use serde_json::Value;
use slugline_model::build::exit_code;

use super::Options;
use crate::errors::CommandError;

/// Whose changes, and how many.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Of this app; of everything, for the operator, where it is not given
    #[arg(long, short)]
    app: Option<String>,
    /// How many of the newest
    #[arg(long, short, default_value_t = 200, value_name = "NUMBER")]
    number: u32,
    #[command(flatten)]
    options: Options,
}

pub(super) async fn audit(args: AuditArgs) -> Result<i32, CommandError> {
    let AuditArgs { app, number, options } = args;
    let of_app = app.map(|app| format!("/apps/{app}")).unwrap_or_default();
    let events = options.client()?.get(&format!("{of_app}/audit?max={number}")).await?;
    options.tell(&events, |events| events.as_array().into_iter().flatten().map(line).collect());
    Ok(exit_code::OK)
}

/// When, who, what, what was answered, and by which request.
fn line(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let app = event["app"]["name"].as_str().map(|app| format!(" [{app}]")).unwrap_or_default();
    let status = event["status"].as_u64().map_or("no answer".to_owned(), |code| code.to_string());
    format!(
        "{} {}{app}: {} ({status}, request {})",
        text(&event["created_at"]),
        text(&event["user"]["email"]),
        text(&event["action"]),
        text(&event["request_id"]),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let event = json!({
            "action": "PATCH /apps/owl/config-vars",
            "app": { "name": "owl" },
            "created_at": "2026-11-23T17:00:00+00:00",
            "request_id": "12",
            "status": 200,
            "user": { "email": "ann@example.com" },
        });
        assert_eq!(
            line(&event),
            "2026-11-23T17:00:00+00:00 ann@example.com [owl]: PATCH /apps/owl/config-vars (200, \
             request 12)"
        );
        assert!(line(&json!({ "status": null })).contains("no answer"));
    }
}
