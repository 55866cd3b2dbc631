//! See `fuzz::body`.
#![cfg_attr(fuzzing, no_main)]

fuzz::target!(fuzz::body::run);
