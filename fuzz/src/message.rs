//! One message: parsed, read in every way, checked at every depth, and written back byte for byte.

use bytes::Bytes;
use sip_message::body::SipFrag;
use sip_message::headers::{
    CallIdRef, Challenge, Credentials, Date, EntityTag, EventType, HistoryEntry, InfoUri, LanguageTag, MediaRange,
    MediaType, Replaces, Text, Token, Warning,
};
use sip_message::{
    CSeq, Capabilities, Contact, Header, Message, NameAddr, ParserConfig, RAck, StatusCode, Via, salvage,
};
use std::hint::black_box;

/// Every leniency switched on.
pub(crate) const LENIENT: ParserConfig = ParserConfig {
    bare_lf: true,
    missing_reason_space: true,
    stream_without_content_length: true,
    ..ParserConfig::DEFAULT
};

/// Runs the target.
pub fn run(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let strict = Message::parse(bytes.clone());
    if let Ok(message) = &strict {
        read(message);
        keeps_bytes(message, data);
    }
    match Message::parse_with(bytes, &LENIENT) {
        Ok(message) => {
            read(&message);
            keeps_bytes(&message, data);
        }
        Err(error) => {
            black_box((error.to_string(), error.status()));
            assert!(strict.is_err(), "a leniency made the parser refuse what it takes without");
        }
    }
    answerable(data);
}

/// Every read, on every header: they return, and what they return can be printed.
pub(crate) fn read(message: &Message) {
    black_box(format!("{message:?}"));
    let grammar = message.check_grammar();
    let semantics = message.check_semantics(&Capabilities::COMMON);
    let mandatory = [
        message.from().is_ok(),
        message.to().is_ok(),
        message.call_id().is_ok(),
        message.cseq().is_ok(),
        message.top_via().is_ok(),
    ];
    _ = black_box(message.max_forwards());
    if semantics.is_ok() {
        assert!(mandatory.iter().all(|&ok| ok), "meaningful, but a mandatory field cannot be read");
    }
    if grammar.is_ok() && message.is_version_2() {
        assert!(message.request_uri().is_none_or(|uri| uri.is_ok()), "well formed, but the Request-URI cannot be read");
        assert!(message.vias().all(|via| via.is_ok()), "well formed, but a Via cannot be read");
        assert!(message.contacts().all(|contact| contact.is_ok()), "well formed, but a Contact cannot be read");
        assert!(message.routes().all(|route| route.is_ok()), "well formed, but a Route cannot be read");
    }
    _ = black_box((message.start_line(), grammar.is_ok()));
    for &header in Header::ALL {
        assert_eq!(message.has(header), message.fields(header).next().is_some());
        assert_eq!(message.field(header), message.fields(header).next());
        macro_rules! each {
            ($($value:ty),*) => {
                $(
                    ends(message.values::<$value>(header));
                    _ = black_box(message.value::<$value>(header).is_ok());
                )*
            };
        }
        each!(Via<'_>, NameAddr<'_>, Contact<'_>, CSeq<'_>, RAck<'_>, Challenge<'_>, Credentials<'_>);
        each!(CallIdRef<'_>, Date, EntityTag<'_>, EventType<'_>, HistoryEntry<'_>, InfoUri<'_>, LanguageTag<'_>);
        each!(MediaRange<'_>, MediaType<'_>, Replaces<'_>, Text<'_>, Token<'_>, Warning<'_>);
    }
    ends(message.body_parts(3).map(|part| {
        part.map(|part| {
            _ = black_box((part.content_type().is_ok(), part.disposition().is_ok(), part.content_id().is_some()));
            _ = SipFrag::parse(part.body()).map(|fragment| fragment.check().is_ok());
        })
    }));
}

/// Iterates to the end, which must come: after an error too.
fn ends<T>(values: impl Iterator<Item = T>) {
    let limit = 1 << 18;
    assert!(values.take(limit).map(black_box).count() < limit, "an iterator without end");
}

/// What is written is what was read: all of it but empty lines before, and bytes behind the body.
fn keeps_bytes(message: &Message, data: &[u8]) {
    let written = message.to_bytes();
    let start = data.iter().position(|b| !b"\r\n".contains(b)).expect("a start line");
    assert!(data[start..].starts_with(&written), "not written as it came");
    assert_eq!(written.len(), message.encoded_len());
    assert_eq!(message.slices().collect::<Vec<_>>().concat(), written);
    assert!(written.ends_with(message.body()));
    let fields: usize = message.headers().map(|field| field.line().len()).sum();
    assert!(fields + message.body().len() < written.len());
}

/// What is salvaged can be answered, and the answer can be read.
fn answerable(data: &[u8]) {
    if let Some(salvaged) = salvage(data) {
        read(salvaged.request());
        if let Ok(answer) = salvaged.response(StatusCode::BAD_REQUEST).to_tag("1").build() {
            let again = Message::parse(answer.to_bytes()).expect("an answer of ours");
            assert_eq!(again.status(), Some(StatusCode::BAD_REQUEST));
            assert_eq!(again.vias().count(), salvaged.request().vias().count());
        }
    }
}
