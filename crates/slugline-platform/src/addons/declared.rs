//! Services that the operator declares: what every app gets of one is in the configuration.

use std::collections::BTreeMap;

use slugline_model::addon::{Order, Plan, Provider, ProviderError, Provisioned, Service};
use slugline_model::config_vars::ConfigVars;

/// A plan and what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredPlan {
    /// As it is offered.
    pub plan: Plan,
    /// What apps get. `{app}` and `{addon}` in a value stand for the app's and the add-on's names.
    pub vars: ConfigVars,
}

/// A service that exists already, and that Slugline hands out: a database of the machine's, a mail
/// relay, an account somewhere. Provisioning it makes nothing, so that nothing is lost with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// What it is called; its plans are those below.
    pub service: Service,
    /// By name.
    pub plans: BTreeMap<String, DeclaredPlan>,
    /// Where a browser sees it.
    pub url: Option<String>,
}

impl Declared {
    fn given(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        let plan = self.plans.get(&order.plan).ok_or_else(|| {
            let name = self.service.full_name(&order.plan);
            ProviderError::Refused(format!(
                "The operator does not offer {name} any more: [addons.{}] of slugline.toml does \
                 not have it",
                self.service.name
            ))
        })?;
        let filled = |value: &String| {
            value.replace("{app}", order.app.as_str()).replace("{addon}", &order.name)
        };
        let vars = plan.vars.iter().map(|(name, value)| (name.clone(), filled(value)));
        Ok(Provisioned { vars: vars.collect(), message: None })
    }
}

impl Provider for Declared {
    fn service(&self) -> Service {
        self.service.clone()
    }

    fn provision(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        self.given(order)
    }

    fn change_plan(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        self.given(order)
    }

    /// Takes over what the operator has changed.
    fn rotate(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        self.given(order)
    }

    fn deprovision(&self, _: &Order) -> Result<(), ProviderError> {
        Ok(())
    }

    fn would_lose(&self, _: &Order) -> Result<Option<String>, ProviderError> {
        Ok(None)
    }

    fn web_url(&self, _: &Order) -> Option<String> {
        self.url.clone()
    }
}
