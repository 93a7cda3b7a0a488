//! Tables `app_webhook`, `app_webhook_event` and `app_webhook_delivery`.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;
use slugline_model::webhook::{Level, WebhookUrl};
use uuid::Uuid;

use super::{from_json, parsed, to_json};

/// Whom something is told to.
#[derive(Debug, Clone)]
pub(crate) struct Webhook {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) url: WebhookUrl,
    pub(crate) include: Vec<String>,
    pub(crate) level: Level,
    /// What requests are signed with.
    pub(crate) secret: String,
    pub(crate) authorization: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

/// Something that has happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) id: Uuid,
    pub(crate) app_id: Uuid,
    pub(crate) include: String,
    pub(crate) payload: Value,
    pub(crate) created_at: i64,
}

/// An event on its way to a webhook.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) id: Uuid,
    pub(crate) webhook_id: Uuid,
    pub(crate) event_id: Uuid,
    /// `pending`, `retrying`, `failed`, `succeeded`.
    pub(crate) status: String,
    pub(crate) attempts: u32,
    pub(crate) next_at: Option<i64>,
    pub(crate) last_at: Option<i64>,
    pub(crate) last_code: Option<u16>,
    pub(crate) last_error: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

const WEBHOOK: &str = "id, app_id, unseal(url, 'app_webhook url' || id), include, level,
                       unseal(secret, 'app_webhook secret' || id),
                       unseal(authorization, 'app_webhook authorization' || id), created_at,
                       updated_at FROM app_webhook";

fn webhook(row: &Row<'_>) -> rusqlite::Result<Webhook> {
    Ok(Webhook {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        url: parsed(&row.get::<_, String>(2)?)?,
        include: from_json(&row.get::<_, String>(3)?)?,
        level: parsed(&row.get::<_, String>(4)?)?,
        secret: row.get(5)?,
        authorization: row.get(6)?,
        created_at: row.get(7)?,
        updated_at: row.get(8)?,
    })
}

/// Adds a webhook, or replaces it.
pub(crate) fn put(db: &Connection, webhook: &Webhook) -> rusqlite::Result<()> {
    db.execute(
        "INSERT INTO app_webhook (id, app_id, url, include, level, secret, authorization,
         created_at, updated_at)
         VALUES (?1, ?2, seal(?3, 'app_webhook url' || ?1), ?4, ?5,
         seal(?6, 'app_webhook secret' || ?1), seal(?7, 'app_webhook authorization' || ?1), ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET url = excluded.url, include = excluded.include,
         level = excluded.level, secret = excluded.secret, authorization = excluded.authorization,
         updated_at = excluded.updated_at",
        params![
            webhook.id.to_string(),
            webhook.app_id.to_string(),
            webhook.url.as_str(),
            to_json(&webhook.include)?,
            webhook.level.as_str(),
            webhook.secret,
            webhook.authorization,
            webhook.created_at,
            webhook.updated_at
        ],
    )?;
    Ok(())
}

/// An app's webhooks, oldest first.
pub(crate) fn of_app(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Webhook>> {
    let sql = format!("SELECT {WEBHOOK} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], webhook)?.collect()
}

pub(crate) fn find(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Webhook>> {
    db.query_row(&format!("SELECT {WEBHOOK} WHERE id = ?"), [id.to_string()], webhook).optional()
}

pub(crate) fn delete(db: &Connection, id: Uuid) -> rusqlite::Result<()> {
    db.execute("DELETE FROM app_webhook WHERE id = ?", [id.to_string()])?;
    Ok(())
}

const EVENT: &str = "id, app_id, include, payload, created_at FROM app_webhook_event";

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        id: parsed(&row.get::<_, String>(0)?)?,
        app_id: parsed(&row.get::<_, String>(1)?)?,
        include: row.get(2)?,
        payload: from_json(&row.get::<_, String>(3)?)?,
        created_at: row.get(4)?,
    })
}

