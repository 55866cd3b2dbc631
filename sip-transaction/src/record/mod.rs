//! A recorder of everything an endpoint is told and says, as JSON Lines, and a replayer that does it all again.
//!
//! One line for each input, command and output. Bytes stand as strings whose characters are the bytes, so that SIP can be read as
//! it is. The first member of a line tells what it is: `"in"`, `"do"` or `"out"`.

mod json;
mod ladder;
mod replay;

pub use ladder::ladder;
pub use replay::{ReplayError, replay};

use crate::destination::{Destination, Target, To};
use crate::endpoint::Endpoint;
use crate::input::{Answer, Input, RecordData};
use crate::output::{Event, Path, Transmit};
use crate::time::Instant;
use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt::{Debug, Write as _};
use json::Line;
use sip_message::Message;

/// A recording under way.
#[derive(Default)]
pub(crate) struct Recording {
    text: String,
    /// Polls since the last line: they make room in the queues.
    events: u64,
    transmits: u64,
}

impl Endpoint {
    /// Records from now on everything that comes in and goes out; what was recorded before is dropped. To be replayed, a recording must begin
    /// when the endpoint is made. [`import`](Endpoint::import) is not recorded.
    pub fn start_recording(&mut self) {
        self.recording = Some(alloc::boxed::Box::default());
    }

    /// Ends the recording and hands it out: JSON Lines, for [`replay`] and [`ladder`]. `None` if there is none.
    pub fn take_recording(&mut self) -> Option<String> {
        let mut recording = self.recording.take()?;
        recording.polls();
        Some(recording.text)
    }

    /// Notes a command.
    pub(crate) fn note<'a>(
        &mut self,
        now: Instant,
        what: &str,
        arguments: impl IntoIterator<Item = (&'a str, Argument<'a>)>,
    ) {
        if let Some(recording) = &mut self.recording {
            recording.polls();
            let mut line = Line::new("do", what);
            line.number("at", now.as_micros());
            for (name, argument) in arguments {
                argument.write(name, &mut line);
            }
            recording.push(line);
        }
    }

    #[inline]
    pub(crate) fn is_recording(&self) -> bool {
        self.recording.is_some()
    }
}

