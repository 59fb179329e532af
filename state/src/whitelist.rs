//! The whitelist: which of the standard library's types are [`State`], and why.
//!
//! Each group says what was checked. What is missing here was left out on purpose:
//!
//! - `HashMap` and `HashSet`: hashbrown, beneath them, represents an empty table by the address of a
//!   static control group (`RawTableInner::NEW`), so an empty map made by one version dangles once that
//!   version is unmapped. [`crate::HashMap`] never holds that address.
//! - `Arc<str>` and `Arc<[T]>`: their `Default` points to a static of the standard library's copy.
//! - `Rc`, `Cell`, `RefCell`: state is reached from several threads.
//! - `Cow`, references, `fn`, `dyn`, `TypeId`, `io::Error`, `LazyLock`, channels, `Thread`: they hold, or
//!   may hold, addresses of the library that made them.

use std::cmp::Ord;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::marker::PhantomData;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16,
    NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize, Wrapping,
};
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{CodecError, Decoder, Encoder, Fingerprint, Shape, State};

/// What is the same for each type whose bytes are made by one expression, and it by another.
macro_rules! codec {
    (|$value:ident, $encoder:ident| $encode:expr, |$decoder:ident| $decode:expr) => {
        #[inline]
        fn encode(&self, $encoder: &mut Encoder) {
            let $value = self;
            $encode
        }

        #[inline]
        fn decode($decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
            $decode
        }
    };
}

macro_rules! plain {
    ($($type:ident),* $(,)?) => {$(
        // SAFETY: the value is its own bits; it holds no pointer at all.
        unsafe impl State for $type {
            const FINGERPRINT: Fingerprint = Fingerprint::of(stringify!($type)).with_layout::<Self>();
            const NAME: &'static str = stringify!($type);
            codec! { |value, encoder| encoder.leaf(*value), |decoder| decoder.leaf(Self::NAME) }
        }
    )*};
}

plain!(u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char);
plain!(NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize);
plain!(NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize);

// SAFETY: as above.
unsafe impl State for u8 {
    const FINGERPRINT: Fingerprint = Fingerprint::of("u8").with_layout::<Self>();
    const NAME: &'static str = "u8";
    codec! { |value, encoder| encoder.leaf(*value), |decoder| decoder.leaf(Self::NAME) }

    fn encode_all(values: &[Self], encoder: &mut Encoder) {
        encoder.raw(values);
    }

    fn decode_all(count: usize, decoder: &mut Decoder<'_>) -> Result<Vec<Self>, CodecError> {
        Ok(decoder.raw(count)?.to_vec())
    }
}

macro_rules! atomics {
    ($($type:ident)*) => {$(
        // SAFETY: the value is its own bits; it holds no pointer at all.
        unsafe impl State for $type {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of(stringify!($type)).with_layout::<Self>().open_to_others();
            const NAME: &'static str = stringify!($type);
            // Relaxed: whoever encodes a state sees to it that nobody changes it meanwhile.
            codec! {
                |value, encoder| encoder.leaf(value.load(Ordering::Relaxed)),
                |decoder| Ok(Self::new(decoder.leaf(Self::NAME)?))
            }
        }
    )*};
}

atomics!(AtomicBool AtomicU8 AtomicU16 AtomicU32 AtomicU64 AtomicUsize);
atomics!(AtomicI8 AtomicI16 AtomicI32 AtomicI64 AtomicIsize);

// SAFETY: numbers.
unsafe impl State for Duration {
    const FINGERPRINT: Fingerprint = Fingerprint::of("Duration").with_layout::<Self>();
    const NAME: &'static str = "Duration";
    codec! {
        |value, encoder| {
            encoder.leaf(value.as_secs());
            encoder.leaf(value.subsec_nanos());
        },
        |decoder| {
            let (seconds, nanoseconds): (u64, u32) = (decoder.leaf(Self::NAME)?, decoder.leaf(Self::NAME)?);
            // Beyond, they would carry over, and that might overflow.
            if nanoseconds >= 1_000_000_000 {
                return Err(CodecError::Bad { expected: Self::NAME });
            }
            Ok(Duration::new(seconds, nanoseconds))
        }
    }
}

