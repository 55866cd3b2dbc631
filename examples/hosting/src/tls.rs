//! TLS toward servers: whom to trust, and whom to find behind a connection. Also the randomness of the library that does it.

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// Where Linux distributions keep the authorities that are trusted.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// The certificates of a PEM file, at least one.
///
/// # Errors
///
/// In words, with the name of the file.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let list = read.map_err(|error| format!("{}: {error}", file.display()))?;
    if list.is_empty() { Err(format!("{}: no certificate in it", file.display())) } else { Ok(list) }
}

/// What opens connections to servers whose certificates these authorities have signed, or those that the system trusts.
///
/// # Errors
///
/// In words: there are no authorities, or they cannot be read.
pub fn connector(authorities: Option<&Path>) -> Result<TlsConnector, String> {
    let file = match authorities {
        Some(file) => file,
        None => {
            let found = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|file| file.exists());
            found.ok_or("no list of trusted authorities found: name one with --authorities FILE")?
        }
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(file)?);
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider())
        .build()
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    Ok(Arc::new(builder.with_webpki_verifier(verifier).with_no_client_auth()).into())
}

/// The cryptography of both sides.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Bytes from the system's source of randomness.
///
/// # Errors
///
/// In words: the system gives none.
pub fn random_seed() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    let filled = provider().secure_random.fill(&mut seed);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(seed)
}

/// The name to ask for and to find in the certificate; `None` if it cannot stand in one. IPv6 addresses may have their brackets.
pub fn server_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_in_errors() {
        let missing = certificates(Path::new("/no/such/file")).unwrap_err();
        assert!(missing.starts_with("/no/such/file: "), "{missing}");
        let empty = std::env::temp_dir().join(format!("hosting-empty-{}", std::process::id()));
        std::fs::write(&empty, "nothing").unwrap();
        assert!(connector(Some(&empty)).map(drop).unwrap_err().ends_with("no certificate in it"));
        std::fs::remove_file(&empty).unwrap();
    }

    #[test]
    fn names_and_addresses_can_be_asked_for() {
        for name in ["sip.example.com", "192.0.2.1", "2001:db8::1", "[2001:db8::1]"] {
            assert!(server_name(name).is_some(), "{name}");
        }
        assert!(server_name("no name").is_none());
        assert_ne!(random_seed(), random_seed());
    }
}
