//! Plain data as bytes and back, for `persist`: big-endian numbers, texts with their lengths.
//!
//! Owns the form of each field and knows nothing of what they are for. Reading gives `None` whenever the bytes are not what is asked for;
//! nothing is allocated beyond the bytes that are there.

use crate::target::{FlowPath, Target};
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use sip_message::{Message, StatusCode};
use sip_transaction::{Endpoint, FlowId, Path, Transport};

/// Bytes being written.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn each<T>(&mut self, values: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
        for value in values {
            write(self, value);
        }
    }

    pub(crate) fn status(&mut self, status: StatusCode) {
        self.u16(status.code());
    }

    pub(crate) fn message(&mut self, message: &Message) {
        self.bytes(&message.to_bytes());
    }

    fn address(&mut self, value: SocketAddr) {
        match value.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.0.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.0.extend_from_slice(&ip.octets());
            }
        }
        self.u16(value.port());
    }

    pub(crate) fn path(&mut self, path: Path) {
        self.u8(path.transport as u8);
        self.address(path.local);
        self.address(path.remote);
        self.u64(path.flow.to_bits());
    }

    /// A flow by its addresses: ids of flows are good in one endpoint only.
    pub(crate) fn flow(&mut self, endpoint: &Endpoint, flow: FlowPath) {
        let (whole, path) = match flow {
            FlowPath::Flow(flow) => (true, endpoint.flow_path(flow)),
            FlowPath::Path(path) => (false, Some(path)),
        };
        self.bool(whole);
        self.option(path, Writer::path);
    }

    pub(crate) fn target(&mut self, endpoint: &Endpoint, target: &Target) {
        self.text(&target.uri);
        self.text(&target.route);
        self.option(target.flow, |out, flow| out.flow(endpoint, flow));
        self.u16(target.q);
        self.text(&target.instance);
        self.bool(target.asleep);
        self.text(&target.aor);
    }
}

/// Bytes being read.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
    /// The flow in the place of one there was, told by its addresses.
    pub(crate) flow_for: &'a mut dyn FnMut(&Path) -> Option<FlowId>,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) fn string(&mut self) -> Option<String> {
        self.text().map(String::from)
    }

    pub(crate) fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Some(None) }
    }

    pub(crate) fn each<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for _ in 0..self.u32()? {
            values.push(read(self)?);
        }
        Some(values)
    }

    pub(crate) fn status(&mut self) -> Option<StatusCode> {
        StatusCode::new(self.u16()?)
    }

    pub(crate) fn message(&mut self) -> Option<Message> {
        Message::parse(Bytes::copy_from_slice(self.bytes()?)).ok()
    }

    fn address(&mut self) -> Option<SocketAddr> {
        let ip = match self.u8()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.u16()?))
    }

    /// A path over the flow that is there now; `Err` with a flow that never is, if there is none.
    pub(crate) fn path(&mut self) -> Option<Result<Path, Path>> {
        let code = self.u8()?;
        let transport = Transport::ALL.into_iter().find(|transport| *transport as u8 == code)?;
        let (local, remote) = (self.address()?, self.address()?);
        let old = Path { flow: FlowId::from_bits(self.u64()?)?, transport, local, remote };
        match (self.flow_for)(&old) {
            Some(flow) => Some(Ok(Path { flow, ..old })),
            None => Some(Err(Path { flow: gone()?, ..old })),
        }
    }

    pub(crate) fn flow(&mut self) -> Option<FlowPath> {
        let whole = self.bool()?;
        let path = self.option(Reader::path)?;
        Some(match path {
            None => FlowPath::Flow(gone()?),
            Some(Ok(path) | Err(path)) if whole => FlowPath::Flow(path.flow),
            Some(Ok(path) | Err(path)) => FlowPath::Path(path),
        })
    }

    pub(crate) fn target(&mut self) -> Option<Target> {
        Some(Target {
            uri: self.string()?,
            route: self.string()?,
            flow: self.option(Reader::flow)?,
            q: self.u16()?,
            instance: self.string()?,
            asleep: self.bool()?,
            aor: self.string()?,
        })
    }
}

/// The id of a flow that has ended, whatever flows there are: the last place there could be, in the last of its lives.
fn gone() -> Option<FlowId> {
    FlowId::from_bits((i32::MAX as u64) << 32 | u64::from(u32::MAX - 1))
}
