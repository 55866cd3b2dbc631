//! Our own server as a peer under test: built if need be, started on ports of its own, watched.

use crate::{Peer, Scratch};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// The path of a program of this workspace, built with the profile of the tests, into the same folder; with
/// `INTEROP_PREBUILT=1` what lies there is taken as it is.
///
/// # Panics
///
/// It cannot be built.
pub fn own_program(package: &'static str) -> PathBuf {
    static BUILT: OnceLock<std::sync::Mutex<Vec<&'static str>>> = OnceLock::new();
    let test = std::env::current_exe().expect("the path of this test");
    // target/PROFILE/deps/test-hash, or target/PROFILE/program
    let beside = test.parent().expect("a folder");
    let folder = if beside.ends_with("deps") { beside.parent().expect("a folder of the profile") } else { beside };
    let folder = folder.to_owned();
    if std::env::var_os("INTEROP_PREBUILT").is_some_and(|value| value == "1") {
        return folder.join(package);
    }
    let mut built = BUILT.get_or_init(Default::default).lock().expect("no panic while building");
    if !built.contains(&package) {
        let profile = match folder.file_name().and_then(|name| name.to_str()) {
            Some("debug") | None => "dev",
            Some(other) => other,
        };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--package", package, "--profile", profile, "--target-dir"]);
        command.arg(folder.parent().expect("a target folder"));
        // What cargo says of the package of this test would be news to build scripts: they would run again, and again without it.
        for (name, _) in std::env::vars_os() {
            let begins = |with: &str| name.to_string_lossy().starts_with(with);
            if begins("CARGO_PKG_") || begins("CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        let status = command.current_dir(env!("CARGO_MANIFEST_DIR")).stdin(Stdio::null()).status().expect("cargo");
        assert!(status.success(), "{package} does not build");
        built.push(package);
    }
    folder.join(package)
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
