//! See `fuzz::ws_deflate`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::ws_deflate::run);
