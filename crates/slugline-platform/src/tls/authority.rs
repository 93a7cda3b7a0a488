//! The platform's own authority: who trusts it, trusts this server for its own names, and no more.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use time::{Duration, OffsetDateTime};
use x509_parser::extensions::GeneralName;

/// How long a certificate is good for.
const GOOD: Duration = Duration::days(90);
/// How long before its end another one is made.
const RENEW: Duration = Duration::days(30);
/// Certificates kept at hand; they are made again when asked for.
const KEPT: usize = 1_000;

/// What a client has to trust: `NODE_EXTRA_CA_CERTS` for Heroku's, `GIT_SSL_CAINFO` for git.
pub(crate) fn ca_path(data_dir: &Path) -> PathBuf {
    data_dir.join("tls/ca.pem")
}

/// Signs certificates for the platform's names. Its key is good for no others, whoever gets it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    domain: String,
    made: Mutex<HashMap<String, (OffsetDateTime, Arc<CertifiedKey>)>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("domain", &self.domain).finish_non_exhaustive()
    }
}

impl Authority {
    /// That of the data directory, made first where there is none.
    pub(crate) fn open(data_dir: &Path, domain: &str) -> io::Result<Self> {
        let (certificate, key) = (ca_path(data_dir), data_dir.join("tls/ca.key"));
        if !(certificate.is_file() && key.is_file()) {
            fs_err::create_dir_all(data_dir.join("tls"))?;
            let made = KeyPair::generate().map_err(io::Error::other)?;
            let signed = authority(domain).self_signed(&made).map_err(io::Error::other)?;
            write(&key, &made.serialize_pem(), 0o600)?;
            // Whoever finds the certificate finds the key.
            write(&certificate, &signed.pem(), 0o644)?;
        }
        let key = KeyPair::from_pem(&fs_err::read_to_string(&key)?).map_err(io::Error::other)?;
        if !is_good_for(&fs_err::read(&certificate)?, domain) {
            // The same key: who trusted the one before goes on trusting it, for what that was good for.
            let signed = authority(domain).self_signed(&key).map_err(io::Error::other)?;
            write(&certificate, &signed.pem(), 0o644)?;
        }
        let issuer = Issuer::new(authority(domain), key);
        Ok(Self { issuer, domain: domain.to_owned(), made: Mutex::default() })
    }

    /// The certificate for one of the platform's names; none for others.
    pub(crate) fn certificate_for(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        if !self.may_sign(host) {
            return None;
        }
        let now = OffsetDateTime::now_utc();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((end, key)) = made.get(host)
            && *end - now > RENEW
        {
            return Some(Arc::clone(key));
        }
        let key = match self.sign(host, now) {
            Ok(key) => Arc::new(key),
            Err(error) => {
                tracing::error!(%error, host, "a certificate could not be made");
                return None;
            }
        };
        if made.len() >= KEPT {
            made.clear();
        }
        made.insert(host.to_owned(), (now + GOOD, Arc::clone(&key)));
        Some(key)
    }

    fn may_sign(&self, host: &str) -> bool {
        let below = |domain: &str| {
            host == domain || host.strip_suffix(domain).is_some_and(|name| name.ends_with('.'))
        };
        host.len() <= 253 && (below(&self.domain) || below("localhost"))
    }

    fn sign(&self, host: &str, now: OffsetDateTime) -> io::Result<CertifiedKey> {
        let mut names = vec![host.to_owned()];
        if host == "localhost" {
            names.extend(["127.0.0.1", "::1"].map(str::to_owned));
        }
        let signed = || {
            let mut params = CertificateParams::new(names)?;
            params.distinguished_name.push(DnType::CommonName, "Slugline");
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            // From yesterday on, since clocks differ.
            (params.not_before, params.not_after) = (now - Duration::days(1), now + GOOD);
            let key = KeyPair::generate()?;
            Ok::<_, rcgen::Error>((params.signed_by(&key, &self.issuer)?, key))
        };
        let (certificate, key) = signed().map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(io::Error::other)?;
        let key = rustls::crypto::ring::sign::any_supported_type(&key);
        let key = key.map_err(io::Error::other)?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// Whether an authority's certificate lets it sign for a domain.
fn is_good_for(pem: &[u8], domain: &str) -> bool {
    let Ok((_, pem)) = x509_parser::pem::parse_x509_pem(pem) else { return false };
    let Ok(certificate) = pem.parse_x509() else { return false };
    let constraints = certificate.name_constraints().ok().flatten();
    let permitted = constraints.and_then(|found| found.value.permitted_subtrees.as_ref());
    permitted
        .into_iter()
        .flatten()
        .any(|subtree| matches!(subtree.base, GeneralName::DNSName(name) if name == domain))
}

fn authority(domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Slugline on this machine");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let loopback = [
        CidrSubnet::from_v4_prefix(Ipv4Addr::LOCALHOST.octets(), 8),
        CidrSubnet::from_v6_prefix(Ipv6Addr::LOCALHOST.octets(), 128),
    ];
    let names = ["localhost", domain].map(|name| GeneralSubtree::DnsName(name.to_owned()));
    let permitted = names.into_iter().chain(loopback.map(GeneralSubtree::IpAddress)).collect();
    params.name_constraints =
        Some(NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() });
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after =
        now.checked_add(Duration::days(365 * 20)).unwrap_or(date_time_ymd(2049, 1, 1));
    params
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        Authority::open(data.path(), "localhost").unwrap();
        let first = std::fs::read(ca_path(data.path())).unwrap();
        Authority::open(data.path(), "localhost").unwrap();
        assert_eq!(std::fs::read(ca_path(data.path())).unwrap(), first);
        Authority::open(data.path(), "house.example").unwrap();
        let other = std::fs::read(ca_path(data.path())).unwrap();
        assert_ne!(other, first, "it is good for the server's domain");
        Authority::open(data.path(), "house.example").unwrap();
        assert_eq!(std::fs::read(ca_path(data.path())).unwrap(), other);
        let key = data.path().join("tls/ca.key").metadata().unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn it_signs_for_its_own_names_alone() {
        let data = tempfile::tempdir().unwrap();
        let authority = Authority::open(data.path(), "apps.example.com").unwrap();
        let ca = std::fs::read(ca_path(data.path())).unwrap();
        let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
        let ca = ca.parse_x509().unwrap();
        for host in ["owl.apps.example.com", "localhost", "owl.localhost"] {
            let key = authority.certificate_for(host).unwrap();
            let (_, leaf) = X509Certificate::from_der(&key.cert[0]).unwrap();
            assert_eq!(leaf.issuer(), ca.subject());
            assert!(Arc::ptr_eq(&key, &authority.certificate_for(host).unwrap()), "kept");
        }
        for other in ["example.com", "myapps.example.com", "www.example.org", "", "notlocalhost"] {
            assert!(authority.certificate_for(other).is_none(), "{other}");
        }
        assert!(ca.name_constraints().unwrap().is_some());
    }
}
