//! Whoever provides add-ons of one service: what the platform asks of it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::config_vars::ConfigVars;
use crate::name::AppName;
use crate::size;

use super::naming::AttachmentName;

/// What is offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// As it is asked for: `postgres`. Letters, digits and dashes.
    pub name: String,
    /// For people: `PostgreSQL`.
    pub human_name: String,
    /// What its attachments are called where nobody says otherwise.
    pub prefix: AttachmentName,
    /// Whether an add-on may be attached to several apps.
    pub is_shareable: bool,
    /// At least one; the first is taken where none is named.
    pub plans: Vec<Plan>,
}

/// How much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Within its service: `dev`.
    pub name: String,
    /// For people: `Development`.
    pub human_name: String,
    /// What one gets.
    pub description: String,
}

impl Service {
    /// The plan that a text names: `postgres:dev`, `postgres`, or within the service `dev`.
    pub fn plan(&self, text: &str) -> Option<&Plan> {
        let of_service = text.strip_prefix(self.name.as_str());
        let plan = match of_service {
            Some("") => return self.plans.first(),
            Some(rest) => rest.strip_prefix(':').unwrap_or(text),
            None => text,
        };
        self.plans.iter().find(|known| known.name == plan)
    }

    /// A plan's name among those of all services: `postgres:dev`.
    pub fn full_name(&self, plan: &str) -> String {
        format!("{}:{plan}", self.name)
    }
}

/// An add-on, as its provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// For ever the same, unlike its name.
    pub id: Uuid,
    /// The add-on's name.
    pub name: String,
    /// Whose it is. Apps may be renamed.
    pub app: AppName,
    /// Its plan's name within the service.
    pub plan: String,
    /// What was said beside: `addons:create s3 -- --names bucketeer`.
    pub options: BTreeMap<String, String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provisioned {
    /// Values under the names that they have under the service's prefix.
    pub vars: ConfigVars,
    /// What its new owner should know.
    pub message: Option<String>,
}

/// How much is in an add-on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Files, or what the service calls them.
    pub files: u64,
    /// All together (bytes).
    pub bytes: u64,
    /// The most that it takes (bytes); none where the provider sets no limit.
    pub quota: Option<u64>,
}

impl Usage {
    /// For people: `312 files, 2.1GB of 10.0GB`.
    pub fn told(&self) -> String {
        let held = format!("{}, {}", size::files(self.files), size::human(self.bytes));
        match self.quota {
            None => held,
            Some(quota) if self.bytes >= quota => {
                format!("{held} of {}: it is full", size::human(quota))
            }
            Some(quota) => format!("{held} of {}", size::human(quota)),
        }
    }
}

/// Why a provider did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// The order cannot be met; whose move it is, is said.
    #[error("{0}")]
    Refused(String),
    /// The provider itself has failed.
    #[error("the provider failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Provides the add-ons of one service. Calls may block.
///
/// The server may be killed during any call, and says the same again afterwards: each of them must be
/// able to be repeated.
pub trait Provider: Send + Sync {
    /// What it offers.
    fn service(&self) -> Service;
    /// Makes what the add-on stands for.
    fn provision(&self, order: &Order) -> Result<Provisioned, ProviderError>;
    /// Brings it to another plan, which the order names.
    fn change_plan(&self, order: &Order) -> Result<Provisioned, ProviderError>;
    /// Makes new credentials; the old ones are good no more.
    fn rotate(&self, order: &Order) -> Result<Provisioned, ProviderError>;
    /// Removes it with all that is in it; nothing there is fine.
    fn deprovision(&self, order: &Order) -> Result<(), ProviderError>;
    /// What would be lost with it, as a clause: `312 objects, 2.1GB`. None where nothing would be.
    fn would_lose(&self, order: &Order) -> Result<Option<String>, ProviderError>;
    /// How much is in it, where that is known without much ado.
    fn usage(&self, _: &Order) -> Result<Option<Usage>, ProviderError> {
        Ok(None)
    }
    /// Where a browser sees it.
    fn web_url(&self, order: &Order) -> Option<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_is_told_beside_what_it_takes() {
        let told = |bytes, quota| Usage { files: 1, bytes, quota }.told();
        assert_eq!(told(12, None), "1 file, 12B");
        let quota = Some(1_000);
        assert!(told(12, quota).starts_with("1 file, 12B of "), "{}", told(12, quota));
        assert!(told(1_000, quota).ends_with(": it is full"));
    }

    #[test]
    fn plans_are_found_by_what_people_write() {
        let plan = |name: &str| Plan {
            name: name.to_owned(),
            human_name: String::new(),
            description: String::new(),
        };
        let service = Service {
            name: "postgres".to_owned(),
            human_name: "PostgreSQL".to_owned(),
            prefix: "DATABASE".parse().unwrap(),
            is_shareable: true,
            plans: vec![plan("dev"), plan("big"), plan("postgresql")],
        };
        let found = |text: &str| service.plan(text).map(|plan| plan.name.clone());
        assert_eq!(found("postgres").as_deref(), Some("dev"));
        assert_eq!(found("postgres:big").as_deref(), Some("big"));
        assert_eq!(found("big").as_deref(), Some("big"));
        assert_eq!(found("postgresql").as_deref(), Some("postgresql"));
        assert_eq!((found("redis:dev"), found("postgres:"), found("")), (None, None, None));
    }
}
