//! See `fuzz::event_state`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::event_state::run);
