//! TLS on both sides: our certificate, read again on request, and whom we trust. Owns no connection.

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Where Linux distributions keep the authorities that are trusted.
const SYSTEM_AUTHORITIES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Makes the acceptor of each new connection, and the connector of outgoing ones.
#[derive(Clone)]
pub(crate) struct Tls {
    files: Option<(PathBuf, PathBuf)>,
    server: Arc<RwLock<Option<Arc<ServerConfig>>>>,
    client: Arc<RwLock<Option<Arc<ClientConfig>>>>,
    authorities: Option<PathBuf>,
}

impl Tls {
    /// Reads certificate and key, if there are any.
    pub(crate) fn new(files: Option<(PathBuf, PathBuf)>, authorities: Option<PathBuf>) -> Result<Tls, String> {
        let tls = Tls { files, server: Arc::default(), client: Arc::default(), authorities };
        tls.reload()?;
        if tls.authorities.is_some() {
            tls.connector()?;
        }
        Ok(tls)
    }

    /// Reads certificate and key again; connections that are open keep the old ones. If that fails, so does nothing else.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let Some((cert, key)) = &self.files else { return Ok(()) };
        let config = Arc::new(server_config(cert, key)?);
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = Some(config);
        Ok(())
    }

    /// For one incoming connection.
    pub(crate) fn acceptor(&self) -> Option<TlsAcceptor> {
        self.server.read().unwrap_or_else(PoisonError::into_inner).clone().map(TlsAcceptor::from)
    }

    /// For one outgoing connection. The authorities are read at the first.
    pub(crate) fn connector(&self) -> Result<TlsConnector, String> {
        if let Some(config) = self.client.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(config.into());
        }
        let config = Arc::new(client_config(self.authorities.as_deref())?);
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(config.clone());
        Ok(config.into())
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let list = read.map_err(|error| format!("{}: {error}", file.display()))?;
    if list.is_empty() { Err(format!("{}: no certificate in it", file.display())) } else { Ok(list) }
}

fn server_config(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let chain = certificates(cert).map_err(|error| format!("--cert {error}"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("--key {}: {error}", key.display()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    config.map_err(|error| format!("--cert and --key: {error}"))
}

fn client_config(authorities: Option<&Path>) -> Result<ClientConfig, String> {
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
    Ok(builder.with_webpki_verifier(verifier).with_no_client_auth())
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// Fills `seed` from the system's source of randomness.
pub(crate) fn random_seed() -> Result<[u8; 32], String> {
    let mut seed = [0; 32];
    let filled = provider().secure_random.fill(&mut seed);
    filled.map_err(|_| "the system gives no random numbers".to_owned())?;
    Ok(seed)
}

/// The name to ask for and to find in the certificate.
pub(crate) fn server_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).ok()
}
