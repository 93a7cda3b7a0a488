//! Certificates for the domains of apps that want them issued: asked for, renewed, shown.

use std::collections::HashMap;
use std::time::Duration;

use slugline_model::acm::{Known, cannot_be_issued};
use slugline_model::domain::HostName;
use uuid::Uuid;

use crate::clock;
use crate::db::acm::Attempt;
use crate::db::domain::Domain;
use crate::db::sni_endpoint::SniEndpoint;
use crate::db::{self, DbError};
use crate::platform::Platform;
use crate::tls::acme::Issued;
use crate::tls::certificate::facts_of;

/// How long nothing is looked at when nothing changes.
const IDLE: Duration = Duration::from_hours(1);

const MICROS: i64 = 1_000_000;

impl Platform {
    /// Asks for what is due, for ever.
    pub(crate) async fn issue_for_ever(self) {
        loop {
            let wait = match self.issue_what_is_due().await {
                Ok(next) => next.map_or(IDLE, |next| until(next).min(IDLE)),
                Err(error) => {
                    tracing::error!(?error, "certificates could not be looked after");
                    IDLE
                }
            };
            let _ = tokio::time::timeout(wait, self.inner.other_domains.notified()).await;
        }
    }

    /// Gives when the next is due.
    async fn issue_what_is_due(&self) -> Result<Option<i64>, DbError> {
        let mut next: Option<i64> = None;
        for domain in self.inner.db.read(domains)? {
            if cannot_be_issued(&domain.hostname).is_some() {
                continue;
            }
            let mut known = self.inner.db.read(|db| known(db, &domain))?.0;
            let now = clock::now();
            // A clock that was put back since the last refusal keeps nobody waiting.
            let put_back = known.failures > 0 && known.tried_at.is_some_and(|tried| tried > now);
            if put_back || known.due_at() <= now {
                self.issue_one(&domain, known.failures).await?;
                known = self.inner.db.read(|db| self::known(db, &domain))?.0;
            }
            next = Some(next.map_or(known.due_at(), |next| next.min(known.due_at())));
        }
        Ok(next)
    }

    async fn issue_one(&self, domain: &Domain, failures: u32) -> Result<(), DbError> {
        let app = self.inner.db.read(|db| db::app::find(db, &domain.app_id.to_string()))?;
        let Some(app) = app else { return Ok(()) };
        let host = &domain.hostname;
        match self.issue(host).await {
            Ok(issued) => {
                self.inner.db.transaction(|db| keep(db, domain, issued))?;
                self.say_api(&app.name, format!("A certificate for {host} was issued"));
                self.hosts_changed();
            }
            Err(error) => {
                let reason = Some(error.to_string());
                let failures = failures.saturating_add(1);
                let (domain_id, tried_at) = (domain.id, clock::now());
                let attempt = Attempt { domain_id, tried_at, failures, reason };
                self.inner.db.transaction(|db| db::acm::note(db, &attempt))?;
                let text = format!("No certificate for {host} was issued: {error}");
                self.say_api(&app.name, text);
            }
        }
        Ok(())
    }

    /// Changes what the router answers to authorities.
    pub(crate) fn answer_challenges(&self, change: impl FnOnce(&mut HashMap<String, String>)) {
        change(
            &mut self.inner.challenges.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        self.publish_routes();
    }
}

fn until(time: i64) -> Duration {
    Duration::from_micros(u64::try_from(time.saturating_sub(clock::now())).unwrap_or(0))
}

/// The domains for which certificates are issued: of apps that want it, without one that was
/// uploaded.
fn domains(db: &rusqlite::Connection) -> rusqlite::Result<Vec<Domain>> {
    let mut all = Vec::new();
    for app in db::acm::apps(db)? {
        let endpoints = db::sni_endpoint::of_app(db, app)?;
        let uploaded: Vec<Uuid> = endpoints.iter().filter(|e| !e.acm).map(|e| e.id).collect();
        let domains = db::domain::of_app(db, app)?;
        let shows =
            |domain: &Domain| domain.sni_endpoint_id.is_some_and(|id| uploaded.contains(&id));
        all.extend(domains.into_iter().filter(|domain| !shows(domain)));
    }
    Ok(all)
}

/// What is known of a domain's certificate, and why there is none.
pub(crate) fn known(
    db: &rusqlite::Connection,
    domain: &Domain,
) -> rusqlite::Result<(Known, Option<String>)> {
    let endpoints = db::sni_endpoint::of_app(db, domain.app_id)?;
    let shown = endpoints.iter().find(|e| Some(e.id) == domain.sni_endpoint_id && e.acm);
    let facts = shown.and_then(|endpoint| facts_of(&endpoint.certificate_chain));
    let good = facts.map(|facts| (facts.starts_at * MICROS, facts.expires_at * MICROS));
    let attempt = db::acm::attempt(db, domain.id)?;
    let failures = attempt.as_ref().map_or(0, |attempt| attempt.failures);
    let tried_at = attempt.as_ref().map(|attempt| attempt.tried_at);
    Ok((Known { good, tried_at, failures }, attempt.and_then(|attempt| attempt.reason)))
}

/// Shows what was issued, in the place of what the domain showed before.
fn keep(
    db: &rusqlite::Transaction<'_>,
    domain: &Domain,
    Issued { chain, key }: Issued,
) -> rusqlite::Result<()> {
    let now = clock::now();
    let endpoints = db::sni_endpoint::of_app(db, domain.app_id)?;
    let before = endpoints.into_iter().find(|e| e.acm && Some(e.id) == domain.sni_endpoint_id);
    let new = || {
        let id = Uuid::new_v4();
        let name = name(&domain.hostname, id);
        let (certificate_chain, private_key) = (String::new(), String::new());
        let (app_id, acm) = (domain.app_id, true);
        let (created_at, updated_at) = (now, now);
        SniEndpoint {
            id,
            app_id,
            name,
            certificate_chain,
            private_key,
            acm,
            created_at,
            updated_at,
        }
    };
    let endpoint = before.unwrap_or_else(new);
    let endpoint =
        SniEndpoint { certificate_chain: chain, private_key: key, updated_at: now, ..endpoint };
    db::sni_endpoint::put(db, &endpoint)?;
    db::domain::set_endpoint(db, domain.id, Some(endpoint.id), now)?;
    let (domain_id, reason) = (domain.id, None);
    db::acm::note(db, &Attempt { domain_id, tried_at: now, failures: 0, reason })
}

/// `acm-www-example-com-1a2b3`.
fn name(host: &HostName, id: Uuid) -> String {
    format!("acm-{}-{}", host.as_str().replace('.', "-"), &id.simple().to_string()[..5])
}
