//! What a message means where a header is missing, and which preference counts where several do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::header_support::request;

#[test]
fn without_accept_only_sdp_is_acceptable() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.1
    //= type=test
    //# The
    //# semantics are also identical, with the exception that if no Accept
    //# header field is present, the server SHOULD assume a default value of
    //# application/sdp.
    let message = request("");
    assert_eq!(message.accept_quality("Application/SDP"), 1000);
    assert_eq!(message.accept_quality("text/plain"), 0);
    // An empty field is not a missing one: no format is acceptable.
    assert_eq!(request("Accept:\r\n").accept_quality("application/sdp"), 0);
}

#[test]
fn the_most_specific_range_counts() {
    let message = request("Accept: */*;q=0.1, text/*;q=0.5,text/html;q=0\r\nAccept: text/plain\r\nAccept: a/b;q=9\r\n");
    for (media, quality) in
        [("text/plain", 1000), ("text/xml", 500), ("TEXT/HTML", 0), ("application/sdp", 100), ("a/b", 0), ("text", 0)]
    {
        assert_eq!(message.accept_quality(media), quality, "{media}");
    }
}

#[test]
fn without_accept_encoding_only_identity_is_acceptable() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.2
    //= type=test
    //# If no
    //# Accept-Encoding header field is present, the server SHOULD assume a
    //# default value of identity.
    for message in [request(""), request("Accept-Encoding:\r\n")] {
        assert_eq!(message.accept_encoding_quality("identity"), 1000);
        assert_eq!(message.accept_encoding_quality("gzip"), 0);
    }
    let message = request("Accept-Encoding: gzip;q=0.5, identity;q=0, *;q=0.2\r\n");
    assert_eq!(message.accept_encoding_quality("GZIP"), 500);
    assert_eq!(message.accept_encoding_quality("identity"), 0);
    assert_eq!(message.accept_encoding_quality("compress"), 200);
    assert_eq!(request("Accept-Encoding: gzip\r\n").accept_encoding_quality("identity"), 1000);
}

#[test]
fn without_accept_language_every_language_is_acceptable() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.3
    //= type=test
    //# If no Accept-Language header field is present, the server SHOULD
    //# assume all languages are acceptable to the client.
    assert_eq!(request("").accept_language_quality("da"), 1000);
    let message = request("Accept-Language: da, en-gb;q=0.8, en;q=0.7\r\n");
    for (tag, quality) in [("da", 1000), ("en-GB", 800), ("en-us", 700), ("en", 700), ("de", 0)] {
        assert_eq!(message.accept_language_quality(tag), quality, "{tag}");
    }
    assert_eq!(request("Accept-Language: *;q=0.5, de\r\n").accept_language_quality("fr"), 500);
}

#[test]
fn a_body_without_disposition_is_a_session_or_to_be_rendered() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.11
    //= type=test
    //# For backward-compatibility, if the Content-Disposition header field
    //# is missing, the server SHOULD assume bodies of Content-Type
    //# application/sdp are the disposition "session", while other content
    //# types are "render".
    for (lines, disposition) in [
        ("c: Application/SDP\r\n", "session"),
        ("c: text/plain\r\n", "render"),
        ("", "render"),
        ("c: application/sdp\r\nContent-Disposition: icon\r\n", "icon"),
        ("Content-Disposition: Early-Session;handling=optional\r\n", "early-session"),
    ] {
        assert_eq!(request(lines).body_disposition().unwrap(), disposition, "{lines}");
    }
    assert!(request("c: sdp\r\n").body_disposition().is_err());
}

#[test]
fn a_request_without_priority_is_normal() {
    //= https://www.rfc-editor.org/rfc/rfc3261#section-20.26
    //= type=test
    //# For these decisions, a message containing no
    //# Priority header field SHOULD be treated as if it specified a Priority
    //# of "normal".
    assert_eq!(request("").priority().unwrap(), "normal");
    assert_eq!(request("Priority: Urgent\r\n").priority().unwrap(), "urgent");
    assert!(request("Priority: very urgent\r\n").priority().is_err());
}
