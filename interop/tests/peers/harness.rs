//! The harness itself, with a peer that every system has.

use interop::{Peer, Scratch};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn a_peer_prints_and_ends() {
    let scratch = Scratch::new("prints");
    let script = scratch.write("script", "echo ready; exit 3");
    let mut peer = Peer::start(Command::new("sh").arg(script), &scratch);
    peer.wait_for_output("ready", LIMIT);
    assert_eq!(peer.wait(LIMIT).code(), Some(3));
}

#[test]
fn a_dropped_peer_is_ended_and_its_folder_removed() {
    let scratch = Scratch::new("dropped");
    let mut peer = Peer::start(Command::new("sh").args(["-c", "echo up; exec sleep 600"]), &scratch);
    peer.wait_for_output("up", LIMIT);
    let folder = scratch.path().to_owned();
    drop(peer);
    drop(scratch);
    assert!(!folder.exists());
}

#[test]
#[should_panic(expected = "ended before it printed")]
fn a_peer_that_ends_early_fails_the_test_at_once() {
    let scratch = Scratch::new("early");
    let mut peer = Peer::start(Command::new("sh").args(["-c", "exit 0"]), &scratch);
    peer.wait_for_output("never", LIMIT);
}
