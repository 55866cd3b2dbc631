//! JsSIP in headless Chromium: windows with a telephone each. What they do is in `browser/scenarios.mjs`; here such a
//! scenario is started, and its SIP messages are read.
#![allow(dead_code, reason = "each test uses what it needs")]

use interop::{Peer, Scratch, Softswitch, npm_package, program};
use sip_message::{Header, Message, NameAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a scenario may take.
const LIMIT: Duration = Duration::from_secs(240);

/// The users that the windows register, with their passwords.
pub(crate) const USERS: [&str; 6] = ["--user", "alice:wonderland", "--user", "bob:builder", "--user", "carol:singer"];

/// A browser, ready to be started.
pub(crate) struct Browser {
    node: PathBuf,
    chromium: PathBuf,
    modules: PathBuf,
}

/// A scenario under way.
pub(crate) struct Running {
    pub(crate) peer: Peer,
    wire: PathBuf,
}

/// A SIP message that a window sent or received.
pub(crate) struct Seen {
    pub(crate) user: String,
    pub(crate) sent: bool,
    pub(crate) message: Message,
}

impl Browser {
    /// `None` if the test is to be skipped.
    pub(crate) fn find() -> Option<Browser> {
        let (node, chromium) = (program("node")?, program("chromium")?);
        let (jssip, _) = (npm_package("jssip")?, npm_package("playwright-core")?);
        let modules = jssip.parent()?.canonicalize().expect("the folder of a package");
        Some(Browser { node, chromium, modules })
    }

    /// The `node_modules` with JsSIP.
    pub(crate) fn modules(&self) -> &str {
        self.modules.to_str().expect("a path in UTF-8")
    }

    /// Starts a scenario against a server; `target` is for those that call somebody outside of the browser.
    pub(crate) fn start(&self, scenario: &str, switch: &Softswitch, target: &str, scratch: &Scratch) -> Running {
        let wire = scratch.path().join(format!("{scenario}.wire"));
        // The server takes connections from pages of its own host only: so it goes by the name of the page's.
        let server = format!("ws://localhost:{}/", switch.address("ws").port());
        let (modules, chromium) = (&self.modules, &self.chromium);
        let settings = format!(
            "{{\"scenario\":{scenario:?},\"server\":{server:?},\"target\":{target:?},\"modules\":{modules:?},\
             \"chromium\":{chromium:?},\"wire\":{wire:?}}}"
        );
        let run = concat!(env!("CARGO_MANIFEST_DIR"), "/browser/run.mjs");
        Running { peer: Peer::start(Command::new(&self.node).args([run, &settings]), scratch), wire }
    }
}

impl Running {
    /// Waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) -> Vec<Seen> {
        let status = self.peer.wait(LIMIT);
        assert!(status.success(), "{status}");
        messages(&std::fs::read(&self.wire).expect("the messages"))
    }
}

/// Reads messages, each behind a line of user, direction and length.
fn messages(mut rest: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("text");
        let [user, direction, length] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let from = end + 1;
        let to = from + length.parse::<usize>().expect("a length");
        let message = Message::parse(rest[from..to].to_vec().into()).expect("a SIP message");
        seen.push(Seen { user: user.to_owned(), sent: direction == "sent", message });
        rest = &rest[to..];
    }
    seen
}

/// Runs a scenario between windows alone.
pub(crate) fn between_windows(scenario: &str) {
    let Some(browser) = Browser::find() else { return };
    let scratch = Scratch::new(scenario);
    let mut arguments = vec!["--udp", "none", "--tcp", "none", "--web-modules", browser.modules()];
    arguments.extend(USERS);
    let switch = Softswitch::start(&scratch, &arguments);
    let seen = browser.start(scenario, &switch, "", &scratch).finish();
    for Seen { user, message, .. } in &seen {
        assert!(message.check_grammar().is_ok(), "{user}: {message:?}");
    }
    let log = switch.peer.output();
    assert!(!USERS.iter().any(|user| user.split_once(':').is_some_and(|(_, secret)| log.contains(secret))), "{log}");
}

/// The URIs of a header field whose values are addresses.
pub(crate) fn uris(message: &Message, header: Header) -> Vec<String> {
    let values = message.values::<NameAddr<'_>>(header);
    values.map(|value| String::from_utf8_lossy(value.expect("an address").uri_bytes()).into_owned()).collect()
}
