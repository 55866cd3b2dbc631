//! One binding as a line of text, for the state file and for SQLite: fields separated by tabs, times by the wall clock.

use sip_server::{Binding, BindingParts};
use sip_transaction::{FlowId, Instant, Path, Transport};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The end of the line of a user agent that is woken by push notifications.
const WAKES: &str = "\twakes";

/// A moment, by the clock of this process and by that on the wall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// Milliseconds since 1970.
    pub(crate) unix: u64,
}

impl Moment {
    /// This one, for a process whose clock began at `epoch`.
    pub(crate) fn now(epoch: std::time::Instant) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Moment { now: Instant::from_std(epoch, std::time::Instant::now()), unix: millis(unix) }
    }
}

/// The line of a binding of `aor`. Its strings come from messages that were parsed: they hold neither tab nor line end,
/// and a binding that does all the same has no line.
pub(crate) fn write(aor: &str, binding: &Binding, at: Moment) -> Option<String> {
    let parts = binding.parts();
    let texts = [aor, parts.contact, parts.params, parts.path, parts.instance, parts.call_id];
    if texts.iter().any(|text| text.contains(['\t', '\n', '\r'])) {
        return None;
    }
    let numbers = [
        u64::from(parts.reg_id),
        u64::from(parts.q),
        u64::from(parts.cseq),
        at.unix.saturating_sub(millis(at.now - parts.registered)),
        at.unix.saturating_add(millis(parts.expires - at.now)),
    ];
    let mut line = texts.join("\t");
    for number in numbers {
        line.push('\t');
        line.push_str(&number.to_string());
    }
    if let Some(path) = parts.received {
        line.push_str(&format!("\t{}\t{}\t{}", path.transport, path.local, path.remote));
    }
    if parts.wakes {
        line.push_str(WAKES);
    }
    Some(line)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The address-of-record and the binding of a line. `flow` gives the shared id of what was the flow: none for connections,
/// which do not outlive the process; such a binding is `None` unless it can be woken, as is one that has ended or cannot be read.
pub(crate) fn read(
    line: &str,
    at: Moment,
    flow: impl Fn(Transport, SocketAddr) -> Option<FlowId>,
) -> Option<(String, Binding)> {
    let (line, wakes) = line.strip_suffix(WAKES).map_or((line, false), |line| (line, true));
    let fields: Vec<&str> = line.split('\t').collect();
    let text = |n: usize| fields.get(n).copied();
    let number = |n: usize| text(n)?.parse::<u64>().ok();
    let received = match text(11) {
        None => None,
        Some(transport) => {
            let transport = Transport::ALL.into_iter().find(|known| known.via() == transport)?;
            let (local, remote) = (text(12)?.parse().ok()?, text(13)?.parse().ok()?);
            match flow(transport, local) {
                Some(flow) => Some(Path { flow, transport, local, remote }),
                // Where its user agent is, it says when it has been woken.
                None if wakes => None,
                None => return None,
            }
        }
    };
    let lasts = number(10)?.checked_sub(at.unix).filter(|&lasts| lasts > 0)?;
    let ago = at.unix.saturating_sub(number(9)?).saturating_mul(1000);
    let binding = Binding::new(&BindingParts {
        contact: text(1)?,
        params: text(2)?,
        path: text(3)?,
        instance: text(4)?,
        call_id: text(5)?,
        reg_id: u32::try_from(number(6)?).ok()?,
        q: u16::try_from(number(7)?).ok()?,
        cseq: u32::try_from(number(8)?).ok()?,
        registered: Instant::from_micros(at.now.as_micros().saturating_sub(ago)),
        expires: at.now + Duration::from_millis(lasts),
        received,
        wakes,
    });
    Some((text(0)?.to_owned(), binding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_survive_the_line() {
        let start = Instant::from_millis(100_000);
        let flow = FlowId::from_bits(1 << 32 | 9).unwrap();
        let local = "127.0.0.1:5060".parse().unwrap();
        let path = Path { flow, transport: Transport::Udp, local, remote: "127.0.0.1:6000".parse().unwrap() };
        let parts = BindingParts {
            contact: "sip:alice@127.0.0.1:6000;ob",
            params: ";methods=\"INVITE, BYE\"",
            path: "<sip:edge;lr>",
            instance: "<urn:uuid:1>",
            reg_id: 1,
            q: 700,
            call_id: "843817637684230",
            cseq: 1826,
            registered: Instant::from_millis(90_000),
            expires: Instant::from_millis(160_000),
            received: Some(path),
            wakes: true,
        };
        let binding = Binding::new(&parts);
        let line = write("sip:alice@localhost", &binding, Moment { now: start, unix: 1_000_000 }).unwrap();
        // Another process, ten seconds later.
        let later = Moment { now: Instant::from_millis(50_000), unix: 1_010_000 };
        let find = |transport, address| (transport == Transport::Udp && address == local).then_some(flow);
        let (aor, read_back) = read(&line, later, find).unwrap();
        assert_eq!(aor, "sip:alice@localhost");
        let shifted =
            BindingParts { registered: Instant::from_millis(30_000), expires: Instant::from_millis(100_000), ..parts };
        assert_eq!(read_back, Binding::new(&shifted));
        let woken = read(&line, later, |_, _| None).map(|(_, binding)| binding);
        assert_eq!(woken, Some(Binding::new(&BindingParts { received: None, ..shifted })), "a flow that is gone");
        let awake = Binding::new(&BindingParts { wakes: false, ..parts });
        let line_of_awake = write("sip:alice@localhost", &awake, Moment { now: start, unix: 1_000_000 }).unwrap();
        assert!(read(&line_of_awake, later, |_, _| None).is_none(), "and none who could be woken");
        assert!(read(&line[..20], later, find).is_none());
        assert!(read("", later, find).is_none());
        assert!(read(&line, Moment { unix: 1_060_000, ..later }, find).is_none(), "what has ended meanwhile");
    }
}
