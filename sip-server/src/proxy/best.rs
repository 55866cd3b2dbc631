//! Which of several final responses goes back (RFC 3261 section 16.7 steps 6 and 7).

use crate::codec::{self, Reader, Writer};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use sip_message::{Header, Message, StatusCode};

/// The best final response so far, and what others add to it.
#[derive(Default)]
pub(super) struct Best {
    response: Option<Box<Message>>,
    /// The status of branches that gave no response: a timeout, a flow or transport that failed.
    own: Option<StatusCode>,
    /// Challenges of responses other than the best.
    challenges: Vec<(Header, String)>,
}

/// What a context answers with.
pub(super) enum Choice {
    Forward(Box<Message>),
    Make(StatusCode),
    /// Nothing was received at all.
    Nothing,
}

/// The lower the better.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//# It MUST choose from the 6xx class responses if any exist in
//# the context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//# If no 6xx class responses are present,
//# the proxy SHOULD choose from the lowest response class stored
//# in the response context.
//= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
//# The proxy SHOULD
//# give preference to responses that provide information affecting
//# resubmission of this request, such as 401, 407, 415, 420, and
//# 484 if the 4xx class is chosen.
fn rank(status: StatusCode) -> (u16, u8) {
    let class = if status.class() == 6 { 0 } else { status.class() };
    let within = match status.code() {
        401 | 407 => 0,
        415 | 420 | 484 => 1,
        // These say nothing of the user.
        408 | 430 => 4,
        // A branch that was cancelled for another one's sake.
        487 => 3,
        503 => 4,
        _ => 2,
    };
    (class, within)
}

impl Best {
    /// A branch gave a final response other than 2xx.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
    //# All 407 (Proxy Authentication Required) responses MUST be forwarded upstream toward
    //# the UAC following the procedures for any other response.
    pub(super) fn add(&mut self, response: Box<Message>) {
        let Some(status) = response.status() else { return };
        let best = self.response.as_ref().and_then(|best| best.status());
        let better = best.is_none_or(|best| rank(status) < rank(best));
        let other = if better { self.response.replace(response) } else { Some(response) };
        if let Some(other) = other {
            self.keep_challenges(&other);
        }
    }

    /// A branch ended without a response, which is as good as this status.
    pub(super) fn add_own(&mut self, status: StatusCode) {
        if self.own.is_none_or(|own| rank(status) < rank(own)) {
            self.own = Some(status);
        }
    }

    /// As bytes for [`read`](Best::read).
    pub(super) fn write(&self, out: &mut Writer) {
        out.option(self.response.as_deref(), codec::write_message);
        out.option(self.own, codec::write_status);
        out.each(self.challenges.iter(), |out, (header, value)| {
            out.bool(*header == Header::ProxyAuthenticate);
            out.text(value);
        });
    }

    pub(super) fn read(input: &mut Reader<'_>) -> Option<Best> {
        Some(Best {
            response: input.option(codec::message)?.map(Box::new),
            own: input.option(codec::status)?,
            challenges: input.each(|input| {
                let header = if input.bool()? { Header::ProxyAuthenticate } else { Header::WwwAuthenticate };
                Some((header, input.string()?))
            })?,
        })
    }

    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.5
    //# Each WWW-Authenticate and Proxy-Authenticate value received in response to the forked
    //# request MUST be placed into the single response that is sent by the forking proxy to
    //# the UAC.
    //= https://www.rfc-editor.org/rfc/rfc8760#section-2.5
    //# When the forking proxy places multiple WWW-Authenticate and Proxy-Authenticate header
    //# fields received from one downstream proxy into a single response, it MUST maintain the
    //# order of these header fields.
    fn keep_challenges(&mut self, response: &Message) {
        if !matches!(response.status(), Some(StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED)) {
            return;
        }
        for header in [Header::WwwAuthenticate, Header::ProxyAuthenticate] {
            for value in response.fields(header) {
                self.challenges.push((header, String::from_utf8_lossy(value).into_owned()));
            }
        }
    }

