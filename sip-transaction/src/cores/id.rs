//! Ids: an index, and the generation of what stands there.

use core::fmt;
use core::num::NonZeroU32;

/// An index into a [`Slab`](super::Slab) and the generation of what stands there: what every id is inside.
///
/// An id that has outlived its object has a generation that is past, so look-ups answer `None`, never with another object.
/// Generations have 31 bits: the highest bit of [`to_bits`](Key::to_bits) is free for whoever packs ids of two kinds into one number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    generation: NonZeroU32,
}

impl Key {
    /// The last generation; a place that has had it is not used again.
    pub(super) const LAST: NonZeroU32 = match NonZeroU32::new(u32::MAX >> 1) {
        Some(last) => last,
        None => NonZeroU32::MIN,
    };
    /// Before all others of its kind, for ranges.
    pub const FIRST: Key = Key { index: 0, generation: NonZeroU32::MIN };

    /// `None` if there is no such generation.
    pub fn new(index: u32, generation: NonZeroU32) -> Option<Key> {
        (generation <= Self::LAST).then_some(Key { index, generation })
    }

    pub(super) const fn at(index: u32, generation: NonZeroU32) -> Key {
        Key { index, generation }
    }

    /// The place in the slab.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many objects have stood in that place, this one included, if the slab has never been moved.
    pub fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// As one number: the generation above the index.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }

    /// The key that [`to_bits`](Self::to_bits) gave; `None` for a number it cannot have given.
    pub fn from_bits(bits: u64) -> Option<Key> {
        Key::new(bits as u32, NonZeroU32::new((bits >> 32) as u32)?)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// What names the objects of a [`Slab`](super::Slab): a [`Key`] with the type of what it names, as
/// [`declare_ids`](crate::declare_ids) makes them.
pub trait Id: Copy {
    /// The id's key.
    fn key(self) -> Key;
    /// The id with that key.
    fn from_key(key: Key) -> Self;
}

impl Id for Key {
    fn key(self) -> Key {
        self
    }

    fn from_key(key: Key) -> Self {
        key
    }
}

/// Declares types of ids for [`Slab`](crate::cores::Slab)s: each with its documentation and the label it is printed with.
///
/// Each type is `Copy`, ordered, hashed, printed as label, index and generation, implements [`Id`](crate::cores::Id), and
/// has `to_bits` and `from_bits` for its user's tables and logs. [The module](crate::cores) shows one.
#[macro_export]
macro_rules! declare_ids {
    ($($(#[$doc:meta])* $vis:vis $name:ident = $label:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
            $vis struct $name($crate::cores::Key);

            impl $name {
                /// The id as one number, for a host's own tables and logs.
                $vis fn to_bits(self) -> u64 {
                    self.0.to_bits()
                }

                /// The id that [`to_bits`](Self::to_bits) gave; `None` for a number it cannot have given. An id made up
                /// this way may be stale, and is then answered as one.
                $vis fn from_bits(bits: u64) -> ::core::option::Option<Self> {
                    $crate::cores::Key::from_bits(bits).map($name)
                }
            }

            impl $crate::cores::Id for $name {
                #[inline]
                fn key(self) -> $crate::cores::Key {
                    self.0
                }

                #[inline]
                fn from_key(key: $crate::cores::Key) -> Self {
                    $name(key)
                }
            }

            impl ::core::fmt::Debug for $name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::write!(f, ::core::concat!($label, "{:?}"), self.0)
                }
            }

            impl ::core::fmt::Display for $name {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(self, f)
                }
            }
        )*
    };
}
