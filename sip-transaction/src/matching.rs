//! What matches a message to its transaction: RFC 3261 sections 17.1.3 and 17.2.3.
//!
//! A tag is a keyed hash of 128 bits over the parts the RFC compares, so that one look-up compares them all. A branch that the endpoint has
//! drawn is random, and nobody else can choose it: there the tag is the branch itself, read back into a number, and the method.

use crate::cores::HashKey;
use crate::stamp;
use crate::wire::Branch;
use core::hash::{BuildHasher as _, Hasher as _};
use sip_message::{Header, Message, Method, Via};

impl HashKey {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.1.3
    //# If the method parameter in the CSeq header field matches the
    //# method of the request that created the transaction.
    pub(crate) fn client_tag(self, branch: &[u8], method: &[u8]) -> u128 {
        // One part less than those of servers have.
        let mut hash = self.build_hasher();
        hash.part_without_case(branch);
        hash.part(method);
        // 0 is the tag of what is in no table.
        hash.finish128() | 1 << 127
    }

    /// The tag of the transaction that a request belongs to; an ACK belongs to its INVITE. `method` is that of the
    /// transaction looked for: for a CANCEL also INVITE, to find what it cancels.
    pub(crate) fn server_tag(self, request: &Message, via: &Via<'_>, branch: &[u8], method: Method<'_>) -> u128 {
        let method = if method == Method::Ack { Method::Invite } else { method };
        if is_rfc3261(branch) {
            return self.branch_tag(branch, via.sent_by_bytes(), method.as_str().as_bytes());
        }
        //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
        //# The INVITE request matches a transaction if the Request-URI, To tag,
        //# From tag, Call-ID, CSeq, and top Via header field match those of the
        //# INVITE request which created the transaction.
        // The To tag is left out: that of an ACK is the response's, and is compared there.
        let mut hash = self.build_hasher();
        // No part of the others begins so.
        hash.write(b"\x02");
        let part = |hash: &mut crate::cores::SipHasher, bytes: &[u8]| {
            hash.write(bytes);
            hash.end_part();
        };
        part(&mut hash, request.request_uri_bytes().unwrap_or_default());
        let from = request.from();
        part(&mut hash, from.as_ref().ok().and_then(|from| from.tag().ok().flatten()).unwrap_or_default().as_bytes());
        part(&mut hash, request.field(Header::CallId).unwrap_or_default());
        hash.write(&request.cseq().map_or(0, |cseq| cseq.number).to_le_bytes());
        part(&mut hash, via.transport().as_str().as_bytes());
        hash.write_lowercase(via.sent_by_bytes());
        hash.end_part();
        part(&mut hash, branch);
        hash.write(method.as_str().as_bytes());
        hash.finish128() | 1 << 127
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //# 1. the branch parameter in the request is equal to the one in the
    //# top Via header field of the request that created the
    //# transaction, and
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //# 2. the sent-by value in the top Via of the request is equal to the
    //# one in the request that created the transaction, and
    //= https://www.rfc-editor.org/rfc/rfc3261#section-17.2.3
    //# 3. the method of the request matches the one that created the
    //# transaction, except for ACK, where the method of the request
    //# that created the transaction is INVITE.
    pub(crate) fn branch_tag(self, branch: &[u8], sent_by: &[u8], method: &[u8]) -> u128 {
        let mut hash = self.build_hasher();
        hash.part_without_case(branch);
        hash.part_without_case(sent_by);
        hash.part(method);
        hash.finish128() | 1 << 127
    }
}

/// A tag of a client transaction whose branch the endpoint has drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OwnTag(u128);

impl OwnTag {
    /// Of the number of the branch. `None` for a method that has no code.
    #[inline]
    pub(crate) fn new(number: u128, method: &[u8]) -> Option<OwnTag> {
        let code: u8 = match method {
            b"INVITE" => 1,
            b"ACK" => 2,
            b"BYE" => 3,
            b"CANCEL" => 4,
            b"REGISTER" => 5,
            b"OPTIONS" => 6,
            b"SUBSCRIBE" => 7,
            b"NOTIFY" => 8,
            b"REFER" => 9,
            b"MESSAGE" => 10,
            b"INFO" => 11,
            b"UPDATE" => 12,
            b"PRACK" => 13,
            b"PUBLISH" => 14,
            _ => return None,
        };
        // 0 is the tag of what is in no table.
        Some(OwnTag(1 << 127 | u128::from(code) << Branch::BITS | number))
    }