// SAFETY: numbers.
unsafe impl State for SystemTime {
    const FINGERPRINT: Fingerprint = Fingerprint::of("SystemTime").with_layout::<Self>();
    const NAME: &'static str = "SystemTime";
    codec! {
        |value, encoder| match value.duration_since(UNIX_EPOCH) {
            Ok(since) => since.encode(encoder),
            Err(_) => encoder.refuse("a SystemTime before 1970"),
        },
        |decoder| {
            let since = Duration::decode(decoder)?;
            UNIX_EPOCH.checked_add(since).ok_or(CodecError::Bad { expected: Self::NAME })
        }
    }
}

// SAFETY: numbers. In another process they mean nothing.
unsafe impl State for Instant {
    const FINGERPRINT: Fingerprint = Fingerprint::of("Instant").with_layout::<Self>().memory_only();
    const NAME: &'static str = "Instant";
}

// SAFETY: as `Arc`; without a target it is the address `usize::MAX`, never read. What it shares with whom, bytes
// don't tell.
unsafe impl<T: State> State for Weak<T> {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("Weak").with_layout::<Self>().with(T::FINGERPRINT).memory_only();
    const NAME: &'static str = "Weak";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE]);
}

macro_rules! containers {
    ($(
        $(#[doc = $why:literal])+ $name:ident<$($parameter:ident $(: $bound:ident)?),+> $(is $mark:ident)?
        $(, |$value:ident, $encoder:ident| $encode:expr, |$decoder:ident| $decode:expr)?;
    )*) => {$(
        $(#[doc = $why])+
        // SAFETY: stated at the invocation below, for each container.
        unsafe impl<$($parameter: State $(+ $bound)?),+> State for $name<$($parameter),+> {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of(stringify!($name)).with_layout::<Self>()$(.with($parameter::FINGERPRINT))+$(.$mark())?;
            const NAME: &'static str = stringify!($name);
            const SHAPE: &'static Shape =
                &Shape::container(Self::NAME, Self::FINGERPRINT, &[$($parameter::SHAPE),+]);
            $(codec! { |$value, $encoder| $encode, |$decoder| $decode })?
        }
    )*};
}

/// The length, then each element.
fn encode_each<'value, T: State>(values: impl ExactSizeIterator<Item = &'value T>, encoder: &mut Encoder) {
    encoder.length(values.len());
    values.for_each(|value| value.encode(encoder));
}

fn decode_each<T: State>(decoder: &mut Decoder<'_>) -> Result<Vec<T>, CodecError> {
    let count = decoder.count()?;
    T::decode_all(count, decoder)
}

/// As an enum of two.
fn encode_option<T: State>(value: Option<&T>, encoder: &mut Encoder) {
    encoder.leaf(u8::from(value.is_some()));
    if let Some(value) = value {
        value.encode(encoder);
    }
}

fn decode_option<T: State>(decoder: &mut Decoder<'_>) -> Result<Option<T>, CodecError> {
    match decoder.leaf::<u8>("Option")? {
        0 => Ok(None),
        1 => T::decode(decoder).map(Some),
        _ => Err(CodecError::Bad { expected: "Option" }),
    }
}

containers! {
    /// SAFETY: empty is a dangling, aligned address that is never read; else the host's heap.
    Vec<T>,
        |value, encoder| {
            encoder.length(value.len());
            T::encode_all(value, encoder);
        },
        |decoder| decode_each(decoder);
    /// SAFETY: as `Vec`.
    VecDeque<T>, |value, encoder| encode_each(value.iter(), encoder), |decoder| decode_each(decoder).map(Into::into);
    /// SAFETY: as `Vec`.
    BinaryHeap<T: Ord>,
        |value, encoder| encode_each(value.iter(), encoder),
        |decoder| decode_each(decoder).map(Into::into);
    /// SAFETY: empty has no root node; else the host's heap.
    BTreeMap<K: Ord, V>,
        |value, encoder| {
            encoder.length(value.len());
            for (key, value) in value {
                key.encode(encoder);
                value.encode(encoder);
            }
        },
        |decoder| (0..decoder.count()?)
            .map(|_| Ok((K::decode(decoder)?, V::decode(decoder)?)))
            .collect();
    /// SAFETY: as `BTreeMap`.
    BTreeSet<T: Ord>,
        |value, encoder| encode_each(value.iter(), encoder),
        |decoder| Ok(decode_each(decoder)?.into_iter().collect());
    /// SAFETY: the value is inline.
    Option<T>, |value, encoder| encode_option(value.as_ref(), encoder), |decoder| decode_option(decoder);
    /// SAFETY: a sized value on the host's heap, with its counters; dropped by whoever drops last. In bytes, each
    /// holder has a value of its own.
    Arc<T>, |value, encoder| (**value).encode(encoder), |decoder| T::decode(decoder).map(Arc::new);
    /// SAFETY: a futex word and a flag on Linux; nobody is parked in a static of a library.
    Mutex<T> is open_to_others,
        |value, encoder| value.lock().unwrap_or_else(PoisonError::into_inner).encode(encoder),
        |decoder| T::decode(decoder).map(Mutex::new);
    /// SAFETY: as `Mutex`.
    RwLock<T> is open_to_others,
        |value, encoder| value.read().unwrap_or_else(PoisonError::into_inner).encode(encoder),
        |decoder| T::decode(decoder).map(RwLock::new);
    /// SAFETY: as `Mutex`.
    OnceLock<T> is open_to_others,
        |value, encoder| encode_option(value.get(), encoder),
        |decoder| Ok(decode_option::<T>(decoder)?.map_or_else(OnceLock::new, OnceLock::from));
    /// SAFETY: the value is inline.
    Wrapping<T>, |value, encoder| value.0.encode(encoder), |decoder| T::decode(decoder).map(Wrapping);
    /// SAFETY: the values are inline.
    Range<T>,
        |value, encoder| {
            value.start.encode(encoder);
            value.end.encode(encoder);
        },
        |decoder| Ok(T::decode(decoder)?..T::decode(decoder)?);
    /// SAFETY: the values are inline.
    RangeInclusive<T>,
        |value, encoder| {
            value.start().encode(encoder);
            value.end().encode(encoder);
        },
        |decoder| Ok(T::decode(decoder)?..=T::decode(decoder)?);
}

// SAFETY: the value is inline.
unsafe impl<T: State, E: State> State for Result<T, E> {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("Result").with_layout::<Self>().with(T::FINGERPRINT).with(E::FINGERPRINT);
    const NAME: &'static str = "Result";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE, E::SHAPE]);
    codec! {
        |value, encoder| match value {
            Ok(value) => {
                encoder.variant(0);
                value.encode(encoder);
            }
            Err(error) => {
                encoder.variant(1);
                error.encode(encoder);
            }
        },
        |decoder| match decoder.variant()? {
            0 => T::decode(decoder).map(Ok),
            1 => E::decode(decoder).map(Err),
            _ => Err(CodecError::Bad { expected: "Result" }),
        }
    }

    #[inline]
    fn is_error(&self) -> bool {
        self.is_err()
    }
}

// SAFETY: as `Vec<u8>`.
unsafe impl State for String {
    const FINGERPRINT: Fingerprint = Fingerprint::of("String").with_layout::<Self>();
    const NAME: &'static str = "String";
    codec! {
        |value, encoder| value.as_str().encode(encoder),
        |decoder| {
            let length = decoder.length()?;
            let text = str::from_utf8(decoder.raw(length)?);
            text.map(str::to_owned).map_err(|_| CodecError::Bad { expected: Self::NAME })
        }
    }
}

// SAFETY: bytes in place; a borrowed `&str` argument lives for its call only.
unsafe impl State for str {
    const FINGERPRINT: Fingerprint = Fingerprint::of("str");
    const NAME: &'static str = "str";

    #[inline]
    fn encode(&self, encoder: &mut Encoder) {
        encoder.length(self.len());
        encoder.raw(self.as_bytes());
    }
}

// SAFETY: elements in place; a borrowed `&[T]` argument lives for its call only.
unsafe impl<T: State> State for [T] {
    const FINGERPRINT: Fingerprint = Fingerprint::of("slice").with(T::FINGERPRINT);
    const NAME: &'static str = "slice";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE]);

    fn encode(&self, encoder: &mut Encoder) {
        encoder.length(self.len());
        T::encode_all(self, encoder);
    }
}

// SAFETY: the elements are inline.
unsafe impl<T: State, const N: usize> State for [T; N] {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("array").with_number(N).with_layout::<Self>().with(T::FINGERPRINT);
    const NAME: &'static str = "array";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE]);
    codec! {
        |value, encoder| T::encode_all(value, encoder),
        |decoder| {
            let values = T::decode_all(N, decoder)?;
            values.try_into().map_err(|_| CodecError::Bad { expected: Self::NAME })
        }
    }
}

macro_rules! boxed {
    ($([$($parameter:ident)?] $held:ty, |$decoder:ident| $decode:expr;)*) => {$(
        // SAFETY: the value is on the host's heap; an empty slice is a dangling address that is never read.
        unsafe impl$(<$parameter: State>)? State for Box<$held> {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of("Box").with_layout::<Self>().with(<$held>::FINGERPRINT);
            const NAME: &'static str = "Box";
            const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[<$held>::SHAPE]);
            codec! { |value, encoder| (**value).encode(encoder), |$decoder| $decode }
        }
    )*};
}

