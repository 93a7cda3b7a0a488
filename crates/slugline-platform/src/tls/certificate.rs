//! A certificate that a user uploads: what it says, and whether it can be shown to anybody.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use slugline_model::domain::wildcard_of;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A chain and its key, which belong together.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) facts: Facts,
}

/// What a certificate says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Host names in lower case.
    pub(crate) names: Vec<String>,
    pub(crate) subject: String,
    pub(crate) issuer: String,
    /// Seconds since 1970.
    pub(crate) starts_at: i64,
    /// Seconds since 1970.
    pub(crate) expires_at: i64,
}

/// Why a certificate is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CertificateError {
    #[error(
        "No certificate was found: a chain is PEM, `-----BEGIN CERTIFICATE-----`, the server's first."
    )]
    NoChain,
    #[error("The certificate could not be read: {0}.")]
    Chain(String),
    #[error(
        "No private key was found: it is PEM, `-----BEGIN PRIVATE KEY-----`, and not encrypted."
    )]
    NoKey,
    #[error("The private key is of a kind that is not known here: RSA, ECDSA or Ed25519.")]
    Key,
    #[error("The private key is not the one of the certificate.")]
    Mismatch,
    #[error("The certificate names no host.")]
    NoNames,
}

/// Takes a chain and a key, both PEM, apart.
pub(crate) fn parse(chain: &str, key: &str) -> Result<Certificate, CertificateError> {
    let der = CertificateDer::pem_slice_iter(chain.as_bytes());
    let der: Vec<_> = der.collect::<Result<_, _>>().map_err(chain_error)?;
    let first = der.first().ok_or(CertificateError::NoChain)?;
    let facts = facts(first)?;
    for further in &der[1..] {
        X509Certificate::from_der(further).map_err(chain_error)?;
    }
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| CertificateError::NoKey)?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key);
    let key = CertifiedKey::new(der, key.map_err(|_| CertificateError::Key)?);
    // A key that cannot tell its public half would be accepted: none of the kinds above is one.
    match key.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) | Ok(()) => {}
        Err(_) => return Err(CertificateError::Mismatch),
    }
    Ok(Certificate { key: Arc::new(key), facts })
}

fn chain_error(error: impl std::fmt::Display) -> CertificateError {
    CertificateError::Chain(error.to_string())
}

/// What a chain's first certificate says.
pub(crate) fn facts_of(chain: &str) -> Option<Facts> {
    facts(&CertificateDer::from_pem_slice(chain.as_bytes()).ok()?).ok()
}

fn facts(der: &CertificateDer<'_>) -> Result<Facts, CertificateError> {
    let (_, parsed) = X509Certificate::from_der(der).map_err(chain_error)?;
    let alternative = parsed.subject_alternative_name().map_err(chain_error)?;
    let alternative =
        alternative.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let mut names: Vec<String> = alternative
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    names.dedup();
    if names.is_empty() {
        return Err(CertificateError::NoNames);
    }
    Ok(Facts {
        names,
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        starts_at: parsed.validity().not_before.timestamp(),
        expires_at: parsed.validity().not_after.timestamp(),
    })
}

impl Facts {
    /// Whether it may be shown to who asks for a host, which may be a wildcard itself.
    pub(crate) fn covers(&self, host: &str) -> bool {
        let wildcard = wildcard_of(host).filter(|_| !host.starts_with("*."));
        self.names.iter().any(|name| *name == host || Some(name) == wildcard.as_ref())
    }

    pub(crate) fn is_self_signed(&self) -> bool {
        self.subject == self.issuer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_certificate_says_for_whom_it_is() {
        let (chain, key) = made(&["WWW.example.com", "*.owl.example"]);
        let facts = parse(&chain, &key).unwrap().facts;
        assert_eq!(facts.names, ["www.example.com", "*.owl.example"]);
        assert!(facts.is_self_signed() && facts.starts_at < facts.expires_at);
        assert!(facts.covers("www.example.com") && facts.covers("a.owl.example"));
        assert!(facts.covers("*.owl.example"));
        for other in ["example.com", "owl.example", "a.b.owl.example", "*.example.com"] {
            assert!(!facts.covers(other), "{other}");
        }
        assert_eq!(facts_of(&chain), Some(facts));
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let (chain, key) = made(&["a.example"]);
        let (_, other) = made(&["a.example"]);
        let error = |chain: &str, key: &str| parse(chain, key).unwrap_err();
        assert_eq!(error("", &key), CertificateError::NoChain);
        assert_eq!(error("hello", &key), CertificateError::NoChain);
        assert_eq!(error(&chain, ""), CertificateError::NoKey);
        assert_eq!(error(&chain, &chain), CertificateError::NoKey);
        assert_eq!(error(&chain, &other), CertificateError::Mismatch);
        let torn = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(error(torn, &key), CertificateError::Chain(_)));
        assert!(matches!(error(&format!("{chain}{torn}"), &key), CertificateError::Chain(_)));
        let (nameless, key) = made(&[]);
        assert_eq!(error(&nameless, &key), CertificateError::NoNames);
    }
}
