//! How each type of this crate is written as bytes and read back, for `persist`: field by field, in the form all cores have.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use sip_message::{Message, ParserConfig, StatusCode};
use sip_transaction::cores;
use sip_transaction::{ClientTxId, FlowId, Path, ServerTxId};
use smallvec::SmallVec;

pub(crate) use sip_transaction::cores::Writer;

/// Bytes being read, with the new path for one of the old ones, told by its addresses.
pub(crate) type Reader<'a> = cores::Reader<'a, &'a mut dyn FnMut(&Path) -> Option<Path>>;

/// What can be written and read.
pub(crate) trait Wire: Sized {
    fn write(&self, out: &mut Writer);
    fn read(input: &mut Reader<'_>) -> Option<Self>;
}

macro_rules! plain {
    ($($kind:ty = $name:ident)*) => {
        $(impl Wire for $kind {
            fn write(&self, out: &mut Writer) {
                out.$name(*self);
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                input.$name()
            }
        })*
    };
}

plain!(u8 = u8 u16 = u16 u32 = u32 u64 = u64 bool = bool Duration = duration SocketAddr = address);

macro_rules! text {
    ($($kind:ty)*) => {
        $(impl Wire for $kind {
            fn write(&self, out: &mut Writer) {
                out.text(self);
            }

            fn read(input: &mut Reader<'_>) -> Option<Self> {
                input.text().map(|text| String::from(text).into())
            }
        })*
    };
}

text!(String Box<str> Arc<str> Cow<'static, str>);

impl Wire for Bytes {
    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        input.bytes().map(Bytes::copy_from_slice)
    }
}

impl Wire for Box<[u8]> {
    fn write(&self, out: &mut Writer) {
        out.bytes(self);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        input.bytes().map(Box::from)
    }
}

impl Wire for Message {
    fn write(&self, out: &mut Writer) {
        self.to_bytes().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        // It was read as the endpoint is configured, which is unknown here.
        Message::parse_with(Bytes::read(input)?, &ParserConfig::WIDEST).ok()
    }
}

impl Wire for StatusCode {
    fn write(&self, out: &mut Writer) {
        self.code().write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        StatusCode::new(u16::read(input)?)
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, out: &mut Writer) {
        out.option(self.as_ref(), |out, value| value.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        input.option(T::read)
    }
}

impl<T: Wire> Wire for Box<T> {
    fn write(&self, out: &mut Writer) {
        (**self).write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        T::read(input).map(Box::new)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, out: &mut Writer) {
        out.each(self.iter(), |out, value| value.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        input.each(T::read)
    }
}

impl<T: Wire> Wire for SmallVec<[T; 1]> {
    fn write(&self, out: &mut Writer) {
        out.each(self.iter(), |out, value| value.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Vec::read(input).map(SmallVec::from)
    }
}

impl<T: Wire> Wire for VecDeque<T> {
    fn write(&self, out: &mut Writer) {
        out.each(self.iter(), |out, value| value.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Vec::read(input).map(VecDeque::from)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn write(&self, out: &mut Writer) {
        self.0.write(out);
        self.1.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        Some((A::read(input)?, B::read(input)?))
    }
}

impl<A: Wire, B: Wire, C: Wire> Wire for (A, B, C) {
    fn write(&self, out: &mut Writer) {
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
            fn write(&self, out: &mut Writer) {
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

/// The flow something is bound to; read as the new flow in its place, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin(pub(crate) Option<Path>);

impl Wire for Pin {
    fn write(&self, out: &mut Writer) {
        out.option(self.0, Writer::path);
    }

    fn read(input: &mut Reader<'_>) -> Option<Self> {
        let old = input.option(cores::Reader::path)?;
        Some(Pin(old.and_then(|old| (input.context())(&old))))
    }
}

/// Writes and reads a struct field by field, or an enum without fields.
macro_rules! wire {
    (struct $name:ty { $($field:ident),* $(,)? } $(skip { $($skipped:ident),* $(,)? })? $(pin { $($pin:ident),* $(,)? })?) => {
        impl $crate::codec::Wire for $name {
            fn write(&self, out: &mut $crate::codec::Writer) {
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
            fn write(&self, out: &mut $crate::codec::Writer) {
                out.u8(match self {
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
            fn write(&self, out: &mut $crate::codec::Writer) {
                match self {
                    $($crate::codec::wire!(@pattern $variant($($part),*)) => {
                        out.u8($number);
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
