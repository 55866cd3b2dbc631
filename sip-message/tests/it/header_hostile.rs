//! Whatever stands in a header field, reading it to its last parameter neither panics nor points elsewhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use sip_message::headers::Product;
use sip_message::{Header, HeaderError, Message, Method, Params, ParserConfig, ValueError};

/// What the reads of one message came to.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    values: usize,
    parts: usize,
    errors: Vec<HeaderError>,
}

fn message(header: Header, value: &[u8]) -> Option<Message> {
    let mut bytes = b"INVITE sip:bob@biloxi.com SIP/2.0\r\nX-First: x\r\n".to_vec();
    bytes.extend_from_slice(header.as_str().as_bytes());
    bytes.extend_from_slice(b": ");
    bytes.extend_from_slice(value);
    bytes.extend_from_slice(b"\r\nX-Last: x\r\n\r\n");
    let config =
        ParserConfig { max_header_len: 65_535, max_message_len: 1 << 20, max_folds: 20_000, ..ParserConfig::default() };
    Message::parse_with(Bytes::from(bytes), &config).ok()
}

/// Reads `message` by every method there is, and every value by all of its.
fn read_all(message: &Message) -> Outcome {
    let mut outcome = Outcome::default();
    macro_rules! part {
        ($($read:expr),*) => { $({ let _ = $read; outcome.parts += 1; })* };
    }
    macro_rules! list {
        ($($name:ident $(|$value:ident| $($read:expr),+)?;)*) => {
            $(for value in message.$name() {
                match value {
                    Ok(value) => {
                        outcome.values += 1;
                        let _value = value;
                        $(let $value = _value; part!($($read),+);)?
                    }
                    Err(error) => outcome.errors.push(error),
                }
            })*
        };
    }
    macro_rules! single {
        ($($name:ident $(|$value:ident| $($read:expr),+)?;)*) => {
            $(match message.$name() {
                Ok(None) => {}
                Ok(Some(value)) => {
                    outcome.values += 1;
                    let _value = value;
                    $(let $value = _value; part!($($read),+);)?
                }
                Err(error) => outcome.errors.push(error),
            })*
        };
    }
    fn params(params: Params<'_>) -> Result<usize, ValueError> {
        params.map(|param| Ok(param?.value.map_or(0, |value| value.unquoted().len()))).sum()
    }
    list! {
        vias |v| v.sent_by(), v.branch(), v.received(), v.rport(), v.maddr(), v.ttl(), params(v.params());
        contacts |v| v.q(), v.expires(), v.reg_id(), v.instance_id();
        routes |v| v.uri(), v.display_name(), params(v.params());
        record_routes |v| v.uri();
        accept |v| v.q(), v.accepts("a/b"), params(v.params());
        accept_contact |v| v.is_required(), v.is_explicit(), v.features().count();
        accept_encoding |v| v.q(), v.coding();
        accept_language |v| v.q(), v.accepts("en");
        accept_resource_priority |v| v.namespace, v.priority;
        alert_info |v| v.uri(), params(v.params());
        allow |v| v.as_str();
        allow_events |v| v.package(), v.templates().count();
        authorization |v| v.username_text(), v.realm(), v.response(), v.nc(), v.qop(), v.uri(), v.token68(), v.params().count();
        call_info |v| v.uri(), v.purpose();
        content_encoding;
        content_language |v| v.primary();
        diversion |v| v.uri(), v.reason(), v.counter(), v.limit(), v.privacy(), v.screen();
        error_info |v| v.uri();
        feature_caps |v| v.features().count();
        geolocation |v| v.uri();
        history_info |v| v.uri(), v.rc(), v.mp(), v.np(), v.index().map(|index| index.map(|index| index.numbers().count()));
        identity |v| v.info().uri(), v.algorithm(), v.ppt(), v.get("x"), v.is_compact();
        in_reply_to;
        p_access_network_info |v| v.is_network_provided(), params(v.params());
        p_asserted_identity |v| v.uri(), v.display_name();
        p_associated_uri |v| v.uri();
        p_charging_function_addresses |v| v.get("ecf"), v.iter().count();
        p_early_media;
        p_preferred_identity |v| v.uri();
        p_visited_network_id |v| v.value().unquoted(), params(v.params());
        path |v| v.uri();
        proxy_authenticate |v| v.realm(), v.qop(), v.stale(), v.algorithm(), v.domain(), v.params().count();
        proxy_authorization |v| v.username_text(), v.digest(), v.opaque(), v.cnonce(), v.userhash();
        proxy_require;
        reason_header |v| v.cause(), v.text();
        recv_info |v| params(v.params());
        reject_contact |v| v.is_required();
        request_disposition |v| v.as_str();
        require;
        resource_priority;
        security_client |v| v.q(), v.digest_algorithm(), v.digest_qop(), v.digest_verify();
        security_server |v| v.q();
        security_verify |v| v.digest_verify();
        service_route |v| v.uri();
        supported;
        unsupported;
        user_to_user |v| v.value().unquoted(), params(v.params());
        warning |v| v.code(), v.agent(), v.text().unquoted();
        www_authenticate |v| v.realm(), v.nonce(), v.qop().map(|qop| qop.map(|qop| qop.iter().count())), v.token68();
    }
    single! {
        answer_mode |v| v.is_required();
        authentication_info |v| v.nextnonce(), v.qop(), v.rspauth(), v.cnonce(), v.nc(), v.params().count();
        content_disposition |v| v.is_required();
        content_length;
        content_type |v| v.is("a/b"), v.boundary(), v.charset(), params(v.params());
        date |v| v.to_string();
        event |v| v.id(), v.matches(&v), params(v.params());
        expires;
        flow_timer;
        geolocation_error |v| v.code(), v.text();
        geolocation_routing;
        info_package;
        join |v| v.to_tag(), v.from_tag();
        max_breadth;
        max_forwards;
        mime_version;
        min_expires;
        min_se |v| v.interval(), params(v.params());
        organization |v| v.to_text();
        p_called_party_id |v| v.uri();
        p_charging_vector |v| v.icid_value(), v.iter().count();
        privacy |v| v.has("id"), v.iter().count();
        proxy_authentication_info |v| v.nextnonce();
        rack;
        refer_events_at |v| v.uri();
        refer_sub |v| v.wanted();
        refer_to |v| v.uri(), params(v.params());
        referred_by |v| v.uri(), v.cid();
        replaces |v| v.to_tag(), v.from_tag(), v.is_early_only();
        reply_to |v| v.uri();
        retry_after |v| v.comment(), v.duration(), params(v.params());
        rseq;
        server |v| v.iter().count();
        session_expires |v| v.refresher(), params(v.params());
        session_id |v| v.remote();
        sip_etag;
        sip_if_match;
        subject |v| v.to_text();
        subscription_state |v| v.state(), v.reason(), v.expires(), v.retry_after();
        suppress_if_match;
        target_dialog |v| v.local_tag(), v.remote_tag();
        timestamp |v| v.time(), v.delay();
        user_agent |v| v.iter().count();
    }
    part!(message.from(), message.to(), message.call_id(), message.cseq(), message.top_via(), message.priority());
    part!(message.accept_quality("a/b"), message.accept_encoding_quality("x"), message.accept_language_quality("en"));
    part!(message.body_disposition(), message.supports("x"), message.allows(Method::Bye), message.check_grammar());
    outcome
}

