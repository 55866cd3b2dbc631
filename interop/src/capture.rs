//! What went over loopback, in the eyes of tshark.

use crate::{Peer, Scratch, wait_until};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long tshark may take to start or to end.
const LIMIT: Duration = Duration::from_secs(180);

/// A capture under way.
#[derive(Debug)]
pub struct Capture<'a> {
    tshark: &'a Path,
    peer: Peer,
    file: PathBuf,
    /// How to read each port: `udp.port==5060,sip`.
    decode: Vec<String>,
}

/// What was captured.
#[derive(Debug)]
pub struct Captured<'a> {
    tshark: &'a Path,
    file: PathBuf,
    decode: Vec<String>,
}

impl<'a> Capture<'a> {
    /// Captures everything from and to these ports: `("udp", 5060, "sip")`.
    ///
    /// # Panics
    ///
    /// tshark does not start.
    pub fn start(tshark: &'a Path, ports: &[(&str, u16, &str)], scratch: &Scratch) -> Capture<'a> {
        let file = scratch.path().join("capture.pcapng");
        let filter: Vec<String> = ports.iter().map(|(_, port, _)| format!("port {port}")).collect();
        let mut command = Command::new(tshark);
        command.args(["-i", "lo", "-q", "-f", &filter.join(" or "), "-w"]).arg(&file);
        let mut peer = Peer::start(&mut command, scratch);
        peer.wait_for_output("Capturing on", LIMIT);
        // It says so a moment before it does: what is sent until it is seen says when.
        let probe = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let target = ("127.0.0.1", ports.first().expect("a port").1);
        let size = || std::fs::metadata(&file).map_or(0, |file| file.len());
        let empty = size();
        wait_until("the capture to begin", LIMIT, || {
            // A keepalive: no message for whoever listens there. Nobody may: so be it.
            let _ = probe.send_to(b"\r\n\r\n", target);
            size() > empty.max(512)
        });
        let decode = ports.iter().map(|(kind, port, protocol)| format!("{kind}.port=={port},{protocol}")).collect();
        Capture { tshark, peer, file, decode }
    }

    /// Ends the capture.
    ///
    /// # Panics
    ///
    /// It does not end.
    pub fn finish(mut self) -> Captured<'a> {
        // What was captured last may still be on its way to the file: it is there when the file grows no more.
        let mut last = 0;
        wait_until("the capture to come to rest", LIMIT, || {
            std::thread::sleep(Duration::from_millis(1000));
            let size = std::fs::metadata(&self.file).map_or(0, |file| file.len());
            std::mem::replace(&mut last, size) == size
        });
        let stop = Command::new("kill").args(["-s", "INT", &self.peer.id().to_string()]).status().expect("kill");
        assert!(stop.success());
        self.peer.wait(LIMIT);
        Captured { tshark: self.tshark, file: self.file, decode: self.decode }
    }
}

impl Captured<'_> {
    /// The packets that a display filter lets pass, one a line.
    ///
    /// # Panics
    ///
    /// tshark cannot read the capture, or the filter.
    pub fn read(&self, filter: &str) -> String {
        let mut command = Command::new(self.tshark);
        command.arg("-r").arg(&self.file);
        for decode in &self.decode {
            command.args(["-d", decode]);
        }
        let output = command.args(["-Y", filter]).output().expect("tshark");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
