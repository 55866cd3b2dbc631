//! The session: what is offered and answered in SDP, and the silent RTP stream it describes.
//!
//! One audio stream of G.711 (RFC 3551), which needs no codec for silence. Whatever else is offered is declined.

use sdp_types::{Attribute, Connection, Media as Line, MediaType, Origin, Session, TransportProto};
use sip_dialog::sdp::Direction;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;

/// The payload types that are understood: PCMU and PCMA, with what silence is in each.
const CODECS: [(u8, &str, u8); 2] = [(0, "PCMU/8000", 0xff), (8, "PCMA/8000", 0xd5)];

/// 20 ms of sound.
const FRAME: Duration = Duration::from_millis(20);
const SAMPLES: u32 = 160;

/// The media of one call.
#[derive(Debug)]
pub(crate) struct Media {
    id: u64,
    version: u64,
    address: SocketAddr,
    /// What we want to do, hold apart.
    held: bool,
    /// What was agreed on last.
    stream: watch::Sender<Option<Stream>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

/// Where to send, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    remote: SocketAddr,
    payload: u8,
    silence: u8,
}

/// An offer or answer of the peer that we cannot do anything with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// It is no SDP.
    Malformed,
    /// It has no audio that we could take part in.
    NothingInCommon,
}

impl Media {
    /// Opens a socket on this address and begins to count what comes in. `seed` makes the stream's identity.
    pub(crate) async fn open(ip: IpAddr, seed: u64) -> std::io::Result<Media> {
        let mut socket = UdpSocket::bind((ip, 0)).await?;
        // RTP likes even ports (RFC 3550 section 11); RTCP, which is not spoken here, would be beside it.
        for _ in 0..16 {
            if socket.local_addr()?.port() % 2 == 0 {
                break;
            }
            socket = UdpSocket::bind((ip, 0)).await?;
        }
        let address = socket.local_addr()?;
        let (stream, agreed) = watch::channel(None);
        let counts = Arc::new(Counts::default());
        tokio::spawn(run(socket, agreed, counts.clone(), seed as u32));
        Ok(Media { id: seed >> 2, version: 1, address, held: false, stream, counts })
    }