    /// Of what a response says: the text of its topmost Via from the branch on, and the CSeq. `None` if those are not of the form this
    /// endpoint writes, or there is more than one Via value in the field.
    #[inline(always)]
    pub(crate) fn read(branch: &[u8], cseq: &[u8]) -> Option<OwnTag> {
        let (branch, after) = branch.split_first_chunk()?;
        let alone = matches!(after.first(), None | Some(b';')) && stamp::find(after, b',').is_none();
        OwnTag::new(Branch::read(branch).filter(|_| alone)?, method_of(cseq)?)
    }

    /// The same of a branch and a method that have been read.
    pub(crate) fn of(branch: &[u8], method: &[u8]) -> Option<OwnTag> {
        OwnTag::new(Branch::read(branch.try_into().ok()?)?, method)
    }

    pub(crate) fn get(self) -> u128 {
        self.0
    }
}

/// The method in a CSeq of the form in which nearly all are written: a number well within its bounds, one space, and what no other
/// reading could take apart if it is a method known here. `None` does not mean that the CSeq is wrong.
#[inline(always)]
pub(crate) fn method_of(cseq: &[u8]) -> Option<&[u8]> {
    let digits = cseq.iter().take_while(|b| b.is_ascii_digit()).count();
    match cseq.get(digits..)? {
        [b' ', method @ ..] if (1..10).contains(&digits) => Some(method),
        _ => None,
    }
}

/// Whether a response with this topmost Via field and this CSeq answers a request, given as it was received: as far as that can be told
/// by comparing their bytes. The other parts of what RFC 3261 section 17.2.3 compares stand in the Via.
pub(crate) fn goes_with(request: &[u8], via: &[u8], cseq: &[u8]) -> bool {
    let Some(line_end) = stamp::find(request, b'\n') else { return false };
    let Some(head) = request.get(line_end + 1..).and_then(|head| head.strip_prefix(b"Via: ")) else { return false };
    // The whole value, which does not go on in a next line.
    let Some([b'\r', b'\n', next, ..]) = head.strip_prefix(via) else { return false };
    let method = method_of(cseq).unwrap_or_default();
    let same = request.strip_prefix(method).is_some_and(|rest| rest.first() == Some(&b' '));
    !matches!(next, b' ' | b'\t') && same && !method.is_empty()
}

/// Whether a branch begins with the magic cookie, so that it is unique.
pub(crate) fn is_rfc3261(branch: &[u8]) -> bool {
    // Seven characters, the letters among them made small, and one more, whatever it is: compared as one word.
    const SMALL: u64 = u64::from_le_bytes([0x20, 0, 0x20, 0x20, 0, 0x20, 0x20, 0]);
    const COOKIE_WORD: u64 = u64::from_le_bytes(*b"z9hg4bk\0");
    let word = branch.first_chunk::<8>().map(|start| u64::from_le_bytes(*start) & ((1 << 56) - 1));
    word.is_some_and(|word| word | SMALL == COOKIE_WORD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Flow, FlowState};
    use crate::transport::Transport;
    use alloc::format;

    #[test]
    fn a_response_goes_with_the_request_whose_via_and_method_it_has() {
        let via = "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;rport=1;received=192.0.2.1";
        let with = |request: &str, cseq: &str| goes_with(request.as_bytes(), via.as_bytes(), cseq.as_bytes());
        let request = format!("BYE sip:b@c SIP/2.0\r\nVia: {via}\r\nCSeq: 1 BYE\r\n\r\n");
        assert!(with(&request, "1 BYE") && with(&request, "999999999 BYE"));
        for cseq in ["1 BY", "1 BYES", "1 INVITE", "1  BYE", "1 bye", "BYE", "1 ", "1", "", "4294967295 BYE", "1 BYE "]
        {
            assert!(!with(&request, cseq), "{cseq:?}");
        }
        for (what, by) in
            [("Via: ", "Vio: "), ("\r\nCSeq", "\r\n CSeq"), ("K1;", "K2;"), ("192.0.2.1", "192.0.2.1;x"), ("\n", "")]
        {
            assert!(!with(&request.replacen(what, by, 2), "1 BYE"), "{what:?} as {by:?}");
        }
        assert!(!with("", "1 BYE") && !goes_with(b"\nVia: \r\n\r\n", b"", b""));
    }

    #[test]
    fn what_this_endpoint_has_drawn_is_read_back_with_its_method() {
        let branch = Branch::new(12345);
        let branch = branch.as_str();
        let mut flow = Flow::new(Transport::Udp, FlowState::Socket, ([192, 0, 2, 1], 5060).into(), ([0; 4], 0).into());
        let tag = |flow: &Flow, via: &str, cseq: &str| {
            OwnTag::read(flow.branch_of(via.as_bytes())?, cseq.as_bytes()).map(OwnTag::get)
        };
        let via = format!("SIP/2.0/UDP a.example.com:5060;branch={branch}");
        assert_eq!(tag(&flow, &via, "1 INVITE"), None, "it has no name yet");
        assert_eq!((flow.sent_by(), flow.via()), ("", ""));
        flow.set_sent_by("a.example.com:5060");
        assert_eq!(flow.sent_by(), "a.example.com:5060");
        let invite = OwnTag::new(12345, b"INVITE").map(OwnTag::get);
        assert!(invite.is_some());
        for after in ["", ";rport=1;received=1.2.3.4", ";"] {
            assert_eq!(tag(&flow, &format!("{via}{after}"), "1 INVITE"), invite);
        }
        assert_eq!(OwnTag::of(branch.as_bytes(), b"INVITE").map(OwnTag::get), invite);
        for method in ["CANCEL", "BYE", "REGISTER", "OPTIONS"] {
            let other = tag(&flow, &via, &format!("1 {method}"));
            assert!(other.is_some() && other != invite, "{method}");
        }
        for cseq in ["1 invite", "1 FOO", "1INVITE", "INVITE", "", "1  INVITE", "12345678901 INVITE", "1 INVITE;x"] {
            assert_eq!(tag(&flow, &via, cseq), None, "{cseq:?}");
        }
        for other in [
            format!("SIP/2.0/UDP a.example.com:50601;branch={branch}"),
            format!("SIP/2.0/UDP a.example.com:5060 ;branch={branch}"),
            format!("SIP/2.0/UDP a.example.com:5060;rport;branch={branch}"),
            format!("SIP/2.0/UDP a.example.com:5060;branch=\"{branch}\""),
            format!("{via}\""),
            format!("{via}0"),
            format!("{via}, SIP/2.0/UDP b"),
            format!("{via};x, SIP/2.0/UDP b"),
            format!("SIP/2.0/TCP a.example.com:5060;branch={branch}"),
            via.replace('z', "y"),
            format!("{}w", &via[..via.len() - 1]),
            "SIP/2.0/UDP".into(),
            "".into(),
        ] {
            assert_eq!(tag(&flow, &other, "1 INVITE"), None, "{other:?}");
        }
    }

    #[test]
    fn the_cookie_is_compared_without_regard_to_case() {
        for branch in ["z9hG4bK1", "Z9HG4BK1", "z9hg4bk-", "z9hG4bKabcdef"] {
            assert!(is_rfc3261(branch.as_bytes()), "{branch}");
        }
        for branch in ["", "z9hG4bK", "z9hG4b1K", "z\x19hG4bK1", "z9hG\x14bK1", "y9hG4bK1", "1z9hG4bK"] {
            assert!(!is_rfc3261(branch.as_bytes()), "{branch:?}");
        }
    }
}