/// Writes down what has happened and whom it is to be told to; forgets what is older than a time.
pub(crate) fn record(
    db: &Connection,
    event: &Event,
    webhooks: &[Webhook],
    forget_before: i64,
) -> rusqlite::Result<()> {
    let app = event.app_id.to_string();
    db.execute(
        "DELETE FROM app_webhook_event WHERE app_id = ? AND created_at < ?",
        params![app, forget_before],
    )?;
    db.execute(
        "INSERT INTO app_webhook_event (id, app_id, include, payload, created_at)
         VALUES (?, ?, ?, ?, ?)",
        params![
            event.id.to_string(),
            app,
            event.include,
            to_json(&event.payload)?,
            event.created_at
        ],
    )?;
    for webhook in webhooks {
        db.execute(
            "INSERT INTO app_webhook_delivery (id, webhook_id, event_id, status, next_at,
             created_at, updated_at) VALUES (?1, ?2, ?3, 'pending', ?4, ?4, ?4)",
            params![
                Uuid::new_v4().to_string(),
                webhook.id.to_string(),
                event.id.to_string(),
                event.created_at
            ],
        )?;
    }
    Ok(())
}

/// What has happened to an app, oldest first.
pub(crate) fn events(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Event>> {
    let sql = format!("SELECT {EVENT} WHERE app_id = ? ORDER BY created_at, id");
    db.prepare_cached(&sql)?.query_map([app.to_string()], event)?.collect()
}

pub(crate) fn find_event(db: &Connection, id: Uuid) -> rusqlite::Result<Option<Event>> {
    db.query_row(&format!("SELECT {EVENT} WHERE id = ?"), [id.to_string()], event).optional()
}

const DELIVERY: &str = "id, webhook_id, event_id, status, attempts, next_at, last_at, last_code,
                        last_error, created_at, updated_at FROM app_webhook_delivery";

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        id: parsed(&row.get::<_, String>(0)?)?,
        webhook_id: parsed(&row.get::<_, String>(1)?)?,
        event_id: parsed(&row.get::<_, String>(2)?)?,
        status: row.get(3)?,
        attempts: row.get(4)?,
        next_at: row.get(5)?,
        last_at: row.get(6)?,
        last_code: row.get(7)?,
        last_error: row.get(8)?,
        created_at: row.get(9)?,
        updated_at: row.get(10)?,
    })
}

/// An app's deliveries, oldest first.
pub(crate) fn deliveries(db: &Connection, app: Uuid) -> rusqlite::Result<Vec<Delivery>> {
    let sql = format!(
        "SELECT {DELIVERY} WHERE webhook_id IN (SELECT id FROM app_webhook WHERE app_id = ?)
         ORDER BY created_at, id"
    );
    db.prepare_cached(&sql)?.query_map([app.to_string()], delivery)?.collect()
}

/// What is to be sent now, and not more at once than this.
pub(crate) fn due(db: &Connection, now: i64, most: usize) -> rusqlite::Result<Vec<Delivery>> {
    // What was put off by a clock that has been put back since has waited long enough.
    let is_due = "next_at <= ?1 OR (next_at IS NOT NULL AND updated_at > ?1)";
    let sql = format!("SELECT {DELIVERY} WHERE {is_due} ORDER BY next_at, id LIMIT ?2");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    db.prepare_cached(&sql)?.query_map([now, most], delivery)?.collect()
}

/// When something is to be sent next.
pub(crate) fn next_due(db: &Connection) -> rusqlite::Result<Option<i64>> {
    db.query_row("SELECT min(next_at) FROM app_webhook_delivery", [], |row| row.get(0))
}

/// Writes down how an attempt went.
pub(crate) fn settle(db: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE app_webhook_delivery SET status = ?, attempts = ?, next_at = ?, last_at = ?,
         last_code = ?, last_error = ?, updated_at = ? WHERE id = ?",
        params![
            delivery.status,
            delivery.attempts,
            delivery.next_at,
            delivery.last_at,
            delivery.last_code,
            delivery.last_error,
            delivery.updated_at,
            delivery.id.to_string()
        ],
    )?;
    Ok(())
}
