//! What the tests' operator offers: a service that is declared, and one that holds things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use slugline_model::addon::{Order, Plan, Provider, ProviderError, Provisioned, Service};
use slugline_platform::{Declared, DeclaredPlan};

pub(super) fn addon_providers(data: &Path) -> Vec<Arc<dyn Provider>> {
    let directory = data.join("boxes");
    std::fs::create_dir_all(&directory).unwrap();
    vec![Arc::new(database()), Arc::new(Boxes { directory })]
}

fn plan(name: &str) -> Plan {
    Plan { name: name.into(), human_name: name.to_uppercase(), description: String::new() }
}

fn database() -> Declared {
    let of = |name: &str| {
        let url = format!("postgres://db.example/{{app}}-{name}");
        let vars = BTreeMap::from([("DATABASE_URL".to_owned(), url)]);
        (name.to_owned(), DeclaredPlan { plan: plan(name), vars })
    };
    let service = Service {
        name: "postgres".into(),
        human_name: "PostgreSQL".into(),
        prefix: "DATABASE".parse().unwrap(),
        is_shareable: true,
        plans: vec![plan("dev"), plan("big")],
    };
    Declared {
        service,
        plans: [of("dev"), of("big")].into(),
        url: Some("http://db.example/".into()),
    }
}

/// Keeps a file an add-on, which holds what it says.
struct Boxes {
    directory: PathBuf,
}

impl Boxes {
    fn path(&self, order: &Order) -> PathBuf {
        self.directory.join(order.id.to_string())
    }

    fn given(order: &Order, key: &str) -> Provisioned {
        let vars = [("BOX_KEY", key), ("REGION", order.plan.as_str())];
        let vars = vars.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Provisioned { vars: vars.into(), message: Some("It is open.".into()) }
    }
}

impl Provider for Boxes {
    fn service(&self) -> Service {
        Service {
            name: "box".into(),
            human_name: "A box".into(),
            prefix: "BOX".parse().unwrap(),
            is_shareable: false,
            plans: vec![plan("small")],
        }
    }

    fn provision(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        if order.options.contains_key("broken") {
            return Err(ProviderError::Refused("No box is left".into()));
        }
        std::fs::write(self.path(order), "").map_err(|e| ProviderError::Failed(e.into()))?;
        Ok(Self::given(order, "first"))
    }

    fn change_plan(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        Ok(Self::given(order, "first"))
    }

    fn rotate(&self, order: &Order) -> Result<Provisioned, ProviderError> {
        Ok(Self::given(order, "second"))
    }

    fn deprovision(&self, order: &Order) -> Result<(), ProviderError> {
        match std::fs::remove_file(self.path(order)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ProviderError::Failed(error.into()))
            }
            _ => Ok(()),
        }
    }

    fn would_lose(&self, order: &Order) -> Result<Option<String>, ProviderError> {
        let held = std::fs::read_to_string(self.path(order)).unwrap_or_default();
        Ok((!held.is_empty()).then_some(held))
    }

    fn web_url(&self, _: &Order) -> Option<String> {
        None
    }
}
