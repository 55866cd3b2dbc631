//! Plain data as bytes and back, for `persist`. Numbers are big-endian, texts and lists carry their lengths.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use sip_message::{Message, StatusCode};
use sip_transaction::{ClientTxId, FlowId, Path, ServerTxId, Transport};

/// Bytes being read. Reading gives `None` whenever they are not what is asked for.
pub(crate) struct Reader<'a> {
    pub(crate) rest: &'a [u8],
    /// The new flow for one of the old ones, told by its addresses.
    pub(crate) flow_for: &'a mut dyn FnMut(&Path) -> Option<Path>,
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

    fn text(&mut self) -> Option<&'a str> {
        let len = u32::read(self)?;
        core::str::from_utf8(self.take(len as usize)?).ok()
    }
}

/// What can be written and read.
pub(crate) trait Wire: Sized {
    fn write(&self, out: &mut Vec<u8>);
    fn read(input: &mut Reader<'_>) -> Option<Self>;
}

macro_rules! number {
    ($($kind:ty)*) => {
        $(impl Wire for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                input.array().map(<$kind>::from_be_bytes)
            }
        })*
    };
}

number!(u8 u16 u32 u64);

macro_rules! text {
    ($($kind:ty)*) => {
        $(impl Wire for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                (self.len() as u32).write(out);
                out.extend_from_slice(self.as_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                input.text().map(|text| String::from(text).into())
            }
        })*
    };
}

text!(String Box<str> Arc<str> Cow<'static, str>);

impl Wire for bool {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        match u8::read(input)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Wire for Bytes {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        out.extend_from_slice(self);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let len = u32::read(input)?;
        input.take(len as usize).map(Bytes::copy_from_slice)
    }
}

impl Wire for Message {
    fn write(&self, out: &mut Vec<u8>) {
        self.to_bytes().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Message::parse(Bytes::read(input)?).ok()
    }
}

impl Wire for Duration {
    fn write(&self, out: &mut Vec<u8>) {
        u64::try_from(self.as_micros()).unwrap_or(u64::MAX).write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        u64::read(input).map(Duration::from_micros)
    }
}

impl Wire for StatusCode {
    fn write(&self, out: &mut Vec<u8>) {
        self.code().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        StatusCode::new(u16::read(input)?)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Vec<u8>) {
        self.is_some().write(out);
        if let Some(value) = self {
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        if bool::read(input)? { T::read(input).map(Some) } else { Some(None) }
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        T::read(input).map(Box::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        for value in self {
            value.write(out);
        }
    }

    /// Reserves nothing in advance: a length that lies costs no memory.
    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let len = u32::read(input)?;
        let mut out = Vec::new();
        for _ in 0..len {
            out.push(T::read(input)?);
        }
        Some(out)
    }
}

impl<T: Wire> Wire for VecDeque<T> {
    fn write(&self, out: &mut Vec<u8>) {
        (self.len() as u32).write(out);
        for value in self {
            value.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Vec::read(input).map(VecDeque::from)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?))
    }
}

impl<A: Wire, B: Wire, C: Wire> Wire for (A, B, C) {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
        self.1.write(out);
        self.2.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?, C::read(input)?))
    }
}

macro_rules! id {
    ($($kind:ty)*) => {
        $(impl Wire for $kind {
            fn write(&self, out: &mut Vec<u8>) {
                self.to_bits().write(out);
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                <$kind>::from_bits(u64::read(input)?)
            }
        })*
    };
}

id!(ClientTxId ServerTxId FlowId);
id!(crate::CallHandle crate::DialogId crate::RegistrationId crate::SubscriptionId crate::PublicationId crate::RequestId);

impl Wire for SocketAddr {
    fn write(&self, out: &mut Vec<u8>) {
        match self.ip() {
            IpAddr::V4(ip) => {
                out.push(4);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(6);
                out.extend_from_slice(&ip.octets());
            }
        }
        self.port().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let ip = match u8::read(input)? {
            4 => IpAddr::from(input.array::<4>()?),
            6 => IpAddr::from(input.array::<16>()?),
            _ => return None,
        };
        Some(SocketAddr::new(ip, u16::read(input)?))
    }
}

/// The flow something is bound to; read as the new flow in its place, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin(pub(crate) Option<Path>);

impl Wire for Pin {
    fn write(&self, out: &mut Vec<u8>) {
        self.0.is_some().write(out);
        if let Some(path) = self.0 {
            path.flow.write(out);
            let at = Transport::ALL.iter().position(|transport| *transport == path.transport);
            (at.unwrap_or(usize::from(u8::MAX)) as u8).write(out);
            path.local.write(out);
            path.remote.write(out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        if !bool::read(input)? {
            return Some(Pin(None));
        }
        let flow = FlowId::read(input)?;
        let at = u8::read(input)?;
        let (local, remote) = (SocketAddr::read(input)?, SocketAddr::read(input)?);
        // One that was added since is nothing that could be told apart.
        let Some(transport) = Transport::ALL.get(usize::from(at)).copied() else { return Some(Pin(None)) };
        Some(Pin((input.flow_for)(&Path { flow, transport, local, remote })))
    }
}

/// Writes and reads a struct field by field, or an enum without fields.
macro_rules! wire {
    (struct $name:ty { $($field:ident),* $(,)? } $(skip { $($skipped:ident),* $(,)? })? $(pin { $($pin:ident),* $(,)? })?) => {
        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                $($crate::codec::Wire::write(&self.$field, out);)*
                $($($crate::codec::Wire::write(&$crate::codec::Pin(self.$pin), out);)*)?
            }

            fn read(input: &mut $crate::codec::Reader<'_>) -> Option<Self> {
                $(let $field = $crate::codec::Wire::read(input)?;)*
                $($(let $pin = <$crate::codec::Pin as $crate::codec::Wire>::read(input)?.0;)*)?
                Some(Self {
                    $($field,)*
                    $($($pin,)*)?
                    $($($skipped: Default::default(),)*)?
                })
            }
        }
    };
    (enum $name:ty { $($variant:ident = $number:literal),* $(,)? }) => {
        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                out.push(match self {
                    $(Self::$variant => $number,)*
                });
            }

            fn read(input: &mut $crate::codec::Reader<'_>) -> Option<Self> {
                match <u8 as $crate::codec::Wire>::read(input)? {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
    (ids $name:ty { $($variant:ident($($part:ident),*) = $number:literal),* $(,)? }) => {
        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut alloc::vec::Vec<u8>) {
                match self {
                    $($crate::codec::wire!(@pattern $variant($($part),*)) => {
                        out.push($number);
                        $($crate::codec::Wire::write($part, out);)*
                    })*
                }
            }

            fn read(input: &mut $crate::codec::Reader<'_>) -> Option<Self> {
                match <u8 as $crate::codec::Wire>::read(input)? {
                    $($number => {
                        $(let $part = $crate::codec::Wire::read(input)?;)*
                        Some($crate::codec::wire!(@pattern $variant($($part),*)))
                    })*
                    _ => None,
                }
            }
        }
    };
    (@pattern $variant:ident()) => { Self::$variant };
    (@pattern $variant:ident($($part:ident),+)) => { Self::$variant($($part),+) };
}

pub(crate) use wire;