    /// Packets sent and received.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Relaxed), self.counts.received.load(Relaxed))
    }

    /// Whether we hold the call.
    pub(crate) fn is_held(&self) -> bool {
        self.held
    }

    /// Puts the peer on hold from the next offer on, or takes it back.
    pub(crate) fn set_held(&mut self, held: bool) {
        self.held = held;
    }

    /// An offer, each later one with a version of its own.
    pub(crate) fn offer(&mut self) -> Vec<u8> {
        let mut audio = self.audio(&CODECS.map(|(payload, ..)| payload));
        audio.add_attribute_from_str(self.wanted().as_str());
        self.write(vec![audio])
    }

    /// Whether an offer can be answered. Nothing is agreed on by that, and nothing is sent.
    pub(crate) fn check(offer: &[u8]) -> Result<(), Unusable> {
        let offer = Session::parse(offer).map_err(|_| Unusable::Malformed)?;
        common(&offer).map(drop).ok_or(Unusable::NothingInCommon)
    }

    /// Sends nothing more, until something else is agreed on.
    pub(crate) fn stop(&self) {
        // The task lives as long as this does.
        let _ = self.stream.send(None);
    }

    /// The answer to an offer, which is to be sent at once: the stream goes where the offer says.
    pub(crate) fn answer(&mut self, offer: &[u8]) -> Result<Vec<u8>, Unusable> {
        let offer = Session::parse(offer).map_err(|_| Unusable::Malformed)?;
        let (place, stream) = common(&offer).ok_or(Unusable::NothingInCommon)?;
        let asked = direction(&offer, &offer.medias[place]);
        let lines = offer.medias.iter().enumerate().map(|(n, theirs)| {
            if n != place {
                // Declined (RFC 3264 section 6): there must be as many lines as in the offer.
                return Line { port: 0, num_ports: None, attributes: Vec::new(), ..bare(theirs) };
            }
            let mut audio = self.audio(&[stream.payload]);
            audio.add_attribute_from_str(meet(asked.reversed(), self.wanted()).as_str());
            audio
        });
        let lines = lines.collect();
        self.agree(stream, meet(asked.reversed(), self.wanted()));
        Ok(self.write(lines))
    }

    /// Takes the answer to our offer.
    pub(crate) fn answered(&mut self, answer: &[u8]) -> Result<(), Unusable> {
        let answer = Session::parse(answer).map_err(|_| Unusable::Malformed)?;
        let (place, stream) = common(&answer).ok_or(Unusable::NothingInCommon)?;
        let direction = direction(&answer, &answer.medias[place]).reversed();
        self.agree(stream, meet(direction, self.wanted()));
        Ok(())
    }

    fn wanted(&self) -> Direction {
        if self.held { Direction::SendOnly } else { Direction::SendRecv }
    }

    fn agree(&self, stream: Stream, direction: Direction) {
        let sends = matches!(direction, Direction::SendRecv | Direction::SendOnly);
        let real = !stream.remote.ip().is_unspecified();
        // The task lives as long as this does.
        let _ = self.stream.send((sends && real).then_some(stream));
    }

    fn audio(&self, payloads: &[u8]) -> Line {
        let list: Vec<String> = payloads.iter().map(u8::to_string).collect();
        let mut audio = Line::new(MediaType::Audio, self.address.port(), TransportProto::RtpAvp, list.join(" "));
        for (payload, name, _) in CODECS.iter().filter(|(payload, ..)| payloads.contains(payload)) {
            audio.add_attribute_with_value("rtpmap", format!("{payload} {name}"));
        }
        audio
    }

    fn write(&mut self, lines: Vec<Line>) -> Vec<u8> {
        let mut session = Session::new(Origin::with_ip_addr(self.id, self.version, self.address.ip()), "-");
        self.version += 1;
        session.set_connection(Connection::from_ip_addr(self.address.ip()));
        for line in lines {
            session.add_media(line);
        }
        let mut out = Vec::new();
        // Into memory, it cannot fail.
        let _ = session.write(&mut out);
        out
    }
}

/// A line with the kind, transport and formats of another, and nothing else of it.
fn bare(line: &Line) -> Line {
    Line { connections: Vec::new(), bandwidths: Vec::new(), media_title: None, key: None, ..line.clone() }
}

/// The first audio stream that we can take part in, and where it leads.
fn common(session: &Session) -> Option<(usize, Stream)> {
    session.medias.iter().enumerate().find_map(|(n, line)| {
        if line.media != "audio" || line.proto != "RTP/AVP" || line.port == 0 {
            return None;
        }
        let theirs = || line.fmt.split(' ').filter_map(|number| number.parse::<u8>().ok());
        let (payload, _, silence) =
            theirs().find_map(|number| CODECS.into_iter().find(|(payload, ..)| *payload == number))?;
        let connection = line.connections.first().or(session.connection.as_ref())?;
        let ip: IpAddr = connection.connection_address.split('/').next()?.parse().ok()?;
        Some((n, Stream { remote: SocketAddr::new(ip, line.port), payload, silence }))
    })
}

fn direction(session: &Session, line: &Line) -> Direction {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    let of = |attributes: &[Attribute]| {
        all.into_iter().find(|direction| attributes.iter().any(|known| known.attribute == direction.as_str()))
    };
    of(&line.attributes).or_else(|| of(&session.attributes)).unwrap_or(Direction::SendRecv)
}

/// What both allow.
fn meet(a: Direction, b: Direction) -> Direction {
    let sends = |of: Direction| matches!(of, Direction::SendRecv | Direction::SendOnly);
    let takes = |of: Direction| matches!(of, Direction::SendRecv | Direction::RecvOnly);
    match (sends(a) && sends(b), takes(a) && takes(b)) {
        (true, true) => Direction::SendRecv,
        (true, false) => Direction::SendOnly,
        (false, true) => Direction::RecvOnly,
        (false, false) => Direction::Inactive,
    }
}

