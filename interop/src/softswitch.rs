//! Our own server as a peer under test: built if need be, started on ports of its own, watched.

use crate::{Peer, Scratch};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// The path of `softswitch` or `softphone`, built with the profile of the test that asks, into the same folder; with
/// `INTEROP_PREBUILT=1` what lies there is taken as it is.
///
/// # Panics
///
/// They cannot be built.
pub fn own_program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let this = std::env::current_exe().expect("the path of this program");
    // target/PROFILE/deps/test-hash, or target/PROFILE/program
    let beside = this.parent().expect("a folder");
    let is_test = beside.ends_with("deps");
    let folder = if is_test { beside.parent().expect("a folder of the profile") } else { beside };
    if std::env::var_os("INTEROP_PREBUILT").is_none_or(|value| value != "1") {
        BUILT.get_or_init(|| build_own_programs(folder, if is_test { test_name(&this) } else { None }));
    }
    folder.join(name)
}

/// The name of a test program: its file's without the hash.
fn test_name(program: &Path) -> Option<&str> {
    Some(program.file_stem()?.to_str()?.rsplit_once('-')?.0)
}

/// Lets cargo see to it that the programs are as new as their sources.
fn build_own_programs(folder: &Path, test: Option<&str>) {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--bin", "softswitch", "--bin", "softphone", "--profile", profile]);
    command.arg("--target-dir").arg(folder.parent().expect("a target folder"));
    match test {
        // The features are those of `cargo test --workspace` then, which depend on what is chosen: with others all would be
        // compiled once more.
        Some(test) => command.args(["--workspace", "--test", test]),
        None => command.args(["--package", "softswitch", "--package", "softphone"]),
    };
    // What cargo says of the package of this test would be news to build scripts: they would run again, and again without it.
    for (name, _) in std::env::vars_os() {
        let begins = |with: &str| name.to_string_lossy().starts_with(with);
        if begins("CARGO_PKG_") || begins("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    // Where the test is of: a target folder may have served another checkout before.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let status = command.current_dir(here).stdin(Stdio::null()).status().expect("cargo");
    assert!(status.success(), "softswitch and softphone do not build");
}

/// A softswitch under test.
#[derive(Debug)]
pub struct Softswitch {
    /// The process.
    pub peer: Peer,
    listening: Vec<(String, SocketAddr)>,
}

impl Softswitch {
    /// Starts one with free ports on loopback for UDP, TCP and WebSocket, unless `arguments` say otherwise, and waits until it is
    /// ready.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start(scratch: &Scratch, arguments: &[&str]) -> Softswitch {
        let mut command = Command::new(own_program("softswitch"));
        for flag in ["--udp", "--tcp", "--ws"] {
            if !arguments.contains(&flag) {
                command.args([flag, "127.0.0.1:0"]);
            }
        }
        let mut peer = Peer::start(command.args(arguments), scratch);
        peer.wait_for_output("softswitch ready", START);
        let listening = peer.output().lines().filter_map(listener).collect();
        Softswitch { peer, listening }
    }

    /// Where it listens with this transport: `udp`, `tcp`, `tls`, `ws` or `wss`.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn address(&self, transport: &str) -> SocketAddr {
        let found = self.listening.iter().find(|(on, _)| on == transport);
        found.unwrap_or_else(|| panic!("not listening on {transport}: {}", self.peer.output())).1
    }

    /// Sends it a signal, such as `TERM`.
    ///
    /// # Panics
    ///
    /// There is no `kill`.
    pub fn signal(&self, name: &str) {
        let id = self.peer.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(status.success());
    }
}

/// Reads `listening on udp  127.0.0.1:5060 ...`.
fn listener(line: &str) -> Option<(String, SocketAddr)> {
    let mut words = line.strip_prefix("listening on ")?.split_whitespace();
    Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
}
