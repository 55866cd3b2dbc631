//! The tests of the server, one behaviour a module. They are one program, so that they are linked once.

mod authentication;
mod common;
mod forest;
mod forking;
mod gruu;
mod handover;
mod identity;
mod loops;
mod outbound;
mod publish;
mod push;
mod redirect;
mod registration;
mod relayed_call;
mod rfc3261_section_24;
mod rfc3665;
mod routing;
mod secure;
mod transports;
mod wake_times;
mod websocket;
