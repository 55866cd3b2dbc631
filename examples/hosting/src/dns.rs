//! A stub resolver: asks the name servers of the system one question at a time. Keeps nothing; the endpoint caches, retries
//! other targets and bounds the wait.

use sip_transaction::{Record, RecordData, RecordKind};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long one name server has.
const PATIENCE: Duration = Duration::from_secs(2);
/// The largest answer taken over UDP, announced by EDNS (RFC 6891).
const UDP_LEN: usize = 1232;
/// Names of the hosts file that are looked up, at most.
const MAX_RECORDS: usize = 64;

/// Looks `name` up. `None`: nobody answered, or the answer was an error other than that the name does not exist.
pub async fn resolve(name: &str, kind: RecordKind, id: u16) -> Option<Vec<Record>> {
    if let Some(address) = local(name, kind).await {
        return Some(address);
    }
    let question = question(name, kind, id)?;
    for server in name_servers().await {
        match ask(server, &question).await {
            Ok(answer) => match parse(&answer, &question, kind) {
                Some(Ok(records)) => return Some(records),
                // It answered with an error: another one may know better.
                Some(Err(_)) | None => continue,
            },
            Err(_) => continue,
        }
    }
    None
}

/// `localhost` (RFC 6761 section 6.3) and what the hosts file has.
async fn local(name: &str, kind: RecordKind) -> Option<Vec<Record>> {
    let localhost = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    let hosts = tokio::fs::read_to_string("/etc/hosts").await.unwrap_or_default();
    let mut found: Vec<IpAddr> = from_hosts(&hosts, name);
    if localhost && found.is_empty() {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() {
        return None;
    }
    let wanted = |address: &IpAddr| match kind {
        RecordKind::A => address.is_ipv4(),
        RecordKind::Aaaa => address.is_ipv6(),
        _ => false,
    };
    let ttl = Duration::from_secs(60);
    Some(found.into_iter().filter(wanted).map(|address| Record { ttl, data: RecordData::Address(address) }).collect())
}

fn from_hosts(hosts: &str, name: &str) -> Vec<IpAddr> {
    let lines = hosts.lines().map(|line| line.split('#').next().unwrap_or_default());
    let mut found = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse().ok()) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && found.len() < MAX_RECORDS {
            found.push(address);
        }
    }
    found
}

async fn name_servers() -> Vec<SocketAddr> {
    let text = tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default();
    let servers = text.lines().filter_map(|line| {
        let address: IpAddr = line.trim().strip_prefix("nameserver")?.trim().parse().ok()?;
        Some(SocketAddr::new(address, 53))
    });
    servers.take(3).collect()
}

async fn ask(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; UDP_LEN];
    let mut answer = Vec::new();
    let receive = async {
        loop {
            let len = socket.recv(&mut buffer).await?;
            // Anybody may send here: what does not carry the id is passed over.
            if buffer.get(..2) == question.get(..2) && len >= 12 {
                answer = buffer[..len].to_vec();
                return io::Result::Ok(());
            }
        }
    };
    timeout(PATIENCE, receive).await??;
    // Truncated: again over TCP (RFC 1035 section 4.2.1).
    if answer.get(2).is_some_and(|flags| flags & 0x02 != 0) {
        return timeout(PATIENCE, ask_tcp(server, question)).await?;
    }
    Ok(answer)
}

async fn ask_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_u16(question.len() as u16).await?;
    stream.write_all(question).await?;
    let len = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(len)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

fn type_of(kind: RecordKind) -> Option<u16> {
    Some(match kind {
        RecordKind::A => 1,
        RecordKind::Aaaa => 28,
        RecordKind::Srv => 33,
        RecordKind::Naptr => 35,
        _ => return None,
    })
}

