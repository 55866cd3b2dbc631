//! See `fuzz::dialog_calls`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::dialog_calls::run);
