//! See `fuzz::transaction_input`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::transaction_input::run);
