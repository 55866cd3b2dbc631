//! See `fuzz::dialog_state`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::dialog_state::run);
