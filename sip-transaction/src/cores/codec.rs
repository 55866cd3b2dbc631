//! The byte form in which state leaves a core: plain fields one after another, big-endian, lengths before contents, and in front of
//! all a name and a version.

use crate::endpoint::ImportError;
use crate::id::FlowId;
use crate::output::Path;
use crate::transport::Transport;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Writes a state field by field, for a [`Reader`] to read in the same order.
///
/// ```
/// use sip_transaction::cores::{Reader, Writer};
/// use sip_transaction::ImportError;
///
/// let mut out = Writer::new(b"parking", 1);
/// out.text("sip:alice@example.com");
/// out.each([5060, 5061].iter(), |out, port| out.u16(*port));
/// let bytes = out.finish();
///
/// let mut input = Reader::new(&bytes, b"parking", 1, ())?;
/// assert_eq!(input.text(), Some("sip:alice@example.com"));
/// assert_eq!(input.each(Reader::u16), Some(vec![5060, 5061]));
/// assert_eq!(input.finish(), Some(()));
/// assert_eq!(Reader::new(&bytes, b"parking", 2, ()).err(), Some(ImportError::Version(1)));
/// # Ok::<(), ImportError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// Begins with the name of what is written and the version of its form.
    pub fn new(magic: &[u8], version: u8) -> Writer {
        let mut out = Writer(magic.to_vec());
        out.u8(version);
        out
    }

    /// The bytes that were written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A byte.
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Yes or no.
    pub fn bool(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    /// A number of 16 bits.
    pub fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    /// A number of 32 bits.
    pub fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A number of 64 bits.
    pub fn u64(&mut self, value: u64) {
        self.raw(&value.to_be_bytes());
    }

    /// A number of 128 bits.
    pub fn u128(&mut self, value: u128) {
        self.raw(&value.to_be_bytes());
    }

    /// A span of time, in microseconds; what 64 bits cannot hold is as long as they can.
    pub fn duration(&mut self, value: Duration) {
        self.u64(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
    }

    /// Bytes whose number is known to whoever reads them ([`Reader::array`]).
    pub fn raw(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    /// Bytes with their number in front: fewer than 2^32.
    pub fn bytes(&mut self, value: &[u8]) {
        self.len(value.len());
        self.raw(value);
    }

    /// A text, as its bytes.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// A value that may be missing.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// A list: how many, fewer than 2^32, and each of them. None may be without bytes.
    pub fn each<T>(&mut self, values: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.len(values.len());
        for value in values {
            write(self, value);
        }
    }

    /// An address and a port.
    pub fn address(&mut self, value: SocketAddr) {
        match value.ip() {
            IpAddr::V4(ip) => {
                self.u8(4);
                self.raw(&ip.octets());
            }
            IpAddr::V6(ip) => {
                self.u8(6);
                self.raw(&ip.octets());
            }
        }
        self.u16(value.port());
    }

    /// A transport.
    pub fn transport(&mut self, value: Transport) {
        self.u8(value as u8);
    }

    /// A path, its flow told by its addresses: the id is good in the endpoint that gave it alone.
    pub fn path(&mut self, value: Path) {
        self.transport(value.transport);
        self.address(value.local);
        self.address(value.remote);
        self.u64(value.flow.to_bits());
    }

    fn len(&mut self, len: usize) {
        self.u32(u32::try_from(len).unwrap_or(u32::MAX));
    }
}

/// Reads what a [`Writer`] wrote.
///
/// A read gives `None` if the bytes end too soon or are not what is asked for; what is read after that has no meaning. Any bytes may come in:
/// nothing panics, and no more memory is taken than there are bytes that ask for it.
///
/// `context` is for those who need more than the bytes, such as what takes the place of a flow.
#[derive(Clone, Debug)]
pub struct Reader<'a, C = ()> {
    rest: &'a [u8],
    context: C,
}

impl<'a, C> Reader<'a, C> {
    /// Begins to read what was written under this name in this version.
    ///
    /// # Errors
    ///
    /// [`ImportError::Malformed`] if the bytes are something else, [`ImportError::Version`] if they are of another version.
    pub fn new(bytes: &'a [u8], magic: &[u8], version: u8, context: C) -> Result<Self, ImportError> {
        let rest = bytes.strip_prefix(magic).ok_or(ImportError::Malformed)?;
        match rest.split_first() {
            Some((&found, rest)) if found == version => Ok(Reader { rest, context }),
            Some((&found, _)) => Err(ImportError::Version(found)),
            None => Err(ImportError::Malformed),
        }
    }

    /// What whoever reads has given along.
    pub fn context(&mut self) -> &mut C {
        &mut self.context
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Ends the reading; `None` if there are bytes left.
    pub fn finish(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    /// Bytes of a known number ([`Writer::raw`]).
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Yes or no; no other byte is either.
    pub fn bool(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of 32 bits.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of 64 bits.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of 128 bits.
    pub fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_be_bytes)
    }

    /// A span of time.
    pub fn duration(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_micros)
    }

    /// Bytes with their number in front.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(usize::try_from(len).ok()?)
    }

    /// A text: UTF-8.
    pub fn text(&mut self) -> Option<&'a str> {
        core::str::from_utf8(self.bytes()?).ok()
    }

    /// A text, owned.
    pub fn string(&mut self) -> Option<String> {
        self.text().map(String::from)
    }

    /// A value that may be missing.
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.bool()? { read(self).map(Some) } else { Some(None) }
    }

    /// A list. Nothing is reserved in advance, and an element without bytes is none: a number that lies costs nothing.
    pub fn each<T>(&mut self, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut values = Vec::new();
        for _ in 0..self.u32()? {
            let before = self.rest.len();
            values.push(read(self)?);
            if self.rest.len() == before {
                return None;
            }
        }
        Some(values)
    }

    /// An address and a port.
    pub fn address(&mut self) -> Option<SocketAddr> {
        let ip = match self.u8()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, self.u16()?))
    }

    /// A transport; `None` also for one that this version does not know.
    pub fn transport(&mut self) -> Option<Transport> {
        let code = self.u8()?;
        Transport::ALL.into_iter().find(|transport| *transport as u8 == code)
    }

    /// A path as it was where it was written: its flow is none of this endpoint's.
    pub fn path(&mut self) -> Option<Path> {
        let transport = self.transport()?;
        let (local, remote) = (self.address()?, self.address()?);
        Some(Path { flow: FlowId::from_bits(self.u64()?)?, transport, local, remote })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::{Id, Key};
    use core::num::NonZeroU32;

    fn written() -> Vec<u8> {
        let mut out = Writer::new(b"test", 3);
        out.u8(1);
        out.bool(true);
        out.u16(2);
        out.u32(3);
        out.u64(4);
        out.u128(5);
        out.duration(Duration::from_micros(6));
        out.raw(b"raw");
        out.bytes(b"bytes");
        out.text("text");
        out.option(Some(7), Writer::u8);
        out.option(None, Writer::u8);
        out.each(["a", "bc"].into_iter(), Writer::text);
        out.address("192.0.2.1:5060".parse().unwrap());
        out.address("[2001:db8::1]:5061".parse().unwrap());
        let flow = FlowId::from_key(Key::new(9, NonZeroU32::MIN).unwrap());
        let (local, remote) = ("192.0.2.1:1".parse().unwrap(), "192.0.2.2:2".parse().unwrap());
        out.path(Path { flow, transport: Transport::Wss, local, remote });
        out.finish()
    }

    fn read(bytes: &[u8]) -> Option<()> {
        let mut input = Reader::new(bytes, b"test", 3, ()).ok()?;
        assert_eq!((input.u8()?, input.bool()?, input.u16()?, input.u32()?), (1, true, 2, 3));
        assert_eq!((input.u64()?, input.u128()?, input.duration()?), (4, 5, Duration::from_micros(6)));
        assert_eq!((input.array()?, input.bytes()?, input.string()?.as_str()), (*b"raw", &b"bytes"[..], "text"));
        assert_eq!((input.option(Reader::u8)?, input.option(Reader::u8)?), (Some(7), None));
        assert_eq!(input.each(Reader::text)?, ["a", "bc"]);
        assert_eq!(input.address()?, "192.0.2.1:5060".parse().unwrap());
        assert_eq!(input.address()?, "[2001:db8::1]:5061".parse().unwrap());
        let path = input.path()?;
        assert_eq!((path.flow.key().index(), path.transport, path.remote.port()), (9, Transport::Wss, 2));
        input.finish()
    }

    #[test]
    fn what_is_written_is_read_and_no_part_of_it_is() {
        let bytes = written();
        assert_eq!(read(&bytes), Some(()));
        for len in 0..bytes.len() {
            assert_eq!(read(&bytes[..len]), None, "{len}");
        }
        let longer = [&bytes[..], b"x"].concat();
        assert_eq!(read(&longer), None);
    }

    #[test]
    fn name_and_version_are_checked() {
        assert_eq!(Reader::new(b"tesT\x03", b"test", 3, ()).err(), Some(ImportError::Malformed));
        assert_eq!(Reader::new(b"test", b"test", 3, ()).err(), Some(ImportError::Malformed));
        assert_eq!(Reader::new(b"test\x02", b"test", 3, ()).err(), Some(ImportError::Version(2)));
    }

    #[test]
    fn a_length_that_lies_takes_no_memory_and_no_time() {
        let lie = b"test\x03\xff\xff\xff\xff\x00\x00";
        let input = || Reader::new(lie, b"test", 3, ()).unwrap();
        assert_eq!(input().bytes(), None);
        assert_eq!(input().each(Reader::u8), None);
        assert_eq!(input().each(|_| Some(())), None, "2^32 elements of nothing");
        assert_eq!(Reader::new(b"test\x03\x02", b"test", 3, ()).unwrap().bool(), None);
        assert_eq!(Reader::new(b"test\x03\x05", b"test", 3, ()).unwrap().address(), None);
        assert_eq!(Reader::new(b"test\x03\xff", b"test", 3, ()).unwrap().transport(), None);
        let text = b"test\x03\x00\x00\x00\x02\xff\xfe";
        assert_eq!(Reader::new(text, b"test", 3, ()).unwrap().text(), None, "no UTF-8");
    }
}
