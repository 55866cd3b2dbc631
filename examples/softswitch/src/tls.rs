//! TLS on both sides: our certificate, read again on request, and whom we trust. Owns no connection.

use hosting::{Connector, certificates, provider};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// Makes the acceptor of each new connection, and the connector of outgoing ones.
#[derive(Clone)]
pub(crate) struct Tls {
    files: Option<(PathBuf, PathBuf)>,
    server: Arc<RwLock<Option<Arc<ServerConfig>>>>,
    client: Arc<RwLock<Option<Connector>>>,
    authorities: Option<PathBuf>,
}

impl Tls {
    /// Reads certificate and key, if there are any.
    pub(crate) fn new(files: Option<(PathBuf, PathBuf)>, authorities: Option<PathBuf>) -> Result<Tls, String> {
        let tls = Tls { files, server: Arc::default(), client: Arc::default(), authorities };
        tls.reload()?;
        if tls.authorities.is_some() {
            tls.connector().map_err(|error| format!("--authorities {error}"))?;
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
    pub(crate) fn connector(&self) -> Result<Connector, String> {
        if let Some(connector) = self.client.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(connector);
        }
        let connector = hosting::connector(self.authorities.as_deref())?;
        *self.client.write().unwrap_or_else(PoisonError::into_inner) = Some(connector.clone());
        Ok(connector)
    }
}

fn server_config(cert: &Path, key: &Path) -> Result<ServerConfig, String> {
    let chain = certificates(cert).map_err(|error| format!("--cert {error}"))?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| format!("--key {}: {error}", key.display()))?;
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    config.map_err(|error| format!("--cert and --key: {error}"))
}
