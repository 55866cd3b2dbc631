//! See `fuzz::builder`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::builder::run);
