//! Telephones that others made, three of each, that reach each other through softswitch alone. What they do is in
//! `peers/pjsip.py` and `peers/linphone.py`.

use interop::{Peer, Scratch, Softswitch, program, python_with};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// How long all of it may take; it takes some seconds.
const LIMIT: Duration = Duration::from_secs(120);

const PASSWORDS: [&str; 3] = ["alice:wonderland", "bob:builder", "carol:singer"];

/// Runs a scenario over this transport.
fn talk(python: &Path, script: &str, transport: &str) {
    let scratch = Scratch::new(script);
    let users = PASSWORDS.map(|user| ["--user", user]);
    let switch = Softswitch::start(&scratch, &[&["--domain", "localhost"], users.as_flattened()].concat());
    let mut scenario = Command::new(python);
    scenario.arg(format!("{}/peers/{script}.py", env!("CARGO_MANIFEST_DIR"))).arg(transport);
    scenario.arg(switch.address(transport).to_string()).env("PASSWORDS", PASSWORDS.join(" "));
    let mut telephones = Peer::start(&mut scenario, &scratch);
    let status = telephones.wait(LIMIT);
    assert!(status.success() && telephones.output().contains("all is well"), "{status}");
}

#[test]
fn pjsip_over_udp() {
    let Some(python) = python_with("pjsua2") else { return };
    talk(&python, "pjsip", "udp");
}

#[test]
fn pjsip_over_tcp() {
    let Some(python) = python_with("pjsua2") else { return };
    talk(&python, "pjsip", "tcp");
}

#[test]
fn linphone_over_udp() {
    let (Some(python), Some(_)) = (program("python3"), program("linphonec")) else { return };
    talk(&python, "linphone", "udp");
}

#[test]
fn linphone_over_tcp() {
    let (Some(python), Some(_)) = (program("python3"), program("linphonec")) else { return };
    talk(&python, "linphone", "tcp");
}
