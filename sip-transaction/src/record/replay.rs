//! Doing a recorded run again.

use super::json::Object;
use crate::config::EndpointConfig;
use crate::destination::{Destination, Target, To};
use crate::endpoint::Endpoint;
use crate::id::{ClientTxId, FlowId, QueryId, ServerTxId};
use crate::input::{Answer, CloseCause, Input, Record, RecordData, SendCause};
use crate::output::{Path, SendToken};
use crate::time::Instant;
use crate::transport::Transport;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use sip_message::Message;

/// Why a recording could not be replayed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// A line is none of a recorder's, or of one of another version.
    #[error("line {line} cannot be read")]
    Line {
        /// Its number, from 1.
        line: usize,
    },
    /// The run went another way: with another configuration, seed or version.
    #[error("the run differs from line {line} on")]
    Diverged {
        /// The number of the first line that differs, from 1.
        line: usize,
        /// What stands there now.
        instead: String,
    },
}

/// Does everything a recording tells, with a fresh endpoint of the same configuration and seed, and checks that it says the same; returns the
/// endpoint as it is at the end, its recording still running.
///
/// # Errors
///
/// The recording cannot be read, or the run differs.
pub fn replay(config: Arc<EndpointConfig>, seed: [u8; 32], recording: &str) -> Result<Endpoint, ReplayError> {
    let mut endpoint = Endpoint::new(config, seed);
    endpoint.start_recording();
    for (nth, text) in recording.lines().enumerate() {
        let unread = ReplayError::Line { line: nth + 1 };
        let object = Object::parse(text).ok_or(unread.clone())?;
        step(&mut endpoint, &object).ok_or(unread)?;
    }
    let again = endpoint.take_recording().unwrap_or_default();
    if again != recording {
        let mut lines = again.lines();
        let mut line = 0;
        for expected in recording.lines() {
            line += 1;
            let got = lines.next();
            if got != Some(expected) {
                return Err(ReplayError::Diverged { line, instead: got.unwrap_or_default().into() });
            }
        }
        return Err(ReplayError::Diverged { line: line + 1, instead: lines.next().unwrap_or_default().into() });
    }
    endpoint.start_recording();
    Ok(endpoint)
}

/// Carries out one line. `None` if it cannot be read. What commands return is not looked at: the outputs tell.
fn step(endpoint: &mut Endpoint, object: &Object) -> Option<()> {
    let (what, which) = object.kind()?;
    let now = || object.number("at").map(Instant::from_micros);
    match what {
        "out" => Some(()),
        "in" if which == "timeout" => {
            endpoint.handle_timeout(now()?);
            Some(())
        }
        "in" => input(endpoint, object, which, now()?),
        "do" if which == "poll" => {
            for _ in 0..object.number("events")? {
                let _ = endpoint.poll_event();
            }
            for _ in 0..object.number("transmits")? {
                let _ = endpoint.poll_transmit();
            }
            Some(())
        }
        "do" => command(endpoint, object, which, now()?),
        _ => None,
    }
}

fn input(endpoint: &mut Endpoint, object: &Object, which: &str, now: Instant) -> Option<()> {
    let flow = || FlowId::from_bits(object.number("flow")?);
    let bytes = object.bytes("bytes").unwrap_or_default();
    let mut records = Vec::new();
    let input = match which {
        "datagram" => Input::Datagram { flow: flow()?, remote: object.text("from")?.parse().ok()?, bytes: &bytes },
        "stream" => Input::Stream { flow: flow()?, bytes: &bytes },
        "message" => Input::Message { flow: flow()?, bytes: &bytes },
        "opened" => Input::FlowOpened { flow: flow()?, local: object.text("local")?.parse().ok()? },
        "closed" => Input::FlowClosed { flow: flow()?, cause: close_cause(object.text("cause")?)? },
        "send-failed" => Input::SendFailed {
            token: SendToken::from_bits(object.number("token")?),
            cause: send_cause(object.text("cause")?)?,
        },
        "resolved" => {
            let query = QueryId::from_bits(object.number("query")?)?;
            match object.text("records") {
                Some(text) => {
                    for line in text.lines() {
                        records.push(record(line)?);
                    }
                    Input::Resolved { query, answer: Answer::Records(&records) }
                }
                None => Input::Resolved { query, answer: Answer::Failed },
            }
        }
        _ => return None,
    };
    let _ = endpoint.handle_input(now, input);
    Some(())
}

