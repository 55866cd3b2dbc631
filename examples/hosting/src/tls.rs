//! TLS toward servers: whom to trust, and whom to find behind a connection. Also the randomness of the library that does it.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use sip_transaction::Transport;
use sip_transaction::names::{CertificateName, identifies};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;
use webpki::{EndEntityCert, KeyUsage};

/// `id-kp-sipDomain` of RFC 5924, 1.3.6.1.5.5.7.3.20, as DER writes it: what the key of a SIP domain is for.
const SIP_DOMAIN: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 20];

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

/// What opens connections that carry SIP over TLS, and those that carry WebSocket.
#[derive(Clone)]
pub struct Connector {
    sip: TlsConnector,
    web: TlsConnector,
}

impl Connector {
    /// For connections of this transport: the names in certificates of servers over TLS are those of SIP domains, of servers over WSS those of the
    /// web.
    pub fn over(&self, transport: Transport) -> &TlsConnector {
        if transport == Transport::Wss { &self.web } else { &self.sip }
    }
}

/// Takes certificates that identify the SIP domain they are to be of (RFC 5922).
#[derive(Debug)]
struct SipDomains {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    web: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for SipDomains {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        // Who is addressed by a number is no domain.
        let ServerName::DnsName(domain) = server_name else {
            return self.web.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        };
        //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
        //# Implementations (both clients and server) MUST determine the validity of
        //# a certificate by following the procedures described in RFC 5280 [6].
        let cert = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let verified = verify_server_cert_signed_by_trust_anchor(&cert, &self.roots, intermediates, now, algorithms);
        let cert = EndEntityCert::try_from(end_entity).map_err(|_| Error::from(CertificateError::BadEncoding))?;
        // One for SIP domains need not be for servers of the web (RFC 5924).
        let of_sip = || {
            let (anchors, usage) = (&self.roots.roots, KeyUsage::required(SIP_DOMAIN));
            cert.verify_for_usage(algorithms, anchors, intermediates, now, usage, None, None).is_ok()
        };
        verified.or_else(|error| if of_sip() { Ok(()) } else { Err(error) })?;
        let uris = cert.valid_uri_names().map(CertificateName::Uri);
        let names: Vec<_> = uris.chain(cert.valid_dns_names().map(CertificateName::Dns)).collect();
        //= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
        //# If the server is not authenticated, the client MUST close the
        //# connection immediately.
        if identifies(domain.as_ref(), &names) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.web.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.web.supported_verify_schemes()
    }
}

/// What opens connections to servers whose certificates these authorities have signed, or those that the system trusts.
///
/// # Errors
///
/// In words: there are no authorities, or they cannot be read.
pub fn connector(authorities: Option<&Path>) -> Result<Connector, String> {
    let file = match authorities {
        Some(file) => file,
        None => {
            let found = SYSTEM_AUTHORITIES.iter().map(Path::new).find(|file| file.exists());
            found.ok_or("no list of trusted authorities found: name one with --authorities FILE")?
        }
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(file)?);
    let (roots, provider) = (Arc::new(roots), provider());
    let web = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .map_err(|error| format!("{}: {error}", file.display()))?;
    let config = |verifier| {
        let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| error.to_string())?.dangerous();
        Ok::<_, String>(Arc::new(builder.with_custom_certificate_verifier(verifier).with_no_client_auth()))
    };
    let sip = Arc::new(SipDomains { roots, provider: provider.clone(), web: web.clone() });
    Ok(Connector { sip: config(sip)?.into(), web: config(web)?.into() })
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

    fn data(file: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
    }

    /// Whether a server with this certificate is taken for `name`.
    async fn takes(certificate: &str, transport: Transport, name: &str) -> bool {
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(data("key.pem")).unwrap();
        let server = rustls::ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates(&data(certificate)).unwrap(), key)
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(server));
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let authority = if certificate.starts_with("usage-") { "usage-ca.pem" } else { "ca.pem" };
        let connector = connector(Some(&data(authority))).unwrap();
        let connecting = connector.over(transport).connect(server_name(name).unwrap(), ours);
        let (connected, accepted) = tokio::join!(connecting, acceptor.accept(theirs));
        assert_eq!(connected.is_ok(), accepted.is_ok());
        connected.is_ok()
    }

    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.2
    //= type=test
    //# Implementations MUST NOT match any form of wildcard, such as a
    //# leading "." or "*." with any other DNS label or sequence of
    //# labels.
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.1
    //= type=test
    //# Implementations (both clients and server) MUST determine the validity of
    //# a certificate by following the procedures described in RFC 5280 [6].
    //= https://www.rfc-editor.org/rfc/rfc5922#section-7.3
    //= type=test
    //# If the server is not authenticated, the client MUST close the
    //# connection immediately.
    #[tokio::test]
    async fn a_certificate_is_that_of_the_sip_domain_it_names() {
        use Transport::{Tls, Wss};
        for (certificate, transport, name, good) in [
            ("wildcard.pem", Tls, "example.com", true),
            ("wildcard.pem", Tls, "EXAMPLE.com", true),
            ("wildcard.pem", Tls, "sip.example.com", false),
            ("wildcard.pem", Wss, "sip.example.com", true),
            // Where a URI names the domain, names of hosts do not count.
            ("uri.pem", Tls, "example.com", true),
            ("uri.pem", Tls, "www.example.com", false),
            ("uri.pem", Wss, "www.example.com", true),
            ("uri.pem", Wss, "example.com", false),
            ("address.pem", Tls, "192.0.2.1", true),
            ("address.pem", Tls, "192.0.2.2", false),
            ("address.pem", Tls, "example.com", false),
        ] {
            assert_eq!(takes(certificate, transport, name).await, good, "{certificate} over {transport:?} for {name}");
        }
        // A name alone is not enough: nobody who is trusted has signed this one.
        for transport in [Tls, Wss] {
            assert!(!takes("stranger.pem", transport, "example.com").await);
        }
    }

    /// A key that is for SIP domains alone (RFC 5924) is as good for SIP as one that is for servers, and no good for the web.
    #[tokio::test]
    async fn a_certificate_may_be_for_sip_domains_alone() {
        use Transport::{Tls, Wss};
        for (certificate, transport, name, good) in [
            ("usage-sip.pem", Tls, "example.com", true),
            ("usage-sip.pem", Tls, "example.org", false),
            ("usage-sip.pem", Wss, "example.com", false),
            // For clients.
            ("usage-other.pem", Tls, "example.com", false),
            ("usage-other.pem", Wss, "example.com", false),
        ] {
            assert_eq!(takes(certificate, transport, name).await, good, "{certificate} over {transport:?} for {name}");
        }
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
