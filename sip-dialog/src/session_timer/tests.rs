use super::*;
use alloc::format;
use alloc::string::String;
use bytes::Bytes;

fn request(more: &str) -> Message {
    let text = format!(
        "UPDATE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
         Call-ID: c\r\nCSeq: 1 UPDATE\r\n{more}\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

fn response(code: u16, more: &str) -> Message {
    let text: String = format!(
        "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
         Call-ID: c\r\nCSeq: 1 UPDATE\r\n{more}\r\n"
    );
    Message::parse(Bytes::from(text)).unwrap()
}

const CONFIG: SessionTimerConfig = SessionTimerConfig { interval: Some(1800), min_se: 90 };

//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# The UAS MUST NOT increase the value of the Session-Expires header field.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# The UAS response MAY reduce its value but MUST NOT set it to a duration
//# lower than the value in the Min-SE header field in the request, if it is
//# present; otherwise the UAS MAY reduce its value but MUST NOT set it to a
//# duration lower than 90 seconds.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# The UAS MUST set the value of the refresher parameter in the
//# Session-Expires header field in the 2xx response.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# If the refresher parameter in the Session-Expires header field in the
//# 2xx response has a value of 'uac', the UAS MUST place a Require header
//# field into the response with the value 'timer'.
//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# If the refresher parameter in the 2xx response has a value of 'uas' and
//# the Supported header field in the request contained the value 'timer',
//# the UAS SHOULD place a Require header field into the response with the
//# value 'timer'.
#[test]
fn what_a_uas_answers() {
    let answer = |more: &str| SessionTimer::default().received(&request(more), &CONFIG).unwrap();
    let both = |fields: Fields| (fields.expires, fields.required);
    let uac = |n| Some((n, Some(Refresher::Uac)));
    let uas = |n| Some((n, Some(Refresher::Uas)));
    assert_eq!(both(answer("Supported: timer\r\nSession-Expires: 600\r\n")), (uac(600), true));
    assert_eq!(both(answer("Supported: timer\r\nSession-Expires: 4000\r\n")), (uac(1800), true));
    assert_eq!(both(answer("Supported: timer\r\nSession-Expires: 4000\r\nMin-SE: 3000\r\n")), (uac(3000), true));
    assert_eq!(both(answer("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n")), (uas(600), true));
    // A proxy asked for it on behalf of a caller that knows no timers.
    assert_eq!(both(answer("Session-Expires: 600\r\n")), (uas(600), false));
    assert_eq!(both(answer("Supported: timer\r\n")), (uac(1800), true));
    assert_eq!(both(answer("")), (None, false));
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-9
//= type=test
//# This minimum interval MUST NOT be lower than 90 seconds.
#[test]
fn too_small_for_us() {
    let config = SessionTimerConfig { interval: None, min_se: 10 };
    let ask = |seconds: u32| {
        let more = format!("Supported: timer\r\nSession-Expires: {seconds}\r\n");
        SessionTimer::default().received(&request(&more), &config)
    };
    assert_eq!(ask(89), Err(90));
    assert_eq!(ask(90).unwrap().expires, Some((90, Some(Refresher::Uac))));
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# The UAC MUST insert the Min-SE header field into a session refresh
//# request for a particular dialog if it has ever received a 422 response
//# to a previous session refresh request on the same dialog, or if it has
//# received a session refresh request on that dialog that contained a
//# Min-SE header field.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# The value of the Min-SE header field present in a session refresh
//# request MUST be the largest value among all Min-SE header field values
//# returned in all 422 responses or received in session refresh requests,
//# on the same dialog, if a dialog has been established.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.4
//= type=test
//# When present, it SHOULD be equal to the maximum of the Min-SE header
//# field (recall that its default value when not present is 90 seconds) and
//# the current session interval.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.1
//= type=test
//# If a Min-SE header is included in the initial session refresh request,
//# the value of the Session-Expires MUST be greater than or equal to the
//# value in Min-SE.
//= https://www.rfc-editor.org/rfc/rfc4028#section-5
//= type=test
//# When present in a request or response, its value MUST NOT be less than
//# 90 seconds.
#[test]
fn the_largest_min_se_is_remembered() {
    // Whatever is configured or was asked for by a peer that knows no better.
    let hasty = SessionTimerConfig { interval: Some(1), min_se: 1 };
    let mut told = SessionTimer::default();
    for _ in 0..2 {
        let fields = told.request(&hasty);
        assert!(fields.expires.is_none_or(|(interval, _)| interval >= 90), "{fields:?}");
        assert!(fields.min_se.is_none_or(|least| least >= 90), "{fields:?}");
        told.too_small(&response(422, "Min-SE: 3\r\n"));
    }
    let mut timer = SessionTimer::default();
    let small = SessionTimerConfig { interval: Some(100), min_se: 90 };
    assert_eq!(timer.request(&small), Fields { expires: Some((100, None)), min_se: None, required: false });
    assert!(timer.too_small(&response(422, "Min-SE: 300\r\n")));
    assert!(!timer.too_small(&response(422, "Min-SE: 300\r\n")), "again would be in vain");
    assert!(!timer.too_small(&response(422, "")));
    timer.received(&request("Supported: timer\r\nSession-Expires: 900\r\nMin-SE: 200\r\n"), &small).unwrap();
    let fields = timer.request(&small);
    assert_eq!((fields.expires, fields.min_se), (Some((300, None)), Some(300)));
}

//= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
//= type=test
//# The UAC MUST set the identity of the refresher to the value of this
//# parameter.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
//= type=test
//# UACs MUST be prepared to receive a Session-Expires header field in a
//# response, even if none were present in the request.
//= https://www.rfc-editor.org/rfc/rfc4028#section-7.2
//= type=test
//# If the UA seeks to continue with the session beyond the session
//# expiration, it MUST generate a refresh before the session expiration.
#[test]
fn who_acts_when() {
    let mut timer = SessionTimer::default();
    timer.accepted(&response(200, "Session-Expires: 600;refresher=uac\r\n"));
    assert_eq!(timer.agreed(), Some((600, Role::Us)));
    assert_eq!(
        (timer.refresh_after(), timer.ends_after()),
        (Some(Duration::from_secs(300)), Some(Duration::from_secs(600)))
    );
    timer.accepted(&response(200, "Session-Expires: 600;refresher=uas\r\n"));
    assert_eq!((timer.refresh_after(), timer.ends_after()), (None, Some(Duration::from_secs(568))));
    timer.accepted(&response(200, "Session-Expires: 90;refresher=uas\r\n"));
    assert_eq!(timer.ends_after(), Some(Duration::from_secs(60)));
    timer.accepted(&response(200, ""));
    assert_eq!((timer.agreed(), timer.ends_after()), (None, None));
    timer.answered(&Fields { expires: Some((120, Some(Refresher::Uas))), min_se: None, required: true });
    assert_eq!(timer.agreed(), Some((120, Role::Us)));
}
