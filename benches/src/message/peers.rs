//! The published SIP parsers, each doing what `workloads` has ours do, the way its documentation shows it.
//!
//! A function returns `None` where the library refuses the sample, or has no such operation; the figures say so.

use super::Operation;
use crate::report::Contender;
use crate::workloads::{RECORD_ROUTE, VIA};
use bytes::Bytes;
use std::hint::black_box;

/// One library.
pub(super) trait Peer {
    const NAME: &'static str;
    type Message: 'static;

    fn parse(buffer: &Bytes) -> Option<Self::Message>;
    fn read(message: &Self::Message) -> Option<()>;
    fn serialise(message: &Self::Message) -> Vec<u8>;

    /// Changes a message as a proxy does, untouched fields left alone.
    fn forward(_message: &mut Self::Message) -> Option<()> {
        None
    }
}

/// All peers at `operation` on the sample; by name those that have no figure for it.
pub(super) fn contenders(operation: Operation, buffer: &Bytes) -> [Result<Contender<'_>, &'static str>; 5] {
    [
        contender::<Rsip>(operation, buffer),
        contender::<Rsipstack>(operation, buffer),
        contender::<Ezk>(operation, buffer),
        contender::<Rvoip>(operation, buffer),
        contender::<Sipx>(operation, buffer),
    ]
}

fn contender<P: Peer>(operation: Operation, buffer: &Bytes) -> Result<Contender<'_>, &'static str> {
    let message = P::parse(buffer).ok_or(P::NAME)?;
    Ok(match operation {
        Operation::Parse => Contender::new(P::NAME, || P::parse(buffer)),
        Operation::ParseAndRead => {
            P::read(&message).ok_or(P::NAME)?;
            Contender::new(P::NAME, || P::parse(buffer).map(|message| P::read(&message)))
        }
        Operation::Forward => {
            let forward = || {
                let mut message = P::parse(buffer)?;
                P::forward(&mut message)?;
                Some(P::serialise(&message))
            };
            forward().ok_or(P::NAME)?;
            Contender::new(P::NAME, forward)
        }
        Operation::Serialise => Contender::new(P::NAME, move || P::serialise(&message)),
    })
}

struct Rsip;

impl Peer for Rsip {
    const NAME: &'static str = "rsip";
    type Message = rsip::SipMessage;

    fn parse(buffer: &Bytes) -> Option<Self::Message> {
        rsip::SipMessage::try_from(buffer.clone()).ok()
    }

    fn read(message: &Self::Message) -> Option<()> {
        use rsip::prelude::*;
        black_box(message.from_header().ok()?.typed().ok()?.tag()?);
        black_box(message.to_header().ok()?.typed().ok()?.uri);
        black_box(message.call_id_header().ok()?.value());
        black_box(message.cseq_header().ok()?.typed().ok()?);
        black_box(message.via_header().ok()?.typed().ok()?.branch()?);
        black_box(message.contact_header().ok()?.typed().ok()?.uri);
        black_box(message.max_forwards_header().ok().and_then(|hops| hops.num().ok()));
        Some(())
    }

    fn serialise(message: &Self::Message) -> Vec<u8> {
        message.to_string().into_bytes()
    }
}

struct Rsipstack;

impl Peer for Rsipstack {
    const NAME: &'static str = "rsipstack";
    type Message = rsipstack::sip::SipMessage;

    fn parse(buffer: &Bytes) -> Option<Self::Message> {
        rsipstack::sip::SipMessage::try_from(buffer.clone()).ok()
    }

    fn read(message: &Self::Message) -> Option<()> {
        use rsipstack::sip::prelude::*;
        black_box(message.from_header().ok()?.typed().ok()?.tag()?);
        black_box(message.to_header().ok()?.typed().ok()?.uri);
        black_box(message.call_id_header().ok()?.value());
        black_box(message.cseq_header().ok()?.typed().ok()?);
        black_box(message.top_via_header().ok()?.typed().ok()?.branch()?);
        black_box(message.contact_header().ok()?.typed().ok()?.uri);
        black_box(message.max_forwards_header().ok().and_then(|hops| hops.value().parse::<u32>().ok()));
        Some(())
    }

    fn serialise(message: &Self::Message) -> Vec<u8> {
        message.to_string().into_bytes()
    }
    fn forward(message: &mut Self::Message) -> Option<()> {
        use rsipstack::sip::{Header, MaxForwards, RecordRoute, Via, prelude::*};
        if let rsipstack::sip::SipMessage::Response(response) = message {
            let top = response.headers.iter().position(|header| matches!(header, Header::Via(_)))?;
            response.headers.0.remove(top);
            return Some(());
        }
        let hops: u32 = message.max_forwards_header().ok()?.value().parse().ok()?;
        *message.max_forwards_header_mut().ok()? = MaxForwards::new((hops - 1).to_string());
        message.headers_mut().push_front(Header::RecordRoute(RecordRoute::new(RECORD_ROUTE)));
        message.headers_mut().push_front(Header::Via(Via::new(VIA)));
        Some(())
    }
}

struct Ezk;

/// `ezk-sip-types` has the parts of a message; this puts them together as its endpoint does.
struct EzkMessage {
    line: ezk_sip_types::msg::MessageLine,
    headers: ezk_sip_types::Headers,
    body: Bytes,
}

impl Peer for Ezk {
    const NAME: &'static str = "ezk-sip-types";
    type Message = EzkMessage;

