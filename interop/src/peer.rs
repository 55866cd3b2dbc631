//! A foreign program under test control. Owns the child process and its log; knows nothing of SIP.

use crate::{Scratch, wait_until};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// A peer that runs until it is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    log: PathBuf,
}

impl Peer {
    /// Starts `command` in the scratch folder, without standard input, its output going to a log there.
    ///
    /// # Panics
    ///
    /// The program cannot be started.
    pub fn start(command: &mut Command, scratch: &Scratch) -> Peer {
        let log = scratch.fresh("log");
        let output = File::create(&log).expect("a log file");
        let child = command
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Peer { child, log }
    }

    /// What the peer has printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Waits until the peer has printed `text`.
    ///
    /// # Panics
    ///
    /// It has not within `limit`, or it has ended without.
    pub fn wait_for_output(&mut self, text: &str, limit: Duration) {
        wait_until(&format!("the peer to print {text:?}"), limit, || {
            let ended = self.try_wait();
            let printed = self.output().contains(text);
            assert!(printed || ended.is_none(), "the peer ended before it printed {text:?}");
            printed
        });
    }

    /// Waits until the peer ends by itself.
    ///
    /// # Panics
    ///
    /// It has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let mut status = None;
        wait_until("the peer to end", limit, || {
            status = self.try_wait();
            status.is_some()
        });
        status.expect("waited for it")
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.try_wait().is_some()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- output of the peer\n{}---", self.output());
        }
        // Both fail only if the peer has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
