//! Add-ons: provisioned by providers, attached to apps, and gone only when that was meant.
//!
//! A row says what is wanted before a provider is asked, so that a server that is killed in between
//! leaves nothing that nobody knows of: what it was making is removed, and what it was removing is
//! removed again, by the next one (`recover_addons`).

mod change;
mod create;
mod declared;
mod moving;
mod remove;

use std::sync::Arc;

use slugline_model::addon::{AttachError, Plan, Provider, ProviderError, Service};

use crate::db::DbError;
use crate::platform::Platform;

pub(crate) use create::{NewAddOn, NewAttachment};
pub use declared::{Declared, DeclaredPlan};

/// Why an add-on is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddOnError {
    #[error("no service is called `{0}`")]
    NoService(String),
    #[error("{service} has no plan `{plan}`: it has {plans}")]
    NoPlan { service: String, plan: String, plans: String },
    #[error("an add-on is called {0} already")]
    NameTaken(String),
    /// Heroku's clients ask for a confirmation then, and say the same again with it.
    #[error("{app} has {holder} attached as {name}")]
    NeedsConfirmation { app: String, holder: String, name: String },
    #[error("{0} is attached to this app as {1} already")]
    AttachedAlready(String, String),
    #[error("add-ons of {0} cannot be shared by apps")]
    NotShareable(String),
    #[error("{0}")]
    Attach(#[from] AttachError),
    #[error("{name} has only this attachment, which is no use without it")]
    LastAttachment { name: String },
    #[error("{name} is attached to other apps too: {apps}")]
    Shared { name: String, apps: String },
    #[error("{name} holds {held}")]
    Holds { name: String, held: String },
    #[error("the app was destroyed meanwhile")]
    NoApp,
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Platform {
    /// Whoever provides a service.
    pub(crate) fn provider(&self, service: &str) -> Option<Arc<dyn Provider>> {
        self.inner.addon_providers.iter().find(|p| p.service().name == service).cloned()
    }

    /// What is offered, by name.
    pub(crate) fn services(&self) -> Vec<Service> {
        let mut services: Vec<Service> =
            self.inner.addon_providers.iter().map(|provider| provider.service()).collect();
        services.sort_by(|a, b| a.name.cmp(&b.name));
        services
    }

    /// The service and the plan that `postgres` or `postgres:dev` names.
    pub(crate) fn offered(&self, text: &str) -> Result<(Service, Plan), AddOnError> {
        let name = text.split(':').next().unwrap_or_default();
        let provider = self.provider(name).ok_or_else(|| AddOnError::NoService(text.to_owned()))?;
        let service = provider.service();
        let plan = service.plan(text).cloned().ok_or_else(|| no_plan(&service, text))?;
        Ok((service, plan))
    }
}

fn no_plan(service: &Service, asked: &str) -> AddOnError {
    let plans: Vec<&str> = service.plans.iter().map(|plan| plan.name.as_str()).collect();
    AddOnError::NoPlan {
        service: service.name.clone(),
        plan: asked.to_owned(),
        plans: plans.join(", "),
    }
}
