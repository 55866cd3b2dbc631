//! SIPp: one run of a scenario, and what it counted.

use crate::{Peer, Scratch};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long a run may take; most end themselves long before.
const LONGEST: Duration = Duration::from_secs(600);

/// How long it may take to start.
const START: Duration = Duration::from_secs(30);

/// A run of SIPp to be started.
#[derive(Debug)]
pub struct Sipp<'a> {
    program: &'a Path,
    scenario: &'a str,
    remote: SocketAddr,
    arguments: Vec<String>,
}

/// A run under way.
#[derive(Debug)]
pub struct Running {
    peer: Peer,
    statistics: PathBuf,
    name: String,
}

/// What a run counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that went as the scenario says.
    pub successful: u64,
    /// Calls that did not.
    pub failed: u64,
    /// Messages sent again.
    pub retransmissions: u64,
}

impl<'a> Sipp<'a> {
    /// `scenario`: the name of a file in `scenarios/`, without its ending. `remote`: whom to send to.
    pub fn new(program: &'a Path, scenario: &'a str, remote: SocketAddr) -> Sipp<'a> {
        Sipp { program, scenario, remote, arguments: Vec::new() }.with(&["-i", "127.0.0.1"])
    }

    /// With more arguments.
    #[must_use]
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// From this port.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        self.with(&["-p", &port.to_string()])
    }

    /// So many calls, so many of them begun in a second.
    #[must_use]
    pub fn calls(self, calls: u32, rate: u32) -> Self {
        self.with(&["-m", &calls.to_string(), "-r", &rate.to_string()])
    }

    /// Starts it. If it listens for datagrams on a port that was chosen for it, it does so when this returns: what is sent there before
    /// would be known to have reached nobody.
    ///
    /// # Panics
    ///
    /// It does not start.
    pub fn start(self, scratch: &Scratch) -> Running {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let statistics = scratch.path().join(format!("{}-{}.csv", self.scenario, self.remote.port()));
        let mut command = Command::new(self.program);
        command.arg(self.remote.to_string());
        command.arg("-sf").arg(scenarios.join(self.scenario).with_extension("xml"));
        command.args(["-nostdin", "-trace_stat", "-fd", "1", "-trace_err", "-stf"]).arg(&statistics);
        command.args(["-timeout", "60s", "-timeout_error"]).args(&self.arguments);
        let value_of = |name: &str| {
            let at = self.arguments.iter().position(|argument| argument == name)?;
            self.arguments.get(at + 1)
        };
        let chosen = value_of("-p").and_then(|port| port.parse().ok());
        if chosen.is_none() {
            // By itself it takes the first it finds, which another one may be about to take.
            command.args(["-p", &free_port().to_string()]);
        }
        let mut peer = Peer::start(&mut command, scratch);
        let datagrams = value_of("-t").is_none_or(|transport| transport.starts_with('u'));
        if let Some(port) = chosen.filter(|_| datagrams) {
            crate::wait_until("SIPp to listen", START, || is_bound(port) || peer.has_ended());
        }
        Running { peer, statistics, name: self.scenario.to_owned() }
    }

    /// Runs it to its end.
    ///
    /// # Panics
    ///
    /// A call failed, or it did not end.
    pub fn run(self, scratch: &Scratch) -> Counts {
        self.start(scratch).finish()
    }
}

impl Running {
    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// A call failed, or it did not end.
    pub fn finish(self) -> Counts {
        let name = self.name.clone();
        let (success, counts) = self.outcome();
        assert!(success, "SIPp {name}: {counts:?}");
        counts
    }

    /// Waits for its end, and tells whether all calls went well.
    ///
    /// # Panics
    ///
    /// It did not end.
    pub fn outcome(mut self) -> (bool, Counts) {
        let status = self.peer.wait(LONGEST);
        (status.success(), counts(&self.statistics))
    }
}

/// Whether a socket has this UDP port. Where the system does not tell, it is taken to have one: to try would be in its way.
fn is_bound(port: u16) -> bool {
    let Ok(table) = std::fs::read_to_string("/proc/net/udp") else { return true };
    let local = format!(":{port:04X}");
    table.lines().filter_map(|line| line.split_whitespace().nth(1)).any(|address| address.ends_with(&local))
}

/// Reads the last line of a statistics file.
fn counts(file: &Path) -> Counts {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.last().unwrap_or_default().split(';').collect();
    let value = |name: &str| {
        let place = names.iter().position(|known| *known == name)?;
        last.get(place)?.parse().ok()
    };
    Counts {
        successful: value("SuccessfulCall(C)").unwrap_or(0),
        failed: value("FailedCall(C)").unwrap_or(0),
        retransmissions: value("Retransmissions(C)").unwrap_or(0),
    }
}

/// A port that is free for UDP and for TCP.
fn free_port() -> u16 {
    let is_free = |port: &u16| UdpSocket::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    (0..100).map(|_| crate::free_tcp_port()).find(is_free).expect("a free port")
}
