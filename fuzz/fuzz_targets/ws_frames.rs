//! See `fuzz::ws_frames`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::ws_frames::run);
