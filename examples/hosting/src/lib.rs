//! What softswitch and softphone share of being a host on tokio: a stub resolver for the questions an endpoint asks, and TLS toward
//! servers. Owns no socket for longer than a question, and no connection.

mod dns;
mod tls;

pub use dns::resolve;
pub use tls::{certificates, connector, provider, random_seed, server_name};