    fn parse(buffer: &Bytes) -> Option<Self::Message> {
        use ezk_sip_types::msg::{Line, MessageLine, PullParser};
        use ezk_sip_types::parse::Parse;
        let mut parser = PullParser::new(buffer, 0);
        let first = std::str::from_utf8(parser.next()?.ok()?).ok()?;
        let (_, line) = MessageLine::parse(buffer)(first).ok()?;
        let mut headers = ezk_sip_types::Headers::new();
        for text in &mut parser {
            let (_, line) = Line::parse(buffer, std::str::from_utf8(text.ok()?).ok()?).ok()?;
            headers.insert(line.name, line.value);
        }
        Some(EzkMessage { line, headers, body: buffer.slice(parser.head_end()..) })
    }

    fn read(message: &Self::Message) -> Option<()> {
        use ezk_sip_types::Name;
        use ezk_sip_types::header::typed::{CSeq, CallID, Contact, FromTo, MaxForwards, Via};
        black_box(message.headers.get::<FromTo>(Name::FROM).ok()?.tag?);
        black_box(message.headers.get::<FromTo>(Name::TO).ok()?.uri);
        black_box(message.headers.get_named::<CallID>().ok()?);
        black_box(message.headers.get_named::<CSeq>().ok()?);
        black_box(message.headers.get_named::<Via>().ok()?.params.get_val("branch")?);
        black_box(message.headers.get_named::<Contact>().ok()?.uri);
        black_box(message.headers.get_named::<MaxForwards>().ok());
        Some(())
    }

    fn serialise(message: &Self::Message) -> Vec<u8> {
        use ezk_sip_types::print::AppendCtx;
        use std::io::Write;
        let mut out = Vec::with_capacity(message.headers.printed_len() + message.body.len() + 64);
        write!(out, "{}\r\n{}\r\n", message.line.default_print_ctx(), message.headers).expect("a Vec takes all");
        out.extend_from_slice(&message.body);
        out
    }
}

struct Rvoip;

impl Peer for Rvoip {
    const NAME: &'static str = "rvoip-sip-core";
    type Message = rvoip_sip_core::Message;

    fn parse(buffer: &Bytes) -> Option<Self::Message> {
        rvoip_sip_core::parse_message(buffer).ok()
    }

    fn read(message: &Self::Message) -> Option<()> {
        use rvoip_sip_core::types::headers::TypedHeader;
        black_box(message.from()?.tag()?);
        black_box(message.to()?.address());
        black_box(message.call_id()?);
        let cseq = message.all_headers().iter().find_map(|header| match header {
            TypedHeader::CSeq(cseq) => Some(cseq),
            _ => None,
        });
        black_box(cseq?);
        let via = message.all_headers().iter().find_map(|header| match header {
            TypedHeader::Via(via) => Some(via),
            _ => None,
        });
        black_box(via?.branch()?);
        let contact = message.all_headers().iter().find_map(|header| match header {
            TypedHeader::Contact(contact) => contact.address(),
            _ => None,
        });
        black_box(contact?);
        black_box(message.all_headers().iter().find(|header| matches!(header, TypedHeader::MaxForwards(_))));
        Some(())
    }

    fn serialise(message: &Self::Message) -> Vec<u8> {
        message.to_bytes()
    }
}

struct Sipx;

impl Peer for Sipx {
    const NAME: &'static str = "sipx-sip";
    type Message = sipx_sip::Message;

    fn parse(buffer: &Bytes) -> Option<Self::Message> {
        sipx_sip::parser::parse_datagram(buffer.clone(), &sipx_sip::parser::Limits::datagram()).ok()
    }

    fn read(message: &Self::Message) -> Option<()> {
        use sipx_sip::headers::{CSeq, CallId, Contact, From, MaxForwards, To, Via};
        let headers = message.headers();
        black_box(headers.typed::<From>()?.ok()?.tag()?);
        black_box(headers.typed::<To>()?.ok()?.0.uri);
        black_box(headers.typed::<CallId>()?.ok()?);
        black_box(headers.typed::<CSeq>()?.ok()?);
        black_box(headers.typed::<Via>()?.ok()?.branch()?);
        black_box(headers.typed::<Contact>()?.ok()?.0.uri);
        black_box(headers.typed::<MaxForwards>().and_then(Result::ok));
        Some(())
    }

    fn serialise(message: &Self::Message) -> Vec<u8> {
        let mut out = Vec::new();
        match message {
            sipx_sip::Message::Request(request) => request.write_to(&mut out),
            sipx_sip::Message::Response(response) => response.write_to(&mut out),
        }
        out
    }
    fn forward(message: &mut Self::Message) -> Option<()> {
        use sipx_sip::headers::MaxForwards;
        use sipx_sip::message::Header;
        use sipx_sip::name::HeaderName;
        let is_response = matches!(message, sipx_sip::Message::Response(_));
        let headers = message.headers_mut();
        if is_response {
            headers.remove_first(&HeaderName::Via)?;
            return Some(());
        }
        let hops = headers.typed::<MaxForwards>()?.ok()?.0;
        headers.remove_all(&HeaderName::MaxForwards);
        headers.push(Header::build(HeaderName::MaxForwards, (hops - 1).to_string()).ok()?);
        headers.push_front(Header::build(HeaderName::RecordRoute, RECORD_ROUTE).ok()?);
        headers.push_front(Header::build(HeaderName::Via, VIA).ok()?);
        Some(())
    }
}
