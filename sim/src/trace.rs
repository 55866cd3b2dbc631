//! What was sent, for assertions and for eyes.

use bytes::Bytes;
use core::net::SocketAddr;
use sip_transaction::{Instant, Transport};

/// One packet that a host sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// When.
    pub at: Instant,
    /// The transport.
    pub transport: Transport,
    /// From where.
    pub from: SocketAddr,
    /// To where.
    pub to: SocketAddr,
    /// What.
    pub bytes: Bytes,
    /// Whether the network lost it.
    pub lost: bool,
}

impl Sent {
    /// The start line without `SIP/2.0`: `INVITE sip:...` or `180 Ringing`.
    pub fn title(&self) -> String {
        let line = self.bytes.split(|&b| b == b'\r').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line);
        let text = text.strip_prefix("SIP/2.0 ").unwrap_or(&text);
        let text = text.strip_suffix(" SIP/2.0").unwrap_or(text);
        if text.is_empty() { "CRLF".into() } else { text.into() }
    }

    /// The method of a request or the number of a response.
    pub fn what(&self) -> String {
        self.title().split(' ').next().unwrap_or_default().into()
    }
}

/// Draws a run as a ladder: one column for each address, one line for each packet.
pub fn ladder(trace: &[Sent]) -> String {
    let mut columns: Vec<SocketAddr> = Vec::new();
    for sent in trace {
        for end in [sent.from, sent.to] {
            if !columns.contains(&end) {
                columns.push(end);
            }
        }
    }
    const WIDTH: usize = 30;
    let mut out = String::from("            ");
    for column in &columns {
        out.push_str(&format!("{:<WIDTH$}", column.to_string()));
    }
    out.push('\n');
    for sent in trace {
        let place = |end: SocketAddr| columns.iter().position(|column| *column == end).unwrap_or_default();
        let (from, to) = (place(sent.from), place(sent.to));
        let (left, right) = (from.min(to), from.max(to));
        let room = ((right - left) * WIDTH).saturating_sub(2).max(4);
        let mut label: String = sent.title().chars().take(room.saturating_sub(4)).collect();
        if sent.lost {
            label.push_str(" X");
        }
        let dashes = room.saturating_sub(label.chars().count());
        let (before, after) = ("-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2));
        let arrow = if from <= to { format!("|{before}{label}{after}>") } else { format!("<{before}{label}{after}|") };
        out.push_str(&format!("{:>10}  {}{arrow}\n", sent.at.to_string(), " ".repeat(left * WIDTH)));
    }
    out
}
