//! See `fuzz::server_routing`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::server_routing::run);
