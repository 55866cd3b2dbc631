//! A recording as a picture.

use super::json::Object;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

const WIDTH: usize = 32;

/// Draws a recording as a ladder: one column for each address, one arrow for each message, with the time in seconds. Lines that
/// cannot be read are left out.
///
/// ```
/// # use sip_transaction::{Endpoint, Input, Instant, Transport, ladder};
/// # let mut endpoint = Endpoint::new(Default::default(), [1; 32]);
/// endpoint.start_recording();
/// // ... a run ...
/// # let flow = endpoint.bind(Transport::Udp, "192.0.2.2:5060".parse()?)?;
/// # let _ = endpoint.handle_input(Instant::ZERO, Input::Datagram { flow, remote: "192.0.2.1:5060".parse()?,
/// #     bytes: b"ACK sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nCSeq: 1 ACK\r\n\r\n" });
/// let picture = ladder(&endpoint.take_recording().unwrap_or_default());
/// assert!(picture.contains("ACK sip:bob@192.0.2.2"), "{picture}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ladder(recording: &str) -> String {
    let mut arrows = Vec::new();
    let mut columns: Vec<String> = Vec::new();
    for object in recording.lines().filter_map(Object::parse) {
        let message = matches!(object.kind(), Some(("in", "datagram" | "stream" | "message") | ("out", "transmit")));
        let (Some(from), Some(to), Some(at), Some(bytes)) =
            (object.text("from"), object.text("to"), object.number("at"), object.bytes("bytes"))
        else {
            continue;
        };
        if !message {
            continue;
        }
        let mut place = |end: &str| match columns.iter().position(|known| known == end) {
            Some(at) => at,
            None => {
                columns.push(end.to_string());
                columns.len() - 1
            }
        };
        arrows.push((at, place(from), place(to), label(&bytes)));
    }
    let mut out = String::from("           ");
    for column in &columns {
        out.push_str(&format!("{column:<WIDTH$}"));
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    for (at, from, to, label) in arrows {
        let (left, right) = (from.min(to), from.max(to));
        let room = ((right - left) * WIDTH).max(WIDTH) - 2;
        let label: String = label.chars().take(room.saturating_sub(4)).collect();
        let dashes = room - label.chars().count();
        let (before, after) = ("-".repeat(dashes / 2), "-".repeat(dashes - dashes / 2));
        let (head, tail) = if from <= to { ("|", ">") } else { ("<", "|") };
        let indent = " ".repeat(left * WIDTH);
        let (seconds, millis) = (at / 1_000_000, at / 1_000 % 1_000);
        out.push_str(&format!("{seconds:>5}.{millis:03}  {indent}{head}{before} {label} {after}{tail}\n"));
    }
    out
}

/// The start line without the version, or what else it is.
fn label(bytes: &[u8]) -> String {
    if bytes.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        return "CRLF".into();
    }
    if bytes.first().is_some_and(|&b| b < 4) {
        return "STUN".into();
    }
    let line = bytes.split(|&b| b == b'\r' || b == b'\n').next().unwrap_or_default();
    let text = String::from_utf8_lossy(line);
    let text = text.strip_prefix("SIP/2.0 ").unwrap_or(&text);
    text.strip_suffix(" SIP/2.0").unwrap_or(text).into()
}
