//! `slugline users`: accounts, for the operator.

use http::Method;
use serde_json::{Value, json};
use slugline_model::build::exit_code;

use super::Options;
use crate::errors::CommandError;

pub(super) async fn list(options: &Options) -> Result<i32, CommandError> {
    let accounts = options.client()?.get("/accounts").await?;
    options
        .tell(&accounts, |accounts| accounts.as_array().into_iter().flatten().map(line).collect());
    Ok(exit_code::OK)
}

fn line(account: &Value) -> String {
    let text = |name: &str| account[name].as_str().unwrap_or_default();
    let role = if account["operator"] == true { " (operator)" } else { "" };
    let seen = account["last_login"].as_str().map(|time| format!(", last login {time}"));
    format!("{}{role}{}", text("email"), seen.unwrap_or_default())
}

pub(super) async fn add(
    email: &str,
    operator: bool,
    options: &Options,
) -> Result<i32, CommandError> {
    let body = json!({ "email": email, "operator": operator });
    let made = options.client()?.send(Method::POST, "/accounts", &body).await?;
    options.tell(&made, |made| told(made, "may use this server now"));
    Ok(exit_code::OK)
}

pub(super) async fn reset(email: &str, options: &Options) -> Result<i32, CommandError> {
    let body = json!({ "password": null });
    let changed = options.client()?.send(Method::PATCH, &path(email), &body).await?;
    options.tell(&changed, |changed| told(changed, "was logged out everywhere"));
    Ok(exit_code::OK)
}

fn told(account: &Value, what: &str) -> Vec<String> {
    let text = |name: &str| account[name].as_str().unwrap_or_default();
    vec![
        format!("{} {what}, by this password, which is kept nowhere:", text("email")),
        format!("    {}", text("password")),
        "They log in with: heroku login -i".to_owned(),
    ]
}

pub(super) async fn remove(email: &str, options: &Options) -> Result<i32, CommandError> {
    let removed = options.client()?.send(Method::DELETE, &path(email), &Value::Null).await?;
    options.tell(&removed, |_| vec![format!("{email} may use this server no longer.")]);
    Ok(exit_code::OK)
}

fn path(email: &str) -> String {
    format!("/accounts/{email}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_a_line_and_a_password_is_said_once() {
        let account = json!({
            "email": "ann@example.com",
            "operator": true,
            "last_login": "2026-11-23T17:00:00Z",
            "password": "sesame",
        });
        assert_eq!(line(&account), "ann@example.com (operator), last login 2026-11-23T17:00:00Z");
        assert!(!line(&account).contains("sesame"));
        assert_eq!(told(&account, "may")[1], "    sesame");
    }
}