fn command(endpoint: &mut Endpoint, object: &Object, which: &str, now: Instant) -> Option<()> {
    let flow = || FlowId::from_bits(object.number("flow")?);
    let client = || ClientTxId::from_bits(object.number("tx")?);
    let server = || ServerTxId::from_bits(object.number("tx")?);
    let address = |name: &str| object.text(name)?.parse::<SocketAddr>().ok();
    let message = || Message::parse_with(object.bytes("message")?.into(), &endpoint.config().parser).ok();
    match which {
        "bind" => ignore(endpoint.bind(transport(object.text("transport")?)?, address("local")?)),
        "accept" => {
            let transport = transport(object.text("transport")?)?;
            ignore(endpoint.accept(transport, address("local")?, address("remote")?));
        }
        "attach" => {
            let transport = transport(object.text("transport")?)?;
            ignore(endpoint.attach(transport, address("local")?, address("remote")?, object.text("name")));
        }
        "connect" => ignore(endpoint.connect(now, &target(object.text("target")?)?)),
        "close" => ignore(endpoint.close(now, flow()?)),
        "identities" => {
            ignore(
                endpoint
                    .set_identities(flow()?, object.text("domains")?.split(' ').filter(|domain| !domain.is_empty())),
            );
        }
        "request" => {
            let message = message()?;
            ignore(endpoint.request(now, message, destination(object)?));
        }
        "send" => {
            let message = message()?;
            ignore(endpoint.send(now, message, destination(object)?));
        }
        "cancel" => ignore(endpoint.cancel(now, client()?, object.text("reason"))),
        "timer-c" => ignore(endpoint.arm_timer_c(now, client()?)),
        "respond" => {
            let message = message()?;
            ignore(endpoint.respond(now, server()?, message));
        }
        "respond-until-ack" => {
            let message = message()?;
            ignore(endpoint.respond_until_ack(now, server()?, message));
        }
        "acknowledge" => ignore(endpoint.acknowledge(now, server()?)),
        "abandon" => ignore(endpoint.abandon(now, server()?)),
        "respond-stateless" => {
            let message = message()?;
            ignore(endpoint.respond_stateless(now, path(object.text("path")?)?, message));
        }
        "forward-response" => {
            let message = message()?;
            ignore(endpoint.forward_response(now, message));
        }
        "keep-alive" => {
            let interval = object.number("interval").map(Duration::from_micros);
            ignore(endpoint.keep_alive(now, flow()?, address("remote"), interval));
        }
        _ => return None,
    }
    Some(())
}

/// What a command returned is told by what follows it.
fn ignore<T, E>(_: Result<T, E>) {}

fn transport(name: &str) -> Option<Transport> {
    Transport::ALL.into_iter().find(|transport| transport.via() == name)
}

fn target(text: &str) -> Option<Target> {
    let mut parts = text.split(' ');
    let transport = transport(parts.next()?)?;
    let address = parts.next()?.parse().ok()?;
    Some(Target { transport, address, server_name: parts.next().map(String::from) })
}

fn path(text: &str) -> Option<Path> {
    let mut parts = text.split(' ');
    let flow = FlowId::from_bits(parts.next()?.parse().ok()?)?;
    let transport = transport(parts.next()?)?;
    Some(Path { flow, transport, local: parts.next()?.parse().ok()?, remote: parts.next()?.parse().ok()? })
}

fn destination(object: &Object) -> Option<Destination> {
    let text = object.text("to")?;
    let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
    let to = match kind {
        "route" => To::Route,
        "next" => To::NextHop(rest.into()),
        "flow" => {
            let mut parts = rest.split(' ');
            let flow = FlowId::from_bits(parts.next()?.parse().ok()?)?;
            To::Flow(flow, parts.next().and_then(|remote| remote.parse().ok()))
        }
        "targets" => To::Targets(rest.split(',').filter(|part| !part.is_empty()).map(target).collect::<Option<_>>()?),
        _ => return None,
    };
    Some(Destination { to, branch: object.text("branch").map(Into::into) })
}

fn record(line: &str) -> Option<Record> {
    let mut parts = line.splitn(3, ' ');
    let ttl = Duration::from_micros(parts.next()?.parse().ok()?);
    let kind = parts.next()?;
    let rest = parts.next()?;
    let data = match kind {
        "A" => RecordData::Address(rest.parse().ok()?),
        "SRV" => {
            let mut parts = rest.split(' ');
            let mut number = || parts.next()?.parse().ok();
            let (priority, weight, port) = (number()?, number()?, number()?);
            RecordData::Srv { priority, weight, port, target: parts.next()?.into() }
        }
        "NAPTR" => {
            let mut parts = rest.splitn(3, ' ');
            let (order, preference) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let mut texts = parts.next()?.split('|').map(String::from);
            RecordData::Naptr {
                order,
                preference,
                flags: texts.next()?,
                service: texts.next()?,
                regexp: texts.next()?,
                replacement: texts.next()?,
            }
        }
        _ => return None,
    };
    Some(Record { ttl, data })
}

fn close_cause(name: &str) -> Option<CloseCause> {
    use CloseCause::{Closed, ConnectTimeout, Framing, Keepalive, Local, Refused, Reset, Untrusted};
    let all = [Closed, Reset, Refused, Untrusted, Local, Framing, Keepalive, ConnectTimeout];
    all.into_iter().find(|cause| super::name(cause) == name)
}

fn send_cause(name: &str) -> Option<SendCause> {
    let all = [SendCause::Unreachable, SendCause::Transient, SendCause::TooLong];
    all.into_iter().find(|cause| super::name(cause) == name)
}
