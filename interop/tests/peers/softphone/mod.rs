//! Our own telephone as one end of a test: started, given keys, watched by its JSON events.
#![allow(dead_code, reason = "each test uses what it needs")]

use interop::{Scratch, own_program, wait_until};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Certificates for `localhost`, and the authority that made them.
pub(crate) const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/softswitch/tests/data");

/// A telephone that runs until it ends by itself or is dropped.
pub(crate) struct Phone {
    child: Child,
    log: PathBuf,
}

/// How a telephone ended.
pub(crate) struct Ended {
    /// Its exit code.
    pub(crate) code: Option<i32>,
    /// All its events, one a line.
    pub(crate) events: String,
}

impl Phone {
    /// Starts one with these arguments; `name` is for its log.
    pub(crate) fn start(name: &str, arguments: &[&str], scratch: &Scratch) -> Phone {
        let log = scratch.path().join(format!("phone-{name}.log"));
        let out = File::create(&log).expect("a log file");
        let mut command = Command::new(own_program("softphone"));
        command.args(["--json", "--ladder"]).args(arguments).current_dir(scratch.path());
        command.stdin(Stdio::piped()).stdout(out.try_clone().expect("a second handle")).stderr(out);
        Phone { child: command.spawn().expect("it starts"), log }
    }

    /// What it has told so far.
    pub(crate) fn events(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for the event of this name; `count`: how many of them there must have been.
    pub(crate) fn until(&self, event: &str, count: usize) {
        let text = format!("\"event\":\"{event}\"");
        wait_until(&format!("{count} times {event}"), LIMIT, || self.events().matches(&text).count() >= count);
    }

    /// Types a line.
    pub(crate) fn key(&mut self, line: &str) {
        let keyboard = self.child.stdin.as_mut().expect("a keyboard");
        writeln!(keyboard, "{line}").expect("it listens");
    }

    /// Tells it to end, which it may have done by itself by now.
    #[allow(dead_code, reason = "not every test that shares this file needs it")]
    pub(crate) fn quit(&mut self) {
        if let Some(keys) = self.child.stdin.as_mut() {
            let _ = writeln!(keys, "q");
        }
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ended {
        let mut code = None;
        wait_until("the telephone to end", LIMIT, || {
            let status = self.child.try_wait().expect("a child of ours");
            code = status.and_then(|status| status.code());
            status.is_some()
        });
        Ended { code, events: self.events() }
    }
}

impl Drop for Phone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {}\n{}---", self.log.display(), self.events());
        }
        // Both fail only if it has ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// A number of the last event of this name.
    pub(crate) fn number(&self, event: &str, value: &str) -> u64 {
        let event = format!("\"event\":\"{event}\"");
        let line = self.events.lines().rev().find(|line| line.contains(&event));
        let line = line.unwrap_or_else(|| panic!("no {event}:\n{}", self.events));
        let (_, rest) = line.split_once(&format!("\"{value}\":")).unwrap_or_else(|| panic!("no {value}: {line}"));
        rest.split([',', '}']).next().and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    /// That it ended well, with sound both ways.
    #[track_caller]
    pub(crate) fn talked(&self) {
        assert_eq!(self.code, Some(0), "{}", self.events);
        assert!(self.number("ended", "rtp_sent") > 0, "{}", self.events);
        assert!(self.number("ended", "rtp_received") > 0, "{}", self.events);
    }
}
