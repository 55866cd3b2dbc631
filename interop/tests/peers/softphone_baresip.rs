//! Our own telephone with baresip as the far end: called and calling, directly and through softswitch, over every transport that
//! baresip has.

use crate::softphone::{DATA, Phone};
use interop::{Peer, Scratch, Softswitch, free_udp_port, own_program, program, wait_until};
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);

/// baresip, with a folder of settings of its own.
struct Baresip {
    peer: Peer,
    port: u16,
}

impl Baresip {
    /// Starts one with this account and this command to begin with, and waits until it is ready.
    fn start(program: &Path, account: &str, command: Option<&str>, scratch: &Scratch) -> Baresip {
        let port = free_pair();
        let folder = scratch.path().join(format!("baresip-{port}"));
        fs::create_dir_all(&folder).expect("a folder");
        let read = |name: &str| fs::read_to_string(format!("{DATA}/{name}")).expect("a file");
        let certificate = folder.join("certificate.pem");
        fs::write(&certificate, read("cert.pem") + &read("key.pem")).expect("a certificate");
        // A bridge sends back what it plays: sound without a sound card.
        let config = format!(
            "sip_listen 127.0.0.1:{port}\nsip_certificate {}\nsip_cafile {DATA}/ca.pem\nmodule_path {}\n\
             audio_player aubridge,far\naudio_source aubridge,far\naudio_alert aubridge,alert\n\
             module g711.so\nmodule aubridge.so\nmodule_app account.so\nmodule_app menu.so\n",
            certificate.display(),
            modules().display(),
        );
        fs::write(folder.join("config"), config).expect("a configuration");
        fs::write(folder.join("accounts"), format!("{account}\n")).expect("an account");
        fs::write(folder.join("contacts"), "").expect("no contacts");
        let mut baresip = Command::new(program);
        baresip.arg("-f").arg(&folder);
        if let Some(command) = command {
            baresip.args(["-e", command]);
        }
        let mut peer = Peer::start(&mut baresip, scratch);
        peer.wait_for_output("baresip is ready", LIMIT);
        Baresip { peer, port }
    }

    /// Waits until it has said this so often.
    fn until(&self, text: &str, count: usize) {
        wait_until(&format!("{count} times {text:?}"), LIMIT, || self.peer.output().matches(text).count() >= count);
    }
}

/// A port that is free for UDP and TCP, and the one behind it, where baresip listens for TLS.
fn free_pair() -> u16 {
    let mut port = 0;
    wait_until("two free ports in a row", LIMIT, || {
        port = free_udp_port();
        port < u16::MAX
            && [port, port + 1].iter().all(|&port| {
                UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
            })
    });
    port
}

/// Where Debian puts the modules of baresip.
fn modules() -> PathBuf {
    let multiarch = fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let places = multiarch.chain(["/usr/lib".into(), "/usr/local/lib".into()]).map(|lib| lib.join("baresip/modules"));
    places.into_iter().find(|folder| folder.join("menu.so").exists()).expect("the modules of baresip")
}

#[test]
fn it_calls_baresip() {
    let Some(program) = program("baresip") else { return };
    let scratch = Scratch::new("calls-baresip");
    own_program("softphone");
    let baresip = Baresip::start(&program, "<sip:bob@localhost>;regint=0;answermode=auto", None, &scratch);
    let authorities = format!("{DATA}/ca.pem");
    for (n, transport) in ["udp", "tcp", "tls"].into_iter().enumerate() {
        let port = baresip.port + u16::from(transport == "tls");
        let uri = format!("sip:bob@localhost:{port};transport={transport}");
        let arguments = ["--bind", "127.0.0.1", "--transport", transport, "--authorities", &authorities];
        let caller = Phone::start("caller", &[&arguments[..], &["--for", "1", "call", &uri]].concat(), &scratch);
        caller.finish().talked();
        baresip.until("incoming rtp for 'audio' established", n + 1);
        baresip.until("terminated (duration:", n + 1);
    }
}

#[test]
fn baresip_calls_it() {
    let Some(program) = program("baresip") else { return };
    let scratch = Scratch::new("baresip-calls");
    for transport in ["udp", "tcp"] {
        let port = free_pair();
        let bind = format!("127.0.0.1:{port}");
        let phone =
            Phone::start("callee", &["--bind", &bind, "--auto", "--for", "1", "--calls", "1", "answer"], &scratch);
        phone.until("listening", 1);
        let dial = format!("/dial sip:alice@127.0.0.1:{port};transport={transport}");
        let baresip = Baresip::start(&program, "<sip:bob@localhost>;regint=0", Some(&dial), &scratch);
        let ended = phone.finish();
        assert_eq!(ended.code, Some(0), "{}", ended.events);
        assert!(ended.number("ended", "rtp_sent") > 0, "{}", ended.events);
        baresip.until("incoming rtp for 'audio' established", 1);
        baresip.until("terminated (duration:", 1);
    }
}

#[test]
fn they_reach_each_other_through_softswitch() {
    let Some(program) = program("baresip") else { return };
    let scratch = Scratch::new("baresip-switch");
    let (cert, key) = (format!("{DATA}/cert.pem"), format!("{DATA}/key.pem"));
    let secure = ["--tls", "127.0.0.1:0", "--wss", "127.0.0.1:0", "--cert", &cert, "--key", &key];
    // No name is advertised: baresip would ask a DNS server for it.
    let users = ["--user", "alice:wonderland", "--user", "bob:builder"];
    let switch = Softswitch::start(&scratch, &[&secure[..], &users].concat());
    let authorities = format!("{DATA}/ca.pem");
    let phone = |transport: &str, rest: &[&str]| {
        let server = format!("localhost:{}", switch.address(transport).port());
        let own = ["--server", &server, "--transport", transport, "--user", "alice:wonderland"];
        Phone::start("alice", &[&own[..], &["--authorities", &authorities], rest].concat(), &scratch)
    };
    for (transport, ours) in [("udp", &["udp", "wss"][..]), ("tcp", &["tcp", "ws"]), ("tls", &["tls", "udp"])] {
        // It asks a DNS server even for this name.
        let server = format!("sip:127.0.0.1:{};transport={transport}", switch.address(transport).port());
        let account = format!(
            "<sip:bob@localhost>;outbound=\"{server}\";auth_user=bob;auth_pass=builder;regint=600;answermode=auto"
        );
        let baresip = Baresip::start(&program, &account, None, &scratch);
        baresip.until("200 OK", 1);
        for ours in ours {
            phone(ours, &["--for", "1", "call", "bob"]).finish().talked();
        }
        drop(baresip);
        if transport == "tls" {
            // The Record-Route that a caller over TLS gets is a sips: URI, which baresip cannot send to.
            continue;
        }
        let callee = phone(ours[0], &["--auto", "--for", "1", "--calls", "1", "answer"]);
        callee.until("registered", 1);
        let baresip = Baresip::start(&program, &account, Some("/dial sip:alice@localhost"), &scratch);
        assert_eq!(callee.finish().code, Some(0), "{transport}");
        baresip.until("terminated (duration:", 1);
    }
}
