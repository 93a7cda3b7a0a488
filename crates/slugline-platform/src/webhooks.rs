//! Webhooks: what happens to an app is written down, and then told by requests, signed, and again
//! where that is wanted. What a killed server had to tell, the next one tells.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use slugline_model::outbound::Outbound;
use slugline_model::webhook::{KEPT, WebhookUrl};
use uuid::Uuid;

use crate::clock::{self, api_time};
use crate::db::app_webhook::{Delivery, Event, Webhook};
use crate::db::{self, DbError};
use crate::platform::Platform;

/// How many are sent at once.
const AT_ONCE: usize = 8;

/// How long is slept when nothing is to be sent.
const IDLE: Duration = Duration::from_mins(5);

/// A request that a webhook is told by.
#[derive(Debug, Clone)]
pub struct WebhookRequest {
    /// Where to.
    pub url: WebhookUrl,
    /// What is told, JSON.
    pub body: String,
    /// Who signs it, and who sends it.
    pub headers: Vec<(String, String)>,
    /// What may be connected to.
    pub outbound: Outbound,
}

/// Sends a request, and gives the status that is answered, or in a few words why there is none.
pub type WebhookSender =
    Arc<dyn Fn(WebhookRequest) -> BoxFuture<'static, Result<u16, String>> + Send + Sync>;

impl Platform {
    /// Tells whoever wants to hear of it that something has happened to an app. The data are only
    /// made where there is somebody.
    pub(crate) fn broadcast(
        &self,
        app: Uuid,
        include: &str,
        action: &str,
        data: impl FnOnce(&Self) -> Option<Value>,
    ) {
        let told = self.try_to_broadcast(app, include, action, data);
        if let Err(error) = told {
            tracing::error!(?error, include, "an event could not be written down");
        }
    }

    fn try_to_broadcast(
        &self,
        app: Uuid,
        include: &str,
        action: &str,
        data: impl FnOnce(&Self) -> Option<Value>,
    ) -> Result<(), DbError> {
        let mut webhooks = self.inner.db.read(|db| db::app_webhook::of_app(db, app))?;
        webhooks.retain(|webhook| webhook.include.iter().any(|wanted| wanted == include));
        if webhooks.is_empty() {
            return Ok(());
        }
        let Some(data) = data(self) else { return Ok(()) };
        let now = clock::now();
        let payload = json!({
            "action": action,
            "actor": crate::api::actor(),
            "data": data,
            "previous_data": {},
            "published_at": api_time(now),
            "resource": include.strip_prefix("api:").unwrap_or(include),
            "version": "application/vnd.heroku+json; version=3",
        });
        let id = Uuid::new_v4();
        let event =
            Event { id, app_id: app, include: include.to_owned(), payload, created_at: now };
        let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
        self.inner.db.transaction(|db| {
            db::app_webhook::record(db, &event, &webhooks, now.saturating_sub(kept))
        })?;
        self.inner.events_to_tell.notify_one();
        Ok(())
    }

    /// Sends what is due, for ever.
    pub(crate) async fn tell_for_ever(self) {
        loop {
            let wait = match self.tell_what_is_due().await {
                Ok(wait) => wait,
                Err(error) => {
                    tracing::error!(?error, "what webhooks are to be told could not be read");
                    IDLE
                }
            };
            let _ = tokio::time::timeout(wait, self.inner.events_to_tell.notified()).await;
        }
    }

    /// Gives how long nothing more is due.
    async fn tell_what_is_due(&self) -> Result<Duration, DbError> {
        loop {
            let now = clock::now();
            let due = self.inner.db.read(|db| db::app_webhook::due(db, now, AT_ONCE))?;
            if due.is_empty() {
                let next = self.inner.db.read(db::app_webhook::next_due)?;
                let wait = next.map(|next| u64::try_from(next - now).unwrap_or(0));
                return Ok(wait.map_or(IDLE, Duration::from_micros).min(IDLE));
            }
            let sent = join_all(due.into_iter().map(|delivery| self.deliver(delivery))).await;
            for settled in sent {
                let settled = settled?;
                self.inner.db.transaction(|db| db::app_webhook::settle(db, &settled))?;
            }
        }
    }

    async fn deliver(&self, mut delivery: Delivery) -> Result<Delivery, DbError> {
        let (webhook, event) = self.inner.db.read(|db| {
            let webhook = db::app_webhook::find(db, delivery.webhook_id)?;
            Ok((webhook, db::app_webhook::find_event(db, delivery.event_id)?))
        })?;
        let (Some(webhook), Some(event)) = (webhook, event) else {
            delivery.next_at = None;
            return Ok(delivery);
        };
        let request = self.request(&webhook, &event, &delivery);
        let answer = (self.inner.webhook_sender)(request).await;
        let now = clock::now();
        delivery.attempts += 1;
        delivery.last_at = Some(now);
        delivery.updated_at = now;
        delivery.last_code = answer.as_ref().ok().copied();
        delivery.last_error = answer.as_ref().err().cloned();
        let taken = answer.is_ok_and(|status| (200..300).contains(&status));
        let again = (!taken).then(|| webhook.level.again_after(delivery.attempts)).flatten();
        let wait = again.map(|wait| i64::try_from(wait.as_micros()).unwrap_or(i64::MAX));
        delivery.next_at = wait.map(|wait| now.saturating_add(wait));
        let status = match (taken, again) {
            (true, _) => "succeeded",
            (false, Some(_)) => "retrying",
            (false, None) => "failed",
        };
        status.clone_into(&mut delivery.status);
        Ok(delivery)
    }

    fn request(&self, webhook: &Webhook, event: &Event, delivery: &Delivery) -> WebhookRequest {
        let mut told = event.payload.clone();
        told["id"] = json!(event.id);
        told["created_at"] = api_time(event.created_at).into();
        told["updated_at"] = api_time(event.created_at).into();
        told["sequence"] = Value::Null;
        told["webhook_metadata"] = json!({
            "attempt": { "id": Uuid::new_v4() },
            "delivery": { "id": delivery.id },
            "event": { "id": event.id, "include": event.include },
            "webhook": { "id": webhook.id },
        });
        let body = told.to_string();
        let signature = base64::engine::general_purpose::STANDARD
            .encode(hmac(webhook.secret.as_bytes(), body.as_bytes()));
        let authorization = webhook.authorization.clone();
        let mut headers = vec![("Heroku-Webhook-Hmac-SHA256".to_owned(), signature)];
        headers.extend(authorization.map(|value| ("Authorization".to_owned(), value)));
        let outbound = self.inner.config.outbound.clone();
        WebhookRequest { url: webhook.url.clone(), body, headers, outbound }
    }
}

/// HMAC-SHA256, RFC 2104.
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let mut block = [0; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_rfc() {
        let hex = |bytes: [u8; 32]| bytes.iter().fold(String::new(), |t, b| format!("{t}{b:02x}"));
        // RFC 4231, cases 1, 2 and 6.
        assert_eq!(
            hex(hmac(&[0x0b; 20], b"Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert_eq!(
            hex(hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(hmac(&[0xaa; 131], b"Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
