//! SIP registrar, location service, proxy and redirect server as sans-IO cores.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod auth;
mod hash;
mod id;
mod location;
mod proxy;
mod redirect;
mod registrar;
mod reply;
mod secret;
mod server;
mod target;

pub use auth::{AuthConfig, AuthEvent, AuthFailure, DigestAuth, Identity};
pub use id::{AuthId, ProxyId, RedirectId, RegisterId};
pub use location::{
    Binding, BindingParts, LocationTable, Nonconformance, Record, Store, StoreError, aor_key, store_conformance,
};
pub use proxy::{Advertised, Decision, NotWaiting, Proxy, ProxyConfig, ProxyEvent, RouteKind};
pub use redirect::{Redirect, RedirectConfig, RedirectEvent};
pub use registrar::{Change, Located, Registrar, RegistrarConfig, RegistrarEvent};
pub use server::{RoutePolicy, Server, ServerConfig, ServerEvent};
pub use target::{FlowPath, Target};
