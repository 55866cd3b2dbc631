//! A stream: however its bytes are cut, the same items come out, and no more is kept than the limits allow.
//!
//! The first byte of the input chooses the switches, the second how the stream is cut; the rest is the stream.

use sip_message::{Message, ParserConfig, StreamDecoder, StreamItem};

/// Small limits, so that inputs of a fuzzer's size reach them.
const LIMITS: ParserConfig =
    ParserConfig { max_message_len: 2048, max_headers: 16, max_header_len: 256, max_folds: 4, ..ParserConfig::DEFAULT };

/// What came out, in a form to compare.
#[derive(Debug, PartialEq)]
enum Item {
    Message(Vec<u8>),
    Crlf(u32),
    Refused { error: String, offset: usize, fatal: bool, head: Vec<u8> },
}

/// Runs the target.
pub fn run(data: &[u8]) {
    let [switches, cut, stream @ ..] = data else { return };
    let config = ParserConfig {
        bare_lf: switches & 1 != 0,
        missing_reason_space: switches & 2 != 0,
        stream_without_content_length: switches & 4 != 0,
        ..if switches & 8 != 0 { LIMITS } else { ParserConfig::DEFAULT }
    };
    let whole = decode(&config, std::iter::once(stream));
    assert_eq!(decode(&config, stream.chunks(1)), whole, "byte by byte");
    assert_eq!(decode(&config, stream.chunks(usize::from(*cut).max(1))), whole, "in chunks");
    let (before, behind) = stream.split_at(usize::from(*cut) * stream.len() / 256);
    assert_eq!(decode(&config, [before, behind].into_iter()), whole, "cut in two");
    for item in &whole {
        if let Item::Message(bytes) = item {
            let alone = Message::parse_with(bytes.clone().into(), &config).expect("a message of the stream");
            assert_eq!(alone.to_bytes(), bytes[..], "as a datagram it reads otherwise");
        }
    }
}

fn decode<'a>(config: &ParserConfig, chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut decoder = StreamDecoder::new(config.clone());
    let mut items = Vec::new();
    let mut dead = false;
    for chunk in chunks {
        decoder.push(chunk);
        while let Some(item) = decoder.next_item() {
            assert!(!dead, "an item after a fatal error");
            items.push(match item {
                Ok(StreamItem::Message(message)) => Item::Message(message.to_bytes().to_vec()),
                Ok(StreamItem::Crlf { run }) => Item::Crlf(run),
                Err(error) => {
                    dead = error.fatal;
                    Item::Refused {
                        error: error.error.to_string(),
                        offset: error.error.offset,
                        fatal: error.fatal,
                        head: error.head.to_vec(),
                    }
                }
            });
        }
        assert!(decoder.buffered() <= config.max_message_len, "keeps more than a message");
        assert!(!(dead && decoder.buffered() > 0), "keeps bytes of a dead stream");
    }
    items
}
