//! The session description that sends a caller's media back to where they come from: an answer (RFC 3264) whose addresses
//! are the offerer's own. Legal for plain RTP; what is encrypted or sits behind ICE cannot be mirrored, and is refused.

use std::fmt::Write as _;

/// Lines of an answer that repeat those of the offer.
const KEPT: [&str; 8] = ["rtpmap:", "fmtp:", "ptime:", "maxptime:", "rtcp:", "rtcp-mux", "rtcp-fb:", "mid:"];

/// The answer to `offer`; `None` if there is nothing in it that can be mirrored, or it is no session description.
/// `session_id` names the session and stays; `version` numbers its descriptions.
pub(crate) fn mirror(offer: &str, session_id: u32, version: u32) -> Option<String> {
    let mut lines = offer.lines().map(str::trim_end).peekable();
    if lines.next()? != "v=0" {
        return None;
    }
    let (mut session, mut time, mut direction) = (None, "t=0 0", "sendrecv");
    while let Some(line) = lines.next_if(|line| !line.starts_with("m=")) {
        match line.get(..2)? {
            "c=" => session = Some(line),
            "t=" => time = line,
            "a=" => direction = direction_of(line).unwrap_or(direction),
            _ => {}
        }
    }
    let mut media = String::new();
    let mut mirrored = 0;
    while let Some(head) = lines.next() {
        let mut words = head.strip_prefix("m=")?.splitn(4, ' ');
        let (kind, port, protocol, formats) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let mut body = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("m=")) {
            body.push(line);
        }
        let first_port = port.split('/').next().filter(|port| port.parse::<u16>().is_ok())?;
        let plain = protocol == "RTP/AVP" || protocol == "RTP/AVPF";
        let encrypted = body.iter().any(|line| line.starts_with("a=crypto:") || line.starts_with("a=fingerprint:"));
        let connection = body.iter().copied().find(|line| line.starts_with("c=")).or(session);
        let (true, false, Some(connection), true) = (plain, encrypted, connection, first_port != "0") else {
            // RFC 3264 section 6: a stream is refused by port 0.
            let _ = write!(media, "m={kind} 0 {protocol} {formats}\r\n");
            continue;
        };
        mirrored += 1;
        let _ = write!(media, "m={kind} {first_port} {protocol} {formats}\r\n{connection}\r\n");
        let mut wanted = direction;
        for line in body {
            if let Some(own) = direction_of(line) {
                wanted = own;
            } else if line.strip_prefix("a=").is_some_and(|rest| KEPT.iter().any(|kept| rest.starts_with(kept))) {
                let _ = write!(media, "{line}\r\n");
            }
        }
        let _ = write!(media, "a={}\r\n", answer_to(wanted));
    }
    if mirrored == 0 {
        return None;
    }
    Some(format!(
        "v=0\r\no=echo {session_id} {version} IN IP4 127.0.0.1\r\ns=-\r\n{}\r\n{time}\r\n{media}",
        session.unwrap_or("c=IN IP4 127.0.0.1")
    ))
}

/// An offer for callers who want one: audio that goes nowhere.
pub(crate) fn silent_offer(session_id: u32, version: u32) -> String {
    format!(
        "v=0\r\no=echo {session_id} {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio 9 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=inactive\r\n"
    )
}

fn direction_of(line: &str) -> Option<&'static str> {
    let line = line.strip_prefix("a=")?;
    ["sendrecv", "sendonly", "recvonly", "inactive"].into_iter().find(|known| *known == line)
}

fn answer_to(direction: &str) -> &str {
    match direction {
        "sendonly" => "recvonly",
        "recvonly" => "sendonly",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFER: &str = "v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.1\r\ns=call\r\nc=IN IP4 192.0.2.1\r\n\
        t=0 0\r\nm=audio 49170 RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n\
        a=fmtp:101 0-15\r\na=secret:x\r\nm=video 51372 RTP/SAVP 31\r\na=crypto:1 x\r\n";

    #[test]
    fn media_go_back_to_where_they_come_from() {
        let answer = mirror(OFFER, 7, 1).unwrap();
        assert!(answer.starts_with("v=0\r\no=echo 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"));
        assert!(answer.contains("m=audio 49170 RTP/AVP 0 101\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:0 PCMU/8000\r\n"));
        assert!(answer.contains("a=sendrecv\r\nm=video 0 RTP/SAVP 31\r\n"), "{answer}");
        assert!(!answer.contains("secret"), "unknown attributes are not repeated");
    }

    #[test]
    fn directions_are_answered() {
        for (offered, answered) in
            [("sendonly", "recvonly"), ("recvonly", "sendonly"), ("inactive", "inactive"), ("sendrecv", "sendrecv")]
        {
            let media = OFFER.replace("a=secret:x", &format!("a={offered}"));
            assert!(mirror(&media, 7, 1).unwrap().contains(&format!("a={answered}\r\n")), "{offered}");
            let session = OFFER.replace("t=0 0\r\n", &format!("t=0 0\r\na={offered}\r\n"));
            assert!(mirror(&session, 7, 1).unwrap().contains(&format!("a={answered}\r\n")), "{offered} for all");
        }
    }

    #[test]
    fn what_cannot_be_mirrored_is_refused() {
        assert_eq!(mirror(&OFFER.replace("49170 RTP/AVP", "49170 UDP/TLS/RTP/SAVPF"), 7, 1), None);
        assert_eq!(mirror(&OFFER.replace("a=secret:x", "a=fingerprint:sha-256 x"), 7, 1), None);
        assert_eq!(mirror(&OFFER.replace("49170", "99999"), 7, 1), None, "no port");
        for junk in ["", "v=0", "v=1\r\nm=audio 1 RTP/AVP 0", "v=0\r\nm=audio", "v=0\r\n\u{e9}\r\n", "v=0\r\nx"] {
            assert_eq!(mirror(junk, 7, 1), None, "{junk}");
        }
    }
}
