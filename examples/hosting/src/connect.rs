//! Connections over TCP and TLS, opened as an endpoint asks for them. Owns none of them afterwards.

use crate::{Connector, server_name};
use sip_transaction::{CloseCause, Transport};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

/// A connection that is open.
#[derive(Debug)]
pub enum Opened {
    /// TCP alone.
    Plain(TcpStream),
    /// TLS over TCP.
    Secure(Box<TlsStream<TcpStream>>),
}

/// Why a connection could not be opened.
#[derive(Debug)]
pub struct Failed {
    /// What the endpoint is to be told.
    pub cause: CloseCause,
    /// What a person may be told.
    pub why: String,
}

/// Opens what carries `transport` to `remote`, and says which address of ours it is from. `name`: whom a certificate must name.
/// `patience`: for TCP and TLS each.
///
/// # Errors
///
/// Nobody is there, or somebody whom `connector` does not trust, or `connector` itself fails.
pub async fn open(
    transport: Transport,
    remote: SocketAddr,
    name: &str,
    connector: impl FnOnce() -> Result<Connector, String>,
    patience: Duration,
) -> Result<(SocketAddr, Opened), Failed> {
    let failed = |cause, why| Failed { cause, why };
    let late = |_| failed(CloseCause::ConnectTimeout, format!("no answer from {remote} in time"));
    let stream = timeout(patience, TcpStream::connect(remote)).await.map_err(late)?;
    let stream = stream.map_err(|error| failed(CloseCause::Refused, format!("cannot connect to {remote}: {error}")))?;
    // Small messages must not wait for each other. If it fails, they wait.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().map_err(|error| failed(CloseCause::Reset, error.to_string()))?;
    if !transport.is_secure() {
        return Ok((local, Opened::Plain(stream)));
    }
    let untrusted = |why| failed(CloseCause::Untrusted, format!("TLS with {name:?} at {remote}: {why}"));
    let server_name = server_name(name).ok_or_else(|| untrusted("no certificate can name it".into()))?;
    let connector = connector().map_err(untrusted)?;
    let connected = timeout(patience, connector.over(transport).connect(server_name, stream)).await.map_err(late)?;
    Ok((local, Opened::Secure(connected.map_err(|error| untrusted(error.to_string()))?.into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn what_cannot_be_opened_says_why() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let remote = listener.local_addr().unwrap();
        let none = || Err("no authorities".to_owned());
        let soon = Duration::from_secs(10);
        let (local, opened) = open(Transport::Tcp, remote, "a name", none, soon).await.unwrap();
        assert!(matches!(&opened, Opened::Plain(stream) if stream.local_addr().unwrap() == local));
        for (name, why) in [("localhost", "no authorities"), ("a name", "no certificate")] {
            let failed = open(Transport::Tls, remote, name, none, soon).await.unwrap_err();
            assert_eq!(failed.cause, CloseCause::Untrusted);
            assert!(failed.why.contains(why) && failed.why.contains(name), "{}", failed.why);
        }
        drop(listener);
        let failed = open(Transport::Tcp, remote, "localhost", none, soon).await.unwrap_err();
        assert_eq!(failed.cause, CloseCause::Refused);
    }
}
