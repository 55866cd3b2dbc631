//! The fields of this crate's state as bytes and back, for `persist`, on top of those every core has.
//!
//! Owns the form of each field and knows nothing of what they are for. Reading gives `None` whenever the bytes are not what is asked for.

use crate::target::{FlowPath, Target};
use bytes::Bytes;
use sip_message::{Message, ParserConfig, StatusCode};
use sip_transaction::cores;
use sip_transaction::{Endpoint, FlowId, Path};

pub(crate) use sip_transaction::cores::Writer;

/// Bytes being read, with the flow in the place of one there was, told by its addresses.
pub(crate) type Reader<'a> = cores::Reader<'a, &'a mut dyn FnMut(&Path) -> Option<FlowId>>;

/// A status code.
pub(crate) fn write_status(out: &mut Writer, status: StatusCode) {
    out.u16(status.code());
}

pub(crate) fn status(input: &mut Reader<'_>) -> Option<StatusCode> {
    StatusCode::new(input.u16()?)
}

/// A whole message.
pub(crate) fn write_message(out: &mut Writer, message: &Message) {
    out.bytes(&message.to_bytes());
}

pub(crate) fn message(input: &mut Reader<'_>) -> Option<Message> {
    // It was read as the endpoint is configured, which is unknown here.
    Message::parse_with(Bytes::copy_from_slice(input.bytes()?), &ParserConfig::WIDEST).ok()
}

/// A flow by its addresses: ids of flows are good in one endpoint only.
pub(crate) fn write_flow(out: &mut Writer, endpoint: &Endpoint, flow: FlowPath) {
    let (whole, path) = match flow {
        FlowPath::Flow(flow) => (true, endpoint.flow_path(flow)),
        FlowPath::Path(path) => (false, Some(path)),
    };
    out.bool(whole);
    out.option(path, Writer::path);
}

pub(crate) fn flow(input: &mut Reader<'_>) -> Option<FlowPath> {
    let whole = input.bool()?;
    Some(match input.option(path)? {
        None => FlowPath::Flow(gone()?),
        Some(Ok(path) | Err(path)) if whole => FlowPath::Flow(path.flow),
        Some(Ok(path) | Err(path)) => FlowPath::Path(path),
    })
}

/// A path over the flow that is there now; `Err` with a flow that never is, if there is none.
pub(crate) fn path(input: &mut Reader<'_>) -> Option<Result<Path, Path>> {
    let old = input.path()?;
    match (input.context())(&old) {
        Some(flow) => Some(Ok(Path { flow, ..old })),
        None => Some(Err(Path { flow: gone()?, ..old })),
    }
}

/// Where a request may go.
pub(crate) fn write_target(out: &mut Writer, endpoint: &Endpoint, target: &Target) {
    out.text(&target.uri);
    out.text(&target.route);
    out.option(target.flow, |out, flow| write_flow(out, endpoint, flow));
    out.u16(target.q);
    out.text(&target.instance);
    out.bool(target.asleep);
    out.text(&target.aor);
}

pub(crate) fn target(input: &mut Reader<'_>) -> Option<Target> {
    Some(Target {
        uri: input.string()?,
        route: input.string()?,
        flow: input.option(flow)?,
        q: input.u16()?,
        instance: input.string()?,
        asleep: input.bool()?,
        aor: input.string()?,
    })
}

/// The id of a flow that has ended, whatever flows there are: the last place there could be, in the last of its lives.
fn gone() -> Option<FlowId> {
    FlowId::from_bits((i32::MAX as u64) << 32 | u64::from(u32::MAX - 1))
}
