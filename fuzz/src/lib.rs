//! Fuzz targets of the sip-* crates.
//!
//! Each target is one module with `pub fn run(data: &[u8])`, listed in [`TARGETS`], with a file in `fuzz_targets/`
//! for cargo-fuzz, a `[[bin]]` in `Cargo.toml`, and seeds in `corpus/<target>/`. A target panics when a promise is
//! broken: an input that only is refused is a good run.
//!
//! - `cargo run --manifest-path fuzz/Cargo.toml --example replay` replays all corpora, on stable Rust. It is an example
//!   because cargo-fuzz takes each binary for a target.
//! - `cargo +nightly fuzz run <target>` explores.

pub mod body;
pub mod builder;
pub mod dialog_calls;
pub mod dialog_state;
pub mod edit;
pub mod event_state;
pub mod message;
pub mod server_routing;
pub mod stream;
pub mod transaction_commands;
pub mod transaction_input;
pub mod uri;
pub mod ws_deflate;
pub mod ws_frames;
pub mod ws_handshake;

/// One target.
pub type Target = fn(&[u8]);

/// All targets by the names of their corpora.
pub const TARGETS: &[(&str, Target)] = &[
    ("body", body::run),
    ("builder", builder::run),
    ("dialog_calls", dialog_calls::run),
    ("dialog_state", dialog_state::run),
    ("edit", edit::run),
    ("event_state", event_state::run),
    ("message", message::run),
    ("server_routing", server_routing::run),
    ("stream", stream::run),
    ("transaction_commands", transaction_commands::run),
    ("transaction_input", transaction_input::run),
    ("uri", uri::run),
    ("ws_deflate", ws_deflate::run),
    ("ws_frames", ws_frames::run),
    ("ws_handshake", ws_handshake::run),
];

/// The main program of a file in `fuzz_targets/`: libFuzzer's under cargo-fuzz, otherwise one that runs the target on
/// the files named on the command line.
#[macro_export]
macro_rules! target {
    ($run:path) => {
        #[cfg(fuzzing)]
        libfuzzer_sys::fuzz_target!(|data: &[u8]| $run(data));

        #[cfg(not(fuzzing))]
        fn main() -> std::io::Result<()> {
            for path in std::env::args_os().skip(1) {
                $run(&std::fs::read(path)?);
            }
            Ok(())
        }
    };
}
