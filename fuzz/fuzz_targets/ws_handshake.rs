//! See `fuzz::ws_handshake`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::ws_handshake::run);
