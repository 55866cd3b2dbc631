//! See `fuzz::message`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::message::run);
