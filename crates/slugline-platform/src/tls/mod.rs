//! TLS of apps: which certificate a browser is shown.

pub(crate) mod acm;
pub(crate) mod acme;
pub(crate) mod authority;
pub(crate) mod certificate;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use slugline_model::domain::wildcard_of;
use uuid::Uuid;

use crate::db;
use crate::platform::Platform;
use crate::tls::authority::Authority;

/// Certificates by host name. `*.example.com` stands for all names one level below.
#[derive(Debug)]
pub(crate) struct Certificates {
    by_host: RwLock<HashMap<String, Arc<CertifiedKey>>>,
    /// For the platform's own names.
    authority: Authority,
}

impl Certificates {
    pub(crate) fn new(authority: Authority) -> Self {
        Self { by_host: RwLock::default(), authority }
    }

    fn find(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        let host = host.to_ascii_lowercase();
        let by_host = self.by_host.read().unwrap_or_else(PoisonError::into_inner);
        let exact = by_host.get(&host);
        let found = exact.or_else(|| by_host.get(&wildcard_of(&host)?)).cloned();
        found.or_else(|| self.authority.certificate_for(&host))
    }

    fn replace(&self, by_host: HashMap<String, Arc<CertifiedKey>>) {
        *self.by_host.write().unwrap_or_else(PoisonError::into_inner) = by_host;
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Who connects to an address names no host.
        self.find(hello.server_name().unwrap_or("localhost"))
    }
}

impl Platform {
    /// How the router speaks TLS.
    pub fn tls(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&self.inner.certificates) as _);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Shows browsers the certificates that the table has now.
    pub(crate) fn publish_certificates(&self) {
        let rows = self.inner.db.read(|db| {
            let domains = db::domain::all(db)?;
            let endpoints = db::sni_endpoint::all(db)?;
            Ok((domains, endpoints))
        });
        let (domains, endpoints) = match rows {
            Ok(rows) => rows,
            Err(error) => return tracing::error!(?error, "the certificates could not be read"),
        };
        let keys: HashMap<Uuid, Arc<CertifiedKey>> = endpoints
            .into_iter()
            .filter_map(|row| {
                let parsed = certificate::parse(&row.certificate_chain, &row.private_key);
                Some((row.id, parsed.ok()?.key))
            })
            .collect();
        let by_host = domains.into_iter().filter_map(|domain| {
            let key = keys.get(&domain.sni_endpoint_id?)?;
            Some((domain.hostname.to_string(), Arc::clone(key)))
        });
        self.inner.certificates.replace(by_host.collect());
    }
}