boxed! {
    [T] T, |decoder| T::decode(decoder).map(Box::new);
    [T] [T], |decoder| decode_each(decoder).map(Vec::into_boxed_slice);
    [] str, |decoder| String::decode(decoder).map(String::into_boxed_str);
}

// SAFETY: there is no value. The parameter counts, because it says what the surrounding bytes mean.
unsafe impl<T: State + ?Sized> State for PhantomData<T> {
    const FINGERPRINT: Fingerprint = Fingerprint::of("PhantomData").with(T::FINGERPRINT);
    const NAME: &'static str = "PhantomData";
    const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[T::SHAPE]);

    fn encode(&self, _: &mut Encoder) {}

    fn decode(_: &mut Decoder<'_>) -> Result<Self, CodecError> {
        Ok(Self)
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        // SAFETY: the values are inline. The compiler's order of them is fixed by their layouts, which
        // the fingerprint holds, and by its identity, which is compared apart.
        unsafe impl<$($name: State),*> State for ($($name,)*) {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of("tuple").with_layout::<Self>()$(.with($name::FINGERPRINT))*;
            const NAME: &'static str = "tuple";
            const SHAPE: &'static Shape = &Shape::container(Self::NAME, Self::FINGERPRINT, &[$($name::SHAPE),*]);

            #[allow(non_snake_case, reason = "the values are named after their types")]
            fn encode(&self, _encoder: &mut Encoder) {
                let ($($name,)*) = self;
                $($name.encode(_encoder);)*
            }

            fn decode(_decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
                Ok(($($name::decode(_decoder)?,)*))
            }
        }
    )*};
}

tuples! {
    () (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E F) (A B C D E F G) (A B C D E F G H)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_differ_by_what_they_hold() {
        assert_ne!(<Vec<u8>>::FINGERPRINT, <Vec<i8>>::FINGERPRINT);
        assert_ne!(<Vec<u8>>::FINGERPRINT, <VecDeque<u8>>::FINGERPRINT);
        assert_ne!(<(u8, u16)>::FINGERPRINT, <(u16, u8)>::FINGERPRINT);
        assert_ne!(<[u8; 3]>::FINGERPRINT, <[u8; 4]>::FINGERPRINT);
        assert_ne!(<Option<Vec<u8>>>::FINGERPRINT, <Option<Vec<u16>>>::FINGERPRINT);
    }
}
