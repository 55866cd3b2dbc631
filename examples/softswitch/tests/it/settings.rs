//! Where settings come from, and what is read again on SIGHUP, of a process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Server, data};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn scratch(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("softswitch-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_command_line_counts_before_the_environment_before_the_file() {
    let folder = scratch("settings");
    let file = folder.join("config.toml");
    fs::write(&file, "udp = [\"127.0.0.1:0\"]\ntcp = \"none\"\nws = \"none\"\nmax_per_source = 7\n").unwrap();
    let server = Server::start_with(
        Command::new(env!("CARGO_BIN_EXE_softswitch"))
            .args(["--config", file.to_str().unwrap(), "--ws", "0"])
            .env("SOFTSWITCH_TCP", "0 127.0.0.1:0")
            .env("SOFTSWITCH_WS", "none"),
    );
    let listening: Vec<_> = server.transports().collect();
    assert_eq!(listening, ["udp", "tcp", "tcp", "ws"]);
    fs::write(&file, "udp = 5060\nfrobnicate = true\n").unwrap();
    let error = Server::refused(&["--config", file.to_str().unwrap()]);
    assert!(error.contains("frobnicate") && error.contains("config.toml"), "{error}");
    fs::remove_dir_all(folder).unwrap();
}

/// Whose secret is for an algorithm that nobody is asked for could never log in, and would not know why.
#[test]
fn users_who_cannot_log_in_are_told_of_at_the_start() {
    let folder = scratch("users");
    let (users, log) = (folder.join("users"), folder.join("log"));
    fs::write(&users, format!("anna:localhost:{}\nbert:localhost:{}\n", "a".repeat(64), "9".repeat(32))).unwrap();
    for (digest, told) in [("md5", Some("MD5")), ("sha-256", Some("SHA-256")), ("sha-256,md5", None)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_softswitch"));
        command.args(["--udp", "127.0.0.1:0", "--tcp", "none", "--ws", "none", "--digest", digest]);
        command.args(["--users", users.to_str().unwrap()]).stderr(fs::File::create(&log).unwrap());
        drop(Server::start_with(&mut command));
        let log = fs::read_to_string(&log).unwrap();
        let line = told.map(|told| format!("users without a secret for --digest {told} cannot log in: 1"));
        assert!(line.is_none_or(|line| log.contains(&line)), "{digest}: {log}");
        assert_eq!(log.contains("cannot log in"), told.is_some(), "{digest}: {log}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_password_is_not_repeated_in_an_error() {
    for wrong in [&["--user", "hunter2"][..], &["--user", ":hunter2"], &["--user", "a:hunter2", "--udp", "x"]] {
        let error = Server::refused(wrong);
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn help_and_version_need_nothing() {
    for (option, said) in [("--help", "usage: softswitch"), ("--version", "softswitch 0.")] {
        let output = Command::new(env!("CARGO_BIN_EXE_softswitch")).arg(option).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(String::from_utf8(output.stdout).unwrap().contains(said));
    }
}

#[test]
fn what_cannot_work_later_is_refused_at_the_start() {
    let folder = scratch("refused");
    let no_pem = folder.join("no.pem");
    fs::write(&no_pem, "not PEM").unwrap();
    let (no_pem, nowhere) = (no_pem.to_str().unwrap(), folder.join("no/such/folder/state"));
    for (option, value, said) in [
        ("--authorities", no_pem, format!("--authorities {no_pem}: no certificate in it")),
        ("--state", nowhere.to_str().unwrap(), format!("--state {}: No such file", nowhere.display())),
        ("--state", folder.to_str().unwrap(), format!("--state {}: ", folder.display())),
        ("-x", "", "'-x'; --help lists the options".to_owned()),
    ] {
        let error = Server::refused(&["--udp", "0", "--tcp", "none", "--ws", "none", option, value]);
        assert!(error.starts_with("softswitch: ") && error.contains(&said), "{option} {value}: {error}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing is left behind");
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_certificate_is_read_again_on_sighup_and_open_connections_stay() {
    let folder = scratch("certificate");
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let install = |name: &str| {
        fs::copy(data(&format!("{name}cert.pem")), &cert).unwrap();
        fs::copy(data(&format!("{name}key.pem")), &key).unwrap();
    };
    let certificate =
        |name: &str| CertificateDer::from_pem_file(data(&format!("{name}cert.pem"))).unwrap().as_ref().to_vec();
    install("");
    let files = ["--cert", cert.to_str().unwrap(), "--key", key.to_str().unwrap()];
    let log = folder.join("log");
    let mut command = Command::new(env!("CARGO_BIN_EXE_softswitch"));
    command.args(["--udp", "none", "--tcp", "none", "--ws", "none", "--tls", "0"]).args(files);
    let server = Server::start_with(command.stderr(fs::File::create(&log).unwrap()));
    let address = server.address("tls");
    let mut open = connect(address);
    assert_eq!(shown(&open), certificate(""));

    // What cannot be read changes nothing.
    fs::write(&key, "nonsense").unwrap();
    server.signal("HUP");
    until("the refusal", || fs::read_to_string(&log).unwrap().contains("the certificate stays as it is"));
    install("other-");
    assert_eq!(shown(&connect(address)), certificate(""));
    server.signal("HUP");
    until("the new certificate", || shown(&connect(address)) == certificate("other-"));
    open.write_all(b"\r\n\r\n").unwrap();
    let mut pong = [0; 2];
    open.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    fs::remove_dir_all(folder).unwrap();
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn shown(stream: &Tls) -> Vec<u8> {
    stream.conn.peer_certificates().unwrap()[0].as_ref().to_vec()
}

/// Connects whatever the certificate is.
fn connect(address: SocketAddr) -> Tls {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut connection = ClientConnection::new(Arc::new(config), name).unwrap();
    while connection.is_handshaking() {
        connection.complete_io(&mut stream).unwrap();
    }
    StreamOwned::new(connection, stream)
}

#[derive(Debug)]
struct Anybody(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