/// Sends silence while a stream is agreed on, and counts what comes in, until the call lets go.
async fn run(socket: UdpSocket, mut agreed: watch::Receiver<Option<Stream>>, counts: Arc<Counts>, source: u32) {
    let mut packet = Vec::with_capacity(12 + SAMPLES as usize);
    let mut buffer = [0; 2048];
    let (mut sequence, mut time) = (source as u16, source.rotate_left(16));
    let mut tick = tokio::time::interval(FRAME);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = agreed.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            received = socket.recv_from(&mut buffer) => {
                // RTP is version 2 (RFC 3550 section 5.1). Errors are those of earlier packets.
                if received.is_ok_and(|(len, _)| len >= 12 && buffer[0] >> 6 == 2) {
                    counts.received.fetch_add(1, Relaxed);
                }
            }
            _ = tick.tick() => {
                let stream = *agreed.borrow();
                let Some(Stream { remote, payload, silence }) = stream else { continue };
                packet.clear();
                packet.extend([0x80, payload]);
                packet.extend(sequence.to_be_bytes());
                packet.extend(time.to_be_bytes());
                packet.extend(source.to_be_bytes());
                packet.resize(12 + SAMPLES as usize, silence);
                sequence = sequence.wrapping_add(1);
                time = time.wrapping_add(SAMPLES);
                if socket.send_to(&packet, remote).await.is_ok() {
                    counts.sent.fetch_add(1, Relaxed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    async fn open() -> Media {
        Media::open([127, 0, 0, 1].into(), 77).await.unwrap()
    }

    #[test]
    fn two_of_them_agree_and_hear_each_other() {
        block_on(async {
            let (mut a, mut b) = (open().await, open().await);
            let offer = a.offer();
            let answer = b.answer(&offer).unwrap();
            a.answered(&answer).unwrap();
            while a.counts().1 == 0 || b.counts().1 == 0 {
                tokio::time::sleep(FRAME).await;
            }
            a.set_held(true);
            let hold = String::from_utf8(a.offer()).unwrap();
            assert!(hold.contains("a=sendonly\r\n") && hold.contains("o=- 19 2 IN IP4"), "{hold}");
            let answer = String::from_utf8(b.answer(hold.as_bytes()).unwrap()).unwrap();
            assert!(answer.contains("a=recvonly\r\n"), "{answer}");
            assert_eq!(*b.stream.borrow(), None);
            a.answered(answer.as_bytes()).unwrap();
            assert!(a.stream.borrow().is_some());
        });
    }

    #[test]
    fn an_offer_that_is_looked_at_agrees_on_nothing() {
        block_on(async {
            let (mut a, mut b) = (open().await, open().await);
            let offer = a.offer();
            assert_eq!(Media::check(&offer), Ok(()));
            assert_eq!(*b.stream.borrow(), None, "it may ring for long");
            let answer = b.answer(&offer).unwrap();
            assert!(b.stream.borrow().is_some());
            a.answered(&answer).unwrap();
            a.stop();
            assert_eq!(*a.stream.borrow(), None);
            assert_eq!(Media::check(b"hello"), Err(Unusable::Malformed));
        });
    }

    #[test]
    fn what_is_not_understood_is_declined_line_by_line() {
        block_on(async {
            let mut media = open().await;
            let offer = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                m=video 6000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n\
                m=audio 4000 RTP/AVP 111 8 0\r\nc=IN IP4 192.0.2.9\r\na=sendonly\r\n";
            let answer = String::from_utf8(media.answer(offer.as_bytes()).unwrap()).unwrap();
            assert!(answer.contains("m=video 0 RTP/AVP 96\r\nm=audio "), "{answer}");
            assert!(answer.ends_with("RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na=recvonly\r\n"), "{answer}");
            let browser = offer.replace("RTP/AVP", "UDP/TLS/RTP/SAVPF");
            assert_eq!(media.answer(browser.as_bytes()), Err(Unusable::NothingInCommon));
            assert_eq!(media.answer(b"hello"), Err(Unusable::Malformed));
        });
    }
}
