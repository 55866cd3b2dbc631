//! What softswitch and softphone share of being a host on tokio: a stub resolver for the questions an endpoint asks,
//! connections over TCP and TLS, opened as it asks for them, and what ICMP says of datagrams. Owns no socket for longer than a question, and no connection.

mod connect;
mod dns;
mod icmp;
mod tls;

pub use connect::{Failed, Opened, open};
pub use dns::resolve;
pub use icmp::{Sent, Undelivered, keep_undelivered, undelivered};
pub use tls::{Connector, certificates, connector, provider, random_seed, server_name};

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

/// What a future comes to without waiting, for tests; `None`: it would wait.
pub async fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
