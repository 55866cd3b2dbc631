//! See `fuzz::edit`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::edit::run);
