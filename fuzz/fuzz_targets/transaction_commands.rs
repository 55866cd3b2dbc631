//! See `fuzz::transaction_commands`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::transaction_commands::run);
