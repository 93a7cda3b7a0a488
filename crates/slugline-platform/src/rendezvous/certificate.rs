//! The certificate of this server: made once, signed by an authority whose key is thrown away.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};
use tokio_rustls::TlsAcceptor;

/// What a client has to trust: `NODE_EXTRA_CA_CERTS` for Heroku's.
pub(crate) fn ca_path(data_dir: &Path) -> PathBuf {
    data_dir.join("tls/ca.pem")
}

/// Speaks TLS with the certificate of the data directory, made first where there is none.
pub(crate) fn acceptor(data_dir: &Path) -> io::Result<TlsAcceptor> {
    let directory = data_dir.join("tls");
    let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
    if !(certificate.is_file() && key.is_file() && ca_path(data_dir).is_file()) {
        make(&directory)?;
    }
    let chain = CertificateDer::from_pem_file(&certificate).map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The authority signs one certificate, and no other one ever: its key is not kept.
fn make(directory: &Path) -> io::Result<()> {
    fs_err::create_dir_all(directory)?;
    let made = || {
        let authority = CertifiedIssuer::self_signed(authority(), KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate = server()?.signed_by(&key, &authority)?;
        Ok::<_, rcgen::Error>((authority.pem(), certificate.pem(), key.serialize_pem()))
    };
    let (authority, certificate, key) = made().map_err(io::Error::other)?;
    write(&directory.join("server.key"), &key, 0o600)?;
    write(&directory.join("server.pem"), &certificate, 0o644)?;
    write(&directory.join("ca.pem"), &authority, 0o644)
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    use std::io::Write as _;
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
}

fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Slugline on this machine");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for_long(&mut params);
    params
}

fn server() -> Result<CertificateParams, rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    valid_for_long(&mut params);
    Ok(params)
}

/// From yesterday on, since clocks differ, for twenty years.
fn valid_for_long(params: &mut CertificateParams) {
    let now = OffsetDateTime::now_utc();
    params.not_before = now - Duration::days(1);
    params.not_after =
        now.checked_add(Duration::days(365 * 20)).unwrap_or(date_time_ymd(2049, 1, 1));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_the_key() {
        use std::os::unix::fs::PermissionsExt as _;
        let data = tempfile::tempdir().unwrap();
        acceptor(data.path()).unwrap();
        let first = std::fs::read(ca_path(data.path())).unwrap();
        acceptor(data.path()).unwrap();
        assert_eq!(std::fs::read(ca_path(data.path())).unwrap(), first);
        let key = data.path().join("tls/server.key").metadata().unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}
