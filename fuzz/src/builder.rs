//! Builders: whatever they are handed, what comes out is what went in, and nothing else.
//!
//! The input is lines: method, Request-URI, then `name:value` each; the last is the body.

use bytes::Bytes;
use sip_message::{Message, Method, StatusCode};

/// Runs the target.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // A form feed parts the lines, so that a value can hold all that should not get through.
    let mut lines = text.split('\x0c');
    let (Some(method), Some(uri)) = (lines.next(), lines.next()) else { return };
    let lines: Vec<&str> = lines.take(32).collect();
    let Some((body, fields)) = lines.split_last() else { return };
    let fields: Vec<(&str, &str)> = fields.iter().filter_map(|line| line.split_once(':')).collect();

    let Some(parsed) = Method::parse(method.as_bytes()) else { return };
    let mut builder = Message::request(parsed, uri);
    for &(name, value) in &fields {
        builder = builder.header(name, value);
    }
    let Ok(request) = builder.body("text/plain", (*body).to_owned()).build() else { return };
    let again = reread(&request);
    assert_eq!(again.method().map(|method| method.as_str().to_owned()).as_deref(), Some(method));
    assert_eq!(again.request_uri_bytes(), Some(uri.as_bytes()));
    assert_eq!(again.body(), body.as_bytes());
    // Max-Forwards, Content-Type and Content-Length are the builder's.
    let extra = again.headers().count() - fields.len();
    assert!((2..=3).contains(&extra), "{extra} fields that were not asked for");
    for (field, &(name, value)) in again.headers().zip(&fields) {
        assert!(field.name_as_written().eq_ignore_ascii_case(name) || field.name().known().is_some());
        assert_eq!(field.value(), value.trim_matches([' ', '\t']).as_bytes());
    }

    for status in [StatusCode::TRYING, StatusCode::OK] {
        if let Ok(response) = Message::response(&request, status).to_tag("a").build() {
            let again = reread(&response);
            assert_eq!(again.call_id().ok(), request.call_id().ok());
            assert_eq!(again.vias().count(), request.vias().count());
            if let Ok(ack) = request.ack(&response) {
                assert_eq!(reread(&ack).method(), Some(Method::Ack));
            }
        }
    }
    if let Ok(cancel) = request.cancel() {
        assert_eq!(reread(&cancel).method(), Some(Method::Cancel));
    }
}

/// The message as its receiver gets it: it must be one, well formed, and all of it.
fn reread(message: &Message) -> Message {
    let written: Bytes = message.to_bytes();
    let again = match Message::parse(written.clone()) {
        Ok(again) => again,
        Err(error) if written.len() > 16_000 => panic!("{error}"),
        Err(error) => panic!("built, but not to be read: {error}: \"{}\"", written.escape_ascii()),
    };
    assert_eq!(again.to_bytes(), written, "bytes that belong to no field");
    if let Err(fault) = again.check_grammar() {
        panic!("built, but not well formed: {fault:?}: \"{}\"", written.escape_ascii());
    }
    again
}
