//! Presence: our own telephone watches somebody who registers, publishes and goes, through softswitch; and whoever wants the
//! telephones to answer for themselves can have that.

use crate::softphone::Phone;
use interop::{Scratch, Sipp, Softswitch, free_udp_port, program};

fn phone(name: &str, user: &str, switch: &Softswitch, rest: &[&str], scratch: &Scratch) -> Phone {
    let server = format!("localhost:{}", switch.address("udp").port());
    Phone::start(name, &[&["--server", &server, "--user", user], rest].concat(), scratch)
}

#[test]
fn a_watcher_is_told_who_comes_and_goes() {
    let scratch = Scratch::new("presence");
    // Watcher and watched are of different shards, or of the same: both must do.
    let users = ["--workers", "3", "--user", "alice:wonderland", "--user", "bob:builder"];
    let switch = Softswitch::start(&scratch, &users);
    let mut watchers: Vec<_> =
        (0..4).map(|n| phone(&n.to_string(), "alice:wonderland", &switch, &["subscribe", "bob"], &scratch)).collect();
    for watcher in &watchers {
        watcher.until("notify", 1);
        assert!(watcher.events().contains("<basic>closed</basic>"), "{}", watcher.events());
    }
    let mut bob = phone("bob", "bob:builder", &switch, &["register"], &scratch);
    for watcher in &watchers {
        watcher.until("notify", 2);
        assert!(watcher.events().contains("<basic>open</basic>"), "{}", watcher.events());
    }
    bob.key("q");
    assert_eq!(bob.finish().code, Some(0));
    for watcher in &mut watchers {
        watcher.until("notify", 3);
        watcher.key("q");
    }
    for watcher in watchers {
        let ended = watcher.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.events);
        assert_eq!(ended.events.matches("<basic>closed</basic>").count(), 3, "the last NOTIFY too: {}", ended.events);
        assert!(ended.events.contains("unsubscribed"), "{}", ended.events);
    }
    let refused =
        |user: &str, whom: &str| phone("refused", user, &switch, &["subscribe", whom], &scratch).finish().code;
    assert_eq!(refused("alice:guess", "bob"), Some(5));
    assert_eq!(refused("alice:wonderland", "nobody"), Some(7));
}

#[test]
fn what_is_published_is_told_until_it_is_removed() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("publish");
    let switch = Softswitch::start(&scratch, &[]);
    let mut watcher = phone("watcher", "alice", &switch, &["subscribe", "bob"], &scratch);
    watcher.until("notify", 1);
    Sipp::new(&sipp, "uac-publish", switch.address("udp")).with(&["-s", "bob"]).calls(1, 1).run(&scratch);
    watcher.until("notify", 4);
    let events = watcher.events();
    let told: Vec<&str> = events.lines().filter(|line| line.contains("\"notify\"")).collect();
    for (line, text) in told.iter().zip(["closed", "in a meeting", "at lunch", "closed"]) {
        assert!(line.contains(text), "{text}: {line}");
    }
    watcher.key("q");
    assert_eq!(watcher.finish().code, Some(0));
}

#[test]
fn telephones_answer_for_themselves_if_that_is_wanted() {
    let Some(sipp) = program("sipp") else { return };
    let scratch = Scratch::new("presence-phones");
    let switch = Softswitch::start(&scratch, &["--presence", "phones"]);
    let (udp, port) = (switch.address("udp"), free_udp_port());
    let bob = |scenario| Sipp::new(&sipp, scenario, udp).with(&["-s", "bob"]).port(port).calls(1, 1);
    bob("register-open").run(&scratch);
    let notifier = bob("uas-subscribe").start(&scratch);
    let mut watcher = phone("watcher", "alice", &switch, &["subscribe", "bob"], &scratch);
    watcher.until("notify", 1);
    assert!(watcher.events().contains("on the phone"), "{}", watcher.events());
    watcher.key("q");
    assert_eq!(watcher.finish().code, Some(0));
    assert_eq!(notifier.finish().successful, 1);
}