/// An argument of a command.
pub(crate) enum Argument<'a> {
    Number(u64),
    Text(String),
    Message(&'a Message),
    Destination(&'a Destination),
    Path(&'a Path),
    Target(&'a Target),
    None,
}

impl Argument<'_> {
    fn write(&self, name: &str, line: &mut Line) {
        match self {
            Argument::Number(number) => line.number(name, *number),
            Argument::Text(text) => line.text(name, text),
            Argument::Message(message) => line.bytes(name, &message.to_bytes()),
            Argument::Destination(to) => {
                line.text(name, &destination(to));
                if let Some(branch) = &to.branch {
                    line.text("branch", branch);
                }
            }
            Argument::Path(path) => {
                let Path { flow, transport, local, remote } = path;
                line.text(name, &format!("{} {transport} {local} {remote}", flow.to_bits()));
            }
            Argument::Target(target) => line.text(name, &show_target(target)),
            Argument::None => {}
        }
    }
}

/// `UDP 192.0.2.1:5060` and maybe the server name.
fn show_target(target: &Target) -> String {
    let Target { transport, address, server_name } = target;
    match server_name {
        Some(name) => format!("{transport} {address} {name}"),
        None => format!("{transport} {address}"),
    }
}

fn destination(to: &Destination) -> String {
    match &to.to {
        To::Route => "route".into(),
        To::NextHop(uri) => format!("next {uri}"),
        To::Flow(flow, None) => format!("flow {}", flow.to_bits()),
        To::Flow(flow, Some(remote)) => format!("flow {} {remote}", flow.to_bits()),
        To::Targets(targets) => {
            let mut text = String::from("targets ");
            for (nth, target) in targets.iter().enumerate() {
                let _ = write!(text, "{}{}", if nth > 0 { "," } else { "" }, show_target(target));
            }
            text
        }
    }
}

/// The number of a cause or transport, by its name in the enum.
fn name(value: &impl Debug) -> String {
    format!("{value:?}")
}

impl Recording {
    fn push(&mut self, line: Line) {
        line.end(&mut self.text);
    }

    /// Writes down the polls there have been.
    fn polls(&mut self) {
        if self.events > 0 || self.transmits > 0 {
            let mut line = Line::new("do", "poll");
            line.number("events", core::mem::take(&mut self.events));
            line.number("transmits", core::mem::take(&mut self.transmits));
            self.push(line);
        }
    }

    pub(crate) fn polled_event(&mut self) {
        self.events += 1;
    }

    pub(crate) fn polled_transmit(&mut self) {
        self.transmits += 1;
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.polls();
        let mut line = Line::new("in", "timeout");
        line.number("at", now.as_micros());
        self.push(line);
    }

    /// Notes an input. `path` has the flow's addresses, for the ladder.
    pub(crate) fn input(&mut self, now: Instant, input: &Input<'_>, path: Option<&Path>) {
        self.polls();
        let kind = match input {
            Input::Datagram { .. } => "datagram",
            Input::Stream { .. } => "stream",
            Input::Message { .. } => "message",
            Input::FlowOpened { .. } => "opened",
            Input::FlowClosed { .. } => "closed",
            Input::SendFailed { .. } => "send-failed",
            Input::Resolved { .. } => "resolved",
        };
        let mut line = Line::new("in", kind);
        line.number("at", now.as_micros());
        match input {
            Input::Datagram { flow, remote, bytes } => {
                line.number("flow", flow.to_bits());
                line.text("from", &remote.to_string());
                if let Some(path) = path {
                    line.text("to", &path.local.to_string());
                }
                line.bytes("bytes", bytes);
            }
            Input::Stream { flow, bytes } | Input::Message { flow, bytes } => {
                line.number("flow", flow.to_bits());
                if let Some(path) = path {
                    line.text("from", &path.remote.to_string());
                    line.text("to", &path.local.to_string());
                }
                line.bytes("bytes", bytes);
            }
            Input::FlowOpened { flow, local } => {
                line.number("flow", flow.to_bits());
                line.text("local", &local.to_string());
            }
            Input::FlowClosed { flow, cause } => {
                line.number("flow", flow.to_bits());
                line.text("cause", &name(cause));
            }
            Input::SendFailed { token, cause } => {
                line.number("token", token.to_bits());
                line.text("cause", &name(cause));
            }
            Input::Resolved { query, answer } => {
                line.number("query", query.to_bits());
                if let Answer::Records(records) = answer {
                    let mut text = String::new();
                    for record in *records {
                        let ttl = record.ttl.as_micros();
                        let _ = match &record.data {
                            RecordData::Address(ip) => writeln!(text, "{ttl} A {ip}"),
                            RecordData::Srv { priority, weight, port, target } => {
                                writeln!(text, "{ttl} SRV {priority} {weight} {port} {target}")
                            }
                            RecordData::Naptr { order, preference, flags, service, regexp, replacement } => {
                                writeln!(
                                    text,
                                    "{ttl} NAPTR {order} {preference} {flags}|{service}|{regexp}|{replacement}"
                                )
                            }
                        };
                    }
                    line.text("records", &text);
                }
            }
        }
        self.push(line);
    }

    pub(crate) fn transmit(&mut self, now: Instant, transmit: &Transmit) {
        let mut line = Line::new("out", "transmit");
        line.number("at", now.as_micros());
        line.text("transport", transmit.transport.via());
        line.text("from", &transmit.local.to_string());
        line.text("to", &transmit.remote.to_string());
        line.bytes("bytes", &transmit.bytes);
        self.push(line);
    }

    pub(crate) fn event(&mut self, now: Instant, event: &Event) {
        let mut line = Line::new("out", "event");
        line.number("at", now.as_micros());
        line.text("event", &name(event));
        self.push(line);
    }
}
