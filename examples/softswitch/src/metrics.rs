//! Figures for Prometheus, and the smallest HTTP server that can hand them out.

use crate::link::{Guests, Shards, ToShard};
use crate::log::log;
use sip_transaction::Counters;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The figures of one shard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) endpoint: Counters,
    pub(crate) transactions: usize,
    pub(crate) flows: usize,
    pub(crate) registrations: u64,
    pub(crate) refused_credentials: u64,
    pub(crate) datagrams_not_sent: u64,
    pub(crate) slow_readers: u64,
}

/// Datagrams thrown away because their shard had no room.
pub(crate) static OVERRUN: AtomicU64 = AtomicU64::new(0);

/// Answers scrapes until the process ends. One at a time: there is one Prometheus.
pub(crate) async fn serve(listener: TcpListener, shards: Shards, guests: Guests, bindings: impl Fn() -> usize) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let text = text(&gather(&shards).await, guests.count(), bindings());
                let _ = timeout(Duration::from_secs(5), answer(stream, &text)).await;
            }
            Err(error) => {
                log!(Warn, "cannot accept on the port of the metrics: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn answer(mut stream: TcpStream, text: &str) -> std::io::Result<()> {
    let mut head = [0; 2048];
    let mut len = 0;
    // The request line is enough to answer; the rest is read so that closing does not reset the connection.
    while len < head.len() && !head[..len].ends_with(b"\r\n\r\n") {
        match stream.read(&mut head[len..]).await? {
            0 => break,
            read => len += read,
        }
    }
    let path = head[..len].split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    let (status, body) = match path {
        b"/metrics" | b"/" => ("200 OK", text),
        _ => ("404 Not Found", "the figures are at /metrics\n"),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn gather(shards: &Shards) -> Vec<Figures> {
    let mut all = Vec::new();
    for shard in 0..shards.count() {
        let (reply, answer) = oneshot::channel();
        shards.tell(shard, ToShard::Figures(reply)).await;
        all.push(answer.await.unwrap_or_default());
    }
    all
}

fn text(shards: &[Figures], connections: usize, bindings: usize) -> String {
    let mut out = String::new();
    let mut figure = |name: &str, kind: &str, help: &str, value: u64| {
        let _ = write!(
            out,
            "# HELP softswitch_{name} {help}\n# TYPE softswitch_{name} {kind}\nsoftswitch_{name} {value}\n"
        );
    };
    let sum = |of: fn(&Figures) -> u64| shards.iter().map(of).sum();
    figure("connections", "gauge", "Open TCP, TLS and WebSocket connections.", connections as u64);
    figure("bindings", "gauge", "Registered contacts.", bindings as u64);
    figure("transactions", "gauge", "Live SIP transactions.", sum(|f| f.transactions as u64));
    figure("flows", "gauge", "Sockets and connections, counted by each worker.", sum(|f| f.flows as u64));
    let counter = "counter";
    figure(
        "requests_received_total",
        counter,
        "SIP requests, retransmissions included.",
        sum(|f| f.endpoint.requests_received),
    );
    figure(
        "responses_received_total",
        counter,
        "SIP responses, retransmissions included.",
        sum(|f| f.endpoint.responses_received),
    );
    figure("messages_sent_total", counter, "SIP messages and keepalives sent.", sum(|f| f.endpoint.transmits));
    figure("retransmissions_sent_total", counter, "Of these, sent again.", sum(|f| f.endpoint.retransmissions));
    figure("retransmissions_absorbed_total", counter, "Messages that came again.", sum(|f| f.endpoint.absorbed));
    figure("server_transactions_total", counter, "Server transactions begun.", sum(|f| f.endpoint.server_transactions));
    figure("client_transactions_total", counter, "Client transactions begun.", sum(|f| f.endpoint.client_transactions));
    figure("timeouts_total", counter, "Transactions that ended by a timeout.", sum(|f| f.endpoint.timeouts));
    figure("failures_total", counter, "Transactions that found nobody.", sum(|f| f.endpoint.failures));
    figure("malformed_total", counter, "Input that was no SIP message.", sum(|f| f.endpoint.malformed));
    figure("refused_total", counter, "Requests refused at a limit.", sum(|f| f.endpoint.refused));
    figure("registrations_total", counter, "Contacts that were registered anew.", sum(|f| f.registrations));
    figure("credentials_refused_total", counter, "Requests with wrong credentials.", sum(|f| f.refused_credentials));
    figure("datagrams_not_sent_total", counter, "Datagrams the system did not take.", sum(|f| f.datagrams_not_sent));
    figure("datagrams_overrun_total", counter, "Datagrams a busy worker had no room for.", OVERRUN.load(Relaxed));
    figure(
        "slow_readers_total",
        counter,
        "Connections ended because the peer read too slowly.",
        sum(|f| f.slow_readers),
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_shards_are_summed() {
        let one = Figures { transactions: 3, registrations: 2, ..Figures::default() };
        let text = text(&[one.clone(), one], 7, 5);
        assert!(text.contains("# TYPE softswitch_transactions gauge\nsoftswitch_transactions 6\n"), "{text}");
        assert!(text.contains("\nsoftswitch_registrations_total 4\n"));
        assert!(text.contains("\nsoftswitch_connections 7\n"));
        assert!(text.lines().all(|line| line.starts_with("# ") || line.split(' ').count() == 2));
    }

    #[tokio::test]
    async fn a_scrape_is_answered() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shards, receivers) = Shards::new(1);
        drop(receivers);
        tokio::spawn(serve(listener, shards, Guests::new(1, 1), || 9));
        for (path, said) in [("/metrics", "softswitch_bindings 9\n"), ("/nothing", "404 Not Found")] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert!(text.contains(said), "{text}");
        }
    }
}
