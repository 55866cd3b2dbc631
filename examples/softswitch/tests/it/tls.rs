//! TLS, WSS and the web page, by clients that check the certificate; and calls to others over TLS.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

use crate::common::{Server, data, options};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(address: SocketAddr) -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(data("ca.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

fn read_until(stream: &mut impl std::io::Read, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&text).contains(end) {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn secure() -> Server {
    Server::start(&[
        "--udp",
        "none",
        "--tcp",
        "none",
        "--ws",
        "none",
        "--tls",
        "127.0.0.1:0",
        "--wss",
        "127.0.0.1:0",
        "--cert",
        &data("cert.pem"),
        "--key",
        &data("key.pem"),
    ])
}

#[test]
fn a_request_over_tls_is_answered_over_tls() {
    let server = secure();
    let mut stream = connect(server.address("tls"));
    stream.write_all(options("TLS").as_bytes()).unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n");
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    // A keepalive of RFC 5626 on the same connection.
    stream.write_all(b"\r\n\r\n").unwrap();
    assert_eq!(read_until(&mut stream, "\r\n"), "\r\n");
}

#[test]
fn the_page_and_sip_come_over_the_same_secure_port() {
    let server = secure();
    let mut stream = connect(server.address("wss"));
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<title>softswitch telephone</title>"), "{page}");
    assert!(page.contains("Content-Security-Policy: "), "{page}");

    let mut stream = connect(server.address("wss"));
    let upgrade = |origin: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: localhost:1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: sip\r\n\r\n"
        )
    };
    stream.write_all(upgrade("https://localhost:8443").as_bytes()).unwrap();
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    // One masked text frame, the mask of zeros.
    let request = options("WSS");
    let len = u16::try_from(request.len()).unwrap().to_be_bytes();
    stream.write_all(&[&[0x81, 0xfe, len[0], len[1], 0, 0, 0, 0], request.as_bytes()].concat()).unwrap();
    let answer = read_frame(&mut stream);
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");

    // A page of another site is turned away.
    let mut stream = connect(server.address("wss"));
    stream.write_all(upgrade("https://elsewhere.example").as_bytes()).unwrap();
    let head = read_until(&mut stream, "\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

fn read_frame(stream: &mut Tls) -> String {
    let mut head = [0; 4];
    stream.read_exact(&mut head).unwrap();
    assert_eq!((head[0], head[1]), (0x81, 126), "a text frame of middle length");
    let mut text = vec![0; usize::from(u16::from_be_bytes([head[2], head[3]]))];
    stream.read_exact(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn others_are_called_over_tls_if_their_certificate_is_good() {
    let callee = secure();
    let route = format!("x=sips:echo@localhost:{}", callee.address("tls").port());
    let caller = |more: &[&str]| {
        let own = ["--udp", "none", "--ws", "none", "--tcp", "127.0.0.1:0", "--route", &route];
        Server::start(&[&own, more].concat())
    };
    assert_eq!(options_to_x(&caller(&["--authorities", &data("ca.pem")])), "SIP/2.0 200 OK");
    // The authority of the callee is not among those of the system.
    let answer = options_to_x(&caller(&[]));
    assert!(answer.starts_with("SIP/2.0 5"), "{answer}");
}

#[test]
fn a_file_without_certificates_is_refused_at_the_start() {
    let error =
        Server::refused(&["--udp", "none", "--ws", "none", "--tcp", "127.0.0.1:0", "--authorities", &data("key.pem")]);
    assert!(error.contains("no certificate in it"), "{error}");
}

/// The status line of the final answer to an OPTIONS to user x.
fn options_to_x(server: &Server) -> String {
    let mut stream = TcpStream::connect(server.address("tcp")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(options("TCP").replace("sip:localhost SIP", "sip:x@localhost SIP").as_bytes()).unwrap();
    loop {
        let answer = read_until(&mut stream, "\r\n\r\n");
        let line = answer.lines().next().unwrap_or_default().to_owned();
        if !line.starts_with("SIP/2.0 1") {
            return line;
        }
    }
}
