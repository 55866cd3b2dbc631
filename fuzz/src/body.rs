//! Bodies: the first line is the content type, the rest a body, taken apart as multipart and as message/sipfrag.

use bytes::Bytes;
use sip_message::Message;
use sip_message::body::{MultipartBuilder, SipFrag};
use std::hint::black_box;

const MAX_DEPTH: usize = 3;

/// Runs the target.
pub fn run(data: &[u8]) {
    let line = data.iter().position(|&b| b == b'\n').unwrap_or(data.len());
    let (content_type, body) = (&data[..line], data.get(line + 1..).unwrap_or_default());
    let head = [b"MESSAGE sip:a@b SIP/2.0\r\nContent-Type: ", content_type, b"\r\n\r\n"].concat();
    if let Ok(message) = Message::parse(Bytes::from([&head, body].concat())) {
        let mut count = 0;
        for part in message.body_parts(MAX_DEPTH) {
            count += 1;
            match part {
                Ok(part) => {
                    assert!(part.body().len() <= message.body().len());
                    for field in part.fields() {
                        assert!(part.field(field.name()).is_some());
                    }
                    let _ = black_box((part.content_type(), part.disposition(), part.content_id()));
                }
                Err(error) => assert!(error.offset <= message.body().len()),
            }
        }
        assert!(count <= message.body().len() * MAX_DEPTH + 1);
    }
    if let Ok(fragment) = SipFrag::parse(body) {
        let _ = black_box((fragment.check(), fragment.start_line(), fragment.fields().count()));
        assert!(fragment.body().len() <= body.len());
    }
    // Whatever the parts hold, they come back.
    let parts: Vec<&[u8]> = body.chunks(64).take(8).collect();
    let builder = parts.iter().fold(MultipartBuilder::mixed(), |builder, part| builder.part("a/b", part.to_vec()));
    if let Ok(built) = builder.build() {
        let head = format!("MESSAGE sip:a@b SIP/2.0\r\nContent-Type: {}\r\n\r\n", built.content_type);
        let message = Message::parse(Bytes::from([head.as_bytes(), &built.body].concat())).expect("well framed");
        let found: Vec<&[u8]> = message.body_parts(1).map(|part| part.expect("well formed").body()).collect();
        assert_eq!(found, parts);
    }
}