/// Pieces that mean something somewhere, and any byte but those that end a line.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "<sip:a@b>",
        "sip:a@b",
        "\"",
        "\\",
        "<",
        ">",
        "(",
        ")",
        ",",
        ";",
        "=",
        "*",
        "/",
        " ",
        "\r\n ",
        "a",
        ";tag=1",
        ";q=0.5",
        "4294967296",
        "Digest realm=",
        ",nonce=",
        ":",
        "@",
        ".",
        "UTF-8''%41",
        ";info=<a:b>",
        ";to-tag=1",
        "text/plain",
        "307 a \"b\"",
        ";index=1.2",
        "1.5 2.5",
        ";expires=7",
        "%",
        "'",
        "Sat, 13 Nov 2010 23:29:00 GMT",
    ];
    let piece = prop_oneof![
        9 => proptest::sample::select(pieces.map(str::as_bytes).map(<[u8]>::to_vec).to_vec()),
        1 => any::<u8>().prop_filter("ends a line", |b| !matches!(b, b'\r' | b'\n')).prop_map(|b| vec![b]),
    ];
    proptest::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_value_of_any_header(value in value()) {
        for &header in Header::ALL {
            let Some(message) = message(header, &value) else { continue };
            let from = b"INVITE sip:bob@biloxi.com SIP/2.0\r\nX-First: x\r\n".len();
            let to = message.to_bytes().len();
            for error in read_all(&message).errors {
                prop_assert_eq!(error.header, header);
                prop_assert!((from..to).contains(&error.offset), "{error}");
            }
        }
    }
}

#[test]
fn long_values_of_every_kind() {
    let patterns: [&[u8]; 20] = [
        b",", b",a", b", a b", b";", b";a", b";a=b", b"\"", b"\"a\",", b"\\", b"<", b"<>", b"<a:b>,", b"(", b"()",
        b" ", b"a", b"a=b,", b"\r\n ", b"%41", b"1.",
    ];
    for &header in Header::ALL {
        for pattern in patterns {
            let value = [b"a ", &pattern.repeat(20_000 / pattern.len())[..], b" z"].concat();
            let Some(message) = message(header, &value) else { continue };
            let outcome = read_all(&message);
            assert!(outcome.values + outcome.errors.len() <= 20_001, "{header}: {pattern:?}");
        }
    }
}

#[test]
fn the_depth_of_comments_is_not_the_depth_of_a_stack() {
    for header in [Header::UserAgent, Header::Server] {
        let value = [b"a ", &b"(".repeat(30_000)[..], &b")".repeat(30_000)[..]].concat();
        let message = message(header, &value).unwrap();
        let products = if header == Header::Server { message.server() } else { message.user_agent() }.unwrap().unwrap();
        assert!(matches!(products.iter().nth(1), Some(Ok(Product::Comment(inner))) if inner.len() == 59_998));
    }
}
