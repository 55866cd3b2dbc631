//! What a user agent does, one behaviour in each file, on a virtual network.

#[path = "../common/mod.rs"]
mod common;

mod auth;
mod cancel;
mod change;
mod forks;
mod races;
mod registration;
mod reliable;
mod requests;
mod subscription;
mod timers;
mod transfer;
