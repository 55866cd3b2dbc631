//! Tests of the sip-* crates against real peers: what such a test needs to find, start, watch and end a peer.
//!
//! Each test in `tests/` starts its own peers on loopback addresses and ports of their own, and ends them. A peer that
//! is not installed skips the test, unless `INTEROP_REQUIRED=1`, as in CI, where it fails the test; programs named in
//! `INTEROP_OPTIONAL` (separated by commas) skip it even there. `INTEROP_SKIP=1` skips all of them. `.ci/run` installs
//! what the lists in `needs/` name.
//!
//! ```no_run
//! use interop::{Peer, Scratch};
//! use std::time::Duration;
//!
//! let Some(sipp) = interop::program("sipp") else { return };
//! let scratch = Scratch::new("answers-a-call");
//! let mut peer = Peer::start(std::process::Command::new(sipp).args(["-sn", "uas", "-i", "127.0.0.1"]), &scratch);
//! peer.wait_for_output("Waiting", Duration::from_secs(10));
//! // ... drive our side, then drop the peer: it is ended, and its log is shown if the test failed.
//! ```

mod capture;
mod peer;
mod scratch;
mod sipp;
mod softswitch;

pub use capture::{Capture, Captured};
pub use peer::Peer;
pub use scratch::Scratch;
pub use sipp::{Counts, Running, Sipp};
pub use softswitch::{Softswitch, own_program};

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The path of the program `name`, from `PATH` or from what `.ci/run` installed; `None`, with a word on standard
/// error, if the test is to be skipped.
///
/// # Panics
///
/// The program is missing and `INTEROP_REQUIRED=1`.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = ["node_modules/.bin", "python2/bin"].map(|folder| installed().join(folder));
    let found = std::env::split_paths(&path).chain(own).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.filter(|_| !is_set("INTEROP_SKIP")).or_else(|| missing(name))
}

/// The folder of the npm package `name`, from what `.ci/run` installed; `None` as in [`program`].
///
/// # Panics
///
/// The package is missing and `INTEROP_REQUIRED=1`.
pub fn npm_package(name: &str) -> Option<PathBuf> {
    let folder = installed().join("node_modules").join(name);
    if folder.is_dir() && !is_set("INTEROP_SKIP") { Some(folder) } else { missing(name) }
}

/// A Python 3 that has the module `name`, from what `.ci/run` installed; `None` as in [`program`].
///
/// # Panics
///
/// There is none and `INTEROP_REQUIRED=1`.
pub fn python_with(name: &str) -> Option<PathBuf> {
    let python = installed().join("python3/bin/python");
    let mut import = Command::new(&python);
    import.args(["-c", &format!("import {name}")]).stdin(Stdio::null()).stderr(Stdio::null());
    let found = !is_set("INTEROP_SKIP") && import.status().is_ok_and(|status| status.success());
    if found { Some(python) } else { missing(name) }
}

/// Where `.ci/run` installs peers that are no system packages.
pub fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interop")
}

fn missing(name: &str) -> Option<PathBuf> {
    let optional = std::env::var("INTEROP_OPTIONAL").unwrap_or_default();
    assert!(!is_set("INTEROP_REQUIRED") || optional.split(',').any(|other| other == name), "{name} is not installed");
    let why = if is_set("INTEROP_SKIP") { " asked for (INTEROP_SKIP=1)" } else { " found" };
    eprintln!("skipped: {name} not{why}");
    None
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == "1")
}

/// A UDP port that was free on 127.0.0.1 a moment ago, for a peer that cannot choose one itself.
///
/// # Panics
///
/// The system has no port left.
pub fn free_udp_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    socket.local_addr().expect("an address").port()
}

/// A TCP port that was free on 127.0.0.1 a moment ago, for a peer that cannot choose one itself.
///
/// # Panics
///
/// The system has no port left.
pub fn free_tcp_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Asks `condition` until it says yes.
///
/// # Panics
///
/// It does not within `limit`; `what` says what was waited for.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
