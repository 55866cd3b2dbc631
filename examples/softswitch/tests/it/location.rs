//! Registrations in a file of SQLite: they are there after a restart, orderly or not; one process has the file at a time; and what
//! is no database is refused with a word.
#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::Server;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("softswitch-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("bindings.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The same port at each start: a binding over UDP belongs to the socket it came over.
fn arguments(port: u16, file: &Path) -> [String; 10] {
    let (udp, location) = (format!("127.0.0.1:{port}"), format!("sqlite:{}", file.display()));
    ["--udp", &udp, "--tcp", "none", "--ws", "none", "--drain", "0", "--location", &location].map(str::to_owned)
}

fn start(port: u16, file: &Path) -> Server {
    let arguments = arguments(port, file);
    Server::start(&arguments.each_ref().map(String::as_str))
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends a REGISTER, with a Contact or to ask which there are, and gives the answer.
fn register(server: SocketAddr, user: &str, cseq: u32, contact: Option<&str>) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let at = socket.local_addr().unwrap();
    let contact = contact.map_or_else(String::new, |contact| format!("Contact: {contact}\r\nExpires: 3600\r\n"));
    let request = format!(
        "REGISTER sip:localhost SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{user}{cseq}\r\nMax-Forwards: 70\r\n\
         To: <sip:{user}@localhost>\r\nFrom: <sip:{user}@localhost>;tag=1\r\nCall-ID: {user}\r\nCSeq: {cseq} REGISTER\r\n\
         {contact}Content-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), server).unwrap();
    let mut buffer = [0; 4096];
    let (len, _) = socket.recv_from(&mut buffer).unwrap();
    let answer = String::from_utf8_lossy(&buffer[..len]).into_owned();
    assert!(answer.starts_with("SIP/2.0 200"), "{answer}");
    answer
}

#[test]
fn registrations_are_there_after_a_restart() {
    let (folder, port) = (Folder::new("sqlite-restart"), free_port());
    let mut server = start(port, &folder.file());
    let udp = server.address("udp");
    register(udp, "alice", 1, Some("<sip:alice@192.0.2.1>;q=0.7;methods=\"INVITE, BYE\""));
    register(udp, "alice", 2, Some("<sip:alice@192.0.2.2>"));
    register(udp, "bob", 1, Some("<sip:bob@192.0.2.3>"));
    register(udp, "bob", 2, Some("<sip:bob@192.0.2.3>;expires=0"));
    server.signal("TERM");
    assert!(server.ended());

    let server = start(port, &folder.file());
    let udp = server.address("udp");
    let alice = register(udp, "alice", 3, None);
    assert!(alice.contains("<sip:alice@192.0.2.1>") && alice.contains("<sip:alice@192.0.2.2>"), "{alice}");
    assert!(alice.contains("q=0.7") && alice.contains("methods=\"INVITE, BYE\""), "{alice}");
    assert!(!register(udp, "bob", 3, None).contains("Contact"), "what was removed stays so");
    // The order of requests is kept, too: this one is older than the one before the restart.
    assert!(register(udp, "alice", 4, Some("<sip:alice@192.0.2.2>;expires=0")).contains("192.0.2.1"));
}

#[test]
fn registrations_are_there_after_a_crash() {
    let (folder, port) = (Folder::new("sqlite-crash"), free_port());
    let mut server = start(port, &folder.file());
    let journal = folder.file().with_extension("db-wal");
    let size = || fs::metadata(&journal).map_or(0, |file| file.len());
    let before = size();
    register(server.address("udp"), "alice", 1, Some("<sip:alice@192.0.2.1>"));
    // It is written behind the answer.
    let end = Instant::now() + Duration::from_secs(60);
    while size() == before {
        assert!(Instant::now() < end, "nothing is written");
        std::thread::sleep(Duration::from_millis(10));
    }
    server.signal("KILL");
    assert!(!server.ended());
    let server = start(port, &folder.file());
    assert!(register(server.address("udp"), "alice", 2, None).contains("<sip:alice@192.0.2.1>"));
}

#[test]
fn a_file_is_one_process_s_at_a_time() {
    let folder = Folder::new("sqlite-two");
    let first = start(free_port(), &folder.file());
    let arguments = arguments(free_port(), &folder.file());
    let error = Server::refused(&arguments.each_ref().map(String::as_str));
    assert!(error.contains("bindings.db: another process has it open"), "{error}");
    assert!(error.contains("redis://"), "{error}");
    // And the first one goes on.
    register(first.address("udp"), "alice", 1, Some("<sip:alice@192.0.2.1>"));
}

#[test]
fn what_is_no_database_is_refused_and_left_alone() {
    let folder = Folder::new("sqlite-corrupt");
    let text = "This is no database, but somebody may need it. ".repeat(100);
    fs::write(folder.file(), &text).unwrap();
    let arguments = arguments(free_port(), &folder.file());
    let error = Server::refused(&arguments.each_ref().map(String::as_str));
    assert!(error.contains("bindings.db: ") && error.contains("not a database"), "{error}");
    assert!(error.contains("move it away"), "{error}");
    assert_eq!(fs::read_to_string(folder.file()).unwrap(), text);
    let missing = folder.0.join("no/such/folder/x.db");
    let arguments = self::arguments(free_port(), &missing);
    let error = Server::refused(&arguments.each_ref().map(String::as_str));
    assert!(error.contains("no/such/folder/x.db: its folder does not exist"), "{error}");
    let error = Server::refused(&["--location", "sqlite:", "--udp", "0", "--tcp", "none", "--ws", "none"]);
    assert!(error.contains("names no file"), "{error}");
}
