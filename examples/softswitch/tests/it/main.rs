//! The tests of softswitch as a process, one behaviour a module. They are one program, so that they are linked once.

mod common;
mod limits;
mod location;
mod own_requests;
mod presence;
mod routing;
mod settings;
mod tls;
