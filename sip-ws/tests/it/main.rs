//! The tests of WebSocket connections, one behaviour a module. They are one program, so that they are linked once.

mod any_split;
mod authentication;
mod back_pressure;
mod client_handshake;
mod closing;
mod common;
mod deflate;
mod fragments;
mod frames;
mod hostile;
mod in_place;
mod keep_alive;
mod parts;
mod rfc7118;
mod server_handshake;
