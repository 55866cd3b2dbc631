//! What a user agent does, one behaviour in each file, on a virtual network.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::unit_arg,
    reason = "tests stop at what they did not expect"
)]

mod auth;
mod b2bua;
mod basic;
mod cancel;
mod change;
mod commands;
mod common;
mod first_call;
mod flows;
mod forks;
mod form;
mod hold;
mod info;
mod kept;
mod notify;
mod past;
mod persist;
mod races;
mod random;
mod refusals;
mod registration;
mod reinvite;
mod reliable;
mod requests;
mod routes;
mod services;
mod sips;
mod subscription;
mod timers;
mod transfer;
mod transfers;
