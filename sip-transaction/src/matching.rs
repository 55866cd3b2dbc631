//! What matches a message to its transaction: RFC 3261 sections 17.1.3 and 17.2.3.
//!
//! A tag is a keyed hash of 128 bits over the parts the RFC compares, so that one look-up compares them all.

use crate::cores::HashKey;
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
    use super::is_rfc3261;

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
