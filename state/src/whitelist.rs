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

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::marker::PhantomData;
use std::num::{
    NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize, NonZeroU8, NonZeroU16,
    NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize, Wrapping,
};
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{
    AtomicBool, AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize, AtomicU8, AtomicU16, AtomicU32,
    AtomicU64, AtomicUsize,
};
use std::sync::{Arc, Mutex, OnceLock, RwLock, Weak};
use std::time::{Duration, Instant, SystemTime};

use crate::{Fingerprint, State};

macro_rules! plain {
    ($($type:ident),* $(,)?) => {$(
        // SAFETY: the value is its own bits; it holds no pointer at all.
        unsafe impl State for $type {
            const FINGERPRINT: Fingerprint = Fingerprint::of(stringify!($type)).with_layout::<Self>();
            const NAME: &'static str = stringify!($type);
        }
    )*};
}

plain!(u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64, bool, char);
plain!(NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64, NonZeroU128, NonZeroUsize);
plain!(NonZeroI8, NonZeroI16, NonZeroI32, NonZeroI64, NonZeroI128, NonZeroIsize);
plain!(AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize);
plain!(AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicIsize);
plain!(Duration, Instant, SystemTime);

macro_rules! containers {
    ($(#[doc = $why:literal] $name:ident<$($parameter:ident $(: $bound:ident)?),+>;)*) => {$(
        // SAFETY: stated at the invocation below, for each container.
        #[doc = $why]
        unsafe impl<$($parameter: State $(+ $bound)?),+> State for $name<$($parameter),+> {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of(stringify!($name)).with_layout::<Self>()$(.with($parameter::FINGERPRINT))+;
            const NAME: &'static str = stringify!($name);
        }
    )*};
}

containers! {
    /// SAFETY: empty is a dangling, aligned address that is never read; else the host's heap.
    Vec<T>;
    /// SAFETY: as `Vec`.
    VecDeque<T>;
    /// SAFETY: as `Vec`.
    BinaryHeap<T>;
    /// SAFETY: empty has no root node; else the host's heap.
    BTreeMap<K, V>;
    /// SAFETY: as `BTreeMap`.
    BTreeSet<T>;
    /// SAFETY: the value is inline.
    Option<T>;
    /// SAFETY: the value is inline.
    Result<T, E>;
    /// SAFETY: a sized value on the host's heap, with its counters; dropped by whoever drops last.
    Arc<T>;
    /// SAFETY: as `Arc`; without a target it is the address `usize::MAX`, never read.
    Weak<T>;
    /// SAFETY: a futex word and a flag on Linux; nobody is parked in a static of a library.
    Mutex<T>;
    /// SAFETY: as `Mutex`.
    RwLock<T>;
    /// SAFETY: as `Mutex`.
    OnceLock<T>;
    /// SAFETY: the value is inline.
    Wrapping<T>;
    /// SAFETY: the values are inline.
    Range<T>;
    /// SAFETY: the values are inline.
    RangeInclusive<T>;
}

// SAFETY: as `Vec<u8>`.
unsafe impl State for String {
    const FINGERPRINT: Fingerprint = Fingerprint::of("String").with_layout::<Self>();
    const NAME: &'static str = "String";
}

// SAFETY: bytes in place; a borrowed `&str` argument lives for its call only.
unsafe impl State for str {
    const FINGERPRINT: Fingerprint = Fingerprint::of("str");
    const NAME: &'static str = "str";
}

// SAFETY: elements in place; a borrowed `&[T]` argument lives for its call only.
unsafe impl<T: State> State for [T] {
    const FINGERPRINT: Fingerprint = Fingerprint::of("slice").with(T::FINGERPRINT);
    const NAME: &'static str = "slice";
}

// SAFETY: the elements are inline.
unsafe impl<T: State, const N: usize> State for [T; N] {
    const FINGERPRINT: Fingerprint =
        Fingerprint::of("array").with_number(N).with_layout::<Self>().with(T::FINGERPRINT);
    const NAME: &'static str = "array";
}

// SAFETY: the value is on the host's heap; an empty slice is a dangling address that is never read.
unsafe impl<T: State + ?Sized> State for Box<T> {
    const FINGERPRINT: Fingerprint = Fingerprint::of("Box").with_layout::<Self>().with(T::FINGERPRINT);
    const NAME: &'static str = "Box";
}

// SAFETY: there is no value. The parameter counts, because it says what the surrounding bytes mean.
unsafe impl<T: State + ?Sized> State for PhantomData<T> {
    const FINGERPRINT: Fingerprint = Fingerprint::of("PhantomData").with(T::FINGERPRINT);
    const NAME: &'static str = "PhantomData";
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        // SAFETY: the values are inline. The compiler's order of them is fixed by their layouts, which
        // the fingerprint holds, and by its identity, which is compared apart.
        unsafe impl<$($name: State),*> State for ($($name,)*) {
            const FINGERPRINT: Fingerprint =
                Fingerprint::of("tuple").with_layout::<Self>()$(.with($name::FINGERPRINT))*;
            const NAME: &'static str = "tuple";
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