    /// What goes back.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# The stateful proxy MUST choose the "best" final response among those received and
    //# stored in the response context.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# Otherwise, the proxy MUST forward a response from the responses stored in the
    //# response context.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# The forwarded response MUST be processed as described in steps "Aggregate
    //# Authorization Header Field Values" through "Record-Route".
    pub(super) fn choose(&mut self) -> Choice {
        let received = self.response.as_ref().and_then(|best| best.status());
        match (received, self.own) {
            (Some(status), Some(own)) if rank(own) < rank(status) => Choice::Make(passable(own)),
            //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
            //# A proxy which receives a 503 (Service Unavailable) response
            //# SHOULD NOT forward it upstream unless it can determine that any
            //# subsequent requests it might proxy will also generate a 503.
            //# In other words, forwarding a 503 means that the proxy knows it
            //# cannot service any requests, not just the one for the Request-
            //# URI in the request which generated the 503.  If the only
            //# response that was received is a 503, the proxy SHOULD generate
            //# a 500 response and forward that upstream.
            (Some(StatusCode::SERVICE_UNAVAILABLE), _) => Choice::Make(StatusCode::SERVER_INTERNAL_ERROR),
            (Some(status), _) => match self.response.take() {
                Some(response) => Choice::Forward(self.aggregate(status, response)),
                None => Choice::Nothing,
            },
            (None, Some(own)) => Choice::Make(passable(own)),
            (None, None) => Choice::Nothing,
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //# If the selected response is a 401 (Unauthorized) or 407 (Proxy
    //# Authentication Required), the proxy MUST collect any WWW-
    //# Authenticate and Proxy-Authenticate header field values from
    //# all other 401 (Unauthorized) and 407 (Proxy Authentication
    //# Required) responses received so far in this response context
    //# and add them to this response without modification before
    //# forwarding.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-22.3
    //# Each WWW-Authenticate
    //# and Proxy-Authenticate value received in responses to the forked
    //# request MUST be placed into the single response that is sent by the
    //# forking proxy to the UA; the ordering of these header field values is
    //# not significant.
    fn aggregate(&mut self, status: StatusCode, mut response: Box<Message>) -> Box<Message> {
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED) {
            for (header, value) in self.challenges.drain(..) {
                // It came in a message, so it can stand in one.
                let _ = response.push(header, value);
            }
        }
        response
    }
}

/// A status of this proxy's own, as it may be shown upstream.
fn passable(status: StatusCode) -> StatusCode {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => StatusCode::SERVER_INTERNAL_ERROR,
        StatusCode::FLOW_FAILED => StatusCode::TEMPORARILY_UNAVAILABLE,
        status => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn response(code: u16, fields: &str) -> Box<Message> {
        let text = alloc::format!(
            "SIP/2.0 {code} x\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 INVITE\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        Box::new(Message::parse(Bytes::from(text)).unwrap())
    }

    fn chosen(codes: &[u16], own: Option<u16>) -> Option<u16> {
        let mut best = Best::default();
        codes.iter().for_each(|&code| best.add(response(code, "")));
        own.and_then(StatusCode::new).into_iter().for_each(|status| best.add_own(status));
        match best.choose() {
            Choice::Forward(message) => message.status().map(StatusCode::code),
            Choice::Make(status) => Some(status.code()),
            Choice::Nothing => None,
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# It MUST choose from the 6xx class responses if any exist in
    //# the context.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# If no 6xx class responses are present,
    //# the proxy SHOULD choose from the lowest response class stored
    //# in the response context.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# The proxy SHOULD
    //# give preference to responses that provide information affecting
    //# resubmission of this request, such as 401, 407, 415, 420, and
    //# 484 if the 4xx class is chosen.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# If the only
    //# response that was received is a 503, the proxy SHOULD generate
    //# a 500 response and forward that upstream.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# The stateful proxy MUST choose the "best" final response among those received and
    //# stored in the response context.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# Otherwise, the proxy MUST forward a response from the responses stored in the
    //# response context.
    #[test]
    fn the_best_response_is_chosen() {
        assert_eq!(chosen(&[486, 302, 603, 500], None), Some(603));
        assert_eq!(chosen(&[486, 302, 500], None), Some(302));
        assert_eq!(chosen(&[500, 486], None), Some(486));
        assert_eq!(chosen(&[486, 407], None), Some(407));
        assert_eq!(chosen(&[486, 484], None), Some(484));
        assert_eq!(chosen(&[487, 480], None), Some(480), "a cancelled branch says least");
        assert_eq!(chosen(&[480, 486], None), Some(480), "the first of equals");
        assert_eq!(chosen(&[503], None), Some(500));
        assert_eq!(chosen(&[503, 504], None), Some(504));
        assert_eq!(chosen(&[503], Some(408)), Some(408));
        assert_eq!(chosen(&[404], Some(408)), Some(404));
        assert_eq!(chosen(&[], Some(503)), Some(500));
        assert_eq!(chosen(&[], Some(430)), Some(480), "430 is the proxy's own concern");
        assert_eq!(chosen(&[], None), None);
    }

    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# If the selected response is a 401 (Unauthorized) or 407 (Proxy
    //# Authentication Required), the proxy MUST collect any WWW-
    //# Authenticate and Proxy-Authenticate header field values from
    //# all other 401 (Unauthorized) and 407 (Proxy Authentication
    //# Required) responses received so far in this response context
    //# and add them to this response without modification before
    //# forwarding.
    //= https://www.rfc-editor.org/rfc/rfc3261#section-16.7
    //= type=test
    //# The forwarded response MUST be processed as described in steps "Aggregate
    //# Authorization Header Field Values" through "Record-Route".
    #[test]
    fn challenges_of_all_branches_go_back_together() {
        let mut best = Best::default();
        best.add(response(401, "WWW-Authenticate: Digest realm=\"a\", nonce=\"1\"\r\n"));
        best.add(response(486, "WWW-Authenticate: Digest realm=\"not\", nonce=\"0\"\r\n"));
        best.add(response(407, "Proxy-Authenticate: Digest realm=\"b\",  nonce=\"2\"\r\n"));
        let Choice::Forward(message) = best.choose() else { panic!("a response") };
        assert_eq!(message.status(), Some(StatusCode::UNAUTHORIZED));
        assert_eq!(message.fields(Header::WwwAuthenticate).count(), 1);
        let other = message.field(Header::ProxyAuthenticate).unwrap();
        assert_eq!(other, b"Digest realm=\"b\",  nonce=\"2\"", "as it came, space and all");
    }
}