/// One question with recursion desired, and EDNS for a larger answer. `None` if the name cannot be in DNS.
fn question(name: &str, kind: RecordKind, id: u16) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(name.len() + 32);
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    for label in name.trim_end_matches('.').split('.') {
        let len = u8::try_from(label.len()).ok().filter(|len| (1..=63).contains(len))?;
        out.push(len);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out.extend_from_slice(&type_of(kind)?.to_be_bytes());
    out.extend_from_slice(&[0, 1]);
    out.extend_from_slice(&[0, 0, 41]);
    out.extend_from_slice(&(UDP_LEN as u16).to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    Some(out)
}

/// Reads an answer. `None`: it is no answer to the question. `Some(Err)`: the server says it failed.
fn parse(answer: &[u8], question: &[u8], kind: RecordKind) -> Option<Result<Vec<Record>, u8>> {
    let mut reader = Reader { all: answer, at: 0 };
    let id = reader.u16()?;
    let flags = reader.u16()?;
    let [questions, answers, _, _] = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let mut asked = Reader { all: question, at: 12 };
    if id != u16::from_be_bytes([*question.first()?, *question.get(1)?]) || flags & 0x8000 == 0 || questions != 1 {
        return None;
    }
    let same = reader.name()?.eq_ignore_ascii_case(&asked.name()?) && reader.u32()? == asked.u32()?;
    if !same {
        return None;
    }
    match (flags & 15) as u8 {
        0 => {}
        // The name does not exist: an answer like any other.
        3 => return Some(Ok(Vec::new())),
        code => return Some(Err(code)),
    }
    let wanted = type_of(kind)?;
    let mut records = Vec::new();
    for _ in 0..answers {
        reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        let ttl = Duration::from_secs(u64::from(reader.u32()?));
        let len = usize::from(reader.u16()?);
        let end = reader.at.checked_add(len).filter(|&end| end <= answer.len())?;
        // Aliases stand before what they lead to: the records behind them are the answer.
        if kind == wanted && class == 1 && records.len() < MAX_RECORDS {
            records.extend(reader.data(wanted, len).map(|data| Record { ttl, data }));
        }
        reader.at = end;
    }
    Some(Ok(records))
}

struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn take(&mut self, len: usize) -> Option<&[u8]> {
        let taken = self.all.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// A name, with its compression followed; each jump goes backwards, so that it ends.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let (mut at, mut end, mut lowest) = (self.at, None, self.at);
        loop {
            let len = *self.all.get(at)?;
            match len {
                0 => {
                    self.at = end.unwrap_or(at + 1);
                    return Some(name);
                }
                1..=63 => {
                    let label = self.all.get(at + 1..at + 1 + usize::from(len))?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    for &byte in label {
                        name.push(if byte.is_ascii_graphic() { char::from(byte) } else { return None });
                    }
                    if name.len() > 253 {
                        return None;
                    }
                    at += 1 + usize::from(len);
                }
                192.. => {
                    let to = usize::from(u16::from_be_bytes([len & 63, *self.all.get(at + 1)?]));
                    end.get_or_insert(at + 2);
                    if to >= lowest {
                        return None;
                    }
                    (at, lowest) = (to, to);
                }
                _ => return None,
            }
        }
    }

    /// A character-string (RFC 1035 section 3.3).
    fn text(&mut self) -> Option<String> {
        let len = usize::from(self.u8()?);
        Some(String::from_utf8_lossy(self.take(len)?).into_owned())
    }

    fn data(&mut self, kind: u16, len: usize) -> Option<RecordData> {
        Some(match kind {
            1 if len == 4 => RecordData::Address(Ipv4Addr::from(self.u32()?).into()),
            28 if len == 16 => {
                let octets: [u8; 16] = self.take(16)?.try_into().ok()?;
                RecordData::Address(Ipv6Addr::from(octets).into())
            }
            33 => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                RecordData::Srv { priority, weight, port, target: self.name()? }
            }
            35 => RecordData::Naptr {
                order: self.u16()?,
                preference: self.u16()?,
                flags: self.text()?,
                service: self.text()?,
                regexp: self.text()?,
                replacement: self.name()?,
            },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer to `question` with these records: type, and data.
    fn answer(question: &[u8], code: u8, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let end = question.len() - 11;
        let mut out = question[..end].to_vec();
        out[2..4].copy_from_slice(&[0x81, 0x80 | code]);
        out[6..12].copy_from_slice(&[0, records.len() as u8, 0, 0, 0, 0]);
        for (kind, data) in records {
            out.extend_from_slice(&[0xc0, 12]);
            out.extend_from_slice(&kind.to_be_bytes());
            out.extend_from_slice(&[0, 1, 0, 0, 1, 44]);
            out.extend_from_slice(&(data.len() as u16).to_be_bytes());
            out.extend_from_slice(data);
        }
        out
    }

    #[test]
    fn srv_naptr_and_addresses_are_read() {
        let asked = question("_sip._udp.example.com", RecordKind::Srv, 7).unwrap();
        // Priority 10, weight 60, port 5060, target "gw" + the asked name's "example.com" by a pointer.
        let srv = [&[0, 10, 0, 60, 0x13, 0xc4, 2][..], b"gw", &[0xc0, 22]].concat();
        let records = parse(&answer(&asked, 0, &[(33, srv)]), &asked, RecordKind::Srv).unwrap().unwrap();
        let target = "gw.example.com".to_owned();
        assert_eq!(records[0].data, RecordData::Srv { priority: 10, weight: 60, port: 5060, target });
        assert_eq!(records[0].ttl, Duration::from_secs(300));

        let asked = question("example.com", RecordKind::Naptr, 8).unwrap();
        let naptr = [&[0, 50, 0, 51, 1][..], b"s", &[7], b"SIP+D2T", &[0, 4], b"_sip", &[0xc0, 12]].concat();
        let records = parse(&answer(&asked, 0, &[(35, naptr)]), &asked, RecordKind::Naptr).unwrap().unwrap();
        let RecordData::Naptr { service, replacement, order: 50, preference: 51, .. } = &records[0].data else {
            panic!()
        };
        assert_eq!((service.as_str(), replacement.as_str()), ("SIP+D2T", "_sip.example.com"));

        // An alias in front of the address.
        let asked = question("example.com", RecordKind::A, 9).unwrap();
        let alias = (5, vec![1, b'x', 0]);
        let both = answer(&asked, 0, &[alias, (1, vec![192, 0, 2, 1])]);
        let records = parse(&both, &asked, RecordKind::A).unwrap().unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].data, RecordData::Address([192, 0, 2, 1].into()));
    }

    #[test]
    fn what_does_not_answer_the_question_is_no_answer() {
        let asked = question("example.com", RecordKind::A, 9).unwrap();
        let good = answer(&asked, 0, &[(1, vec![192, 0, 2, 1])]);
        let other = question("example.org", RecordKind::A, 9).unwrap();
        assert!(parse(&good, &other, RecordKind::A).is_none());
        let mut wrong_id = good.clone();
        wrong_id[1] ^= 1;
        assert!(parse(&wrong_id, &asked, RecordKind::A).is_none());
        assert!(parse(&asked, &asked, RecordKind::A).is_none(), "a question is no answer");
        assert_eq!(parse(&answer(&asked, 3, &[]), &asked, RecordKind::A), Some(Ok(Vec::new())));
        assert_eq!(parse(&answer(&asked, 2, &[]), &asked, RecordKind::A), Some(Err(2)));
    }

    #[test]
    fn no_bytes_break_the_reader() {
        let asked = question("example.com", RecordKind::Naptr, 9).unwrap();
        let naptr = [&[0, 50, 0, 51, 1][..], b"s", &[7], b"SIP+D2T", &[0, 4], b"_sip", &[0xc0, 12]].concat();
        let good = answer(&asked, 0, &[(35, naptr)]);
        for cut in 0..good.len() {
            let _ = parse(&good[..cut], &asked, RecordKind::Naptr);
        }
        for at in 0..good.len() {
            for value in [0, 1, 63, 64, 0xc0, 0xff] {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = parse(&bad, &asked, RecordKind::Naptr);
            }
        }
        // A name that points at itself ends.
        assert_eq!(Reader { all: &[0xc0, 0], at: 0 }.name(), None);
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_refused() {
        assert_eq!(question("", RecordKind::A, 1), None);
        assert_eq!(question("a..b", RecordKind::A, 1), None);
        assert_eq!(question(&"x".repeat(64), RecordKind::A, 1), None);
        let hosts = "127.0.0.1 localhost # x\n::1 localhost ip6\n10.0.0.1 gw GW.lan\n";
        assert_eq!(from_hosts(hosts, "gw.LAN"), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(from_hosts(hosts, "localhost").len(), 2);
    }
}
