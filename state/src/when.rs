//! When a spawned call is to run: as soon as a [`Lane`] of the module's pool has room for it, or after a time.
//!
//! Both are asked for in the same way, through the methods that `#[interface]` writes, and differ in what the host is
//! told and in what is given back: nothing, or the [`TimerId`] by which the call can be called off.

use std::fmt;
use std::time::Duration;

use crate::{CodecError, Decoder, Encoder, Fingerprint, MethodSpec, SpawnError, Spawner, State};

/// Which of a module's spawned calls go first. Within a lane, they run in the order in which they were spawned.
///
/// A lower lane isn't left waiting for ever: a call that is the first of its lane is overtaken by eight of higher lanes
/// at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Before all others.
    High,
    /// What [`Context::spawn`](crate::Context::spawn) and timers use.
    #[default]
    Normal,
    /// What can wait.
    Low,
}

impl Lane {
    /// All lanes, the highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The lane's name: `high`, `normal` or `low`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A timer that logic has set, to [call it off](crate::Context::cancel_timer). It may be kept in the state.
///
/// No two timers have the same one, also not those of a process before this, unless the clock was set back: one that comes
/// from an old snapshot names no timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u64);

impl TimerId {
    /// The timer with this number. For the engine.
    #[doc(hidden)]
    pub const fn of(number: u64) -> Self {
        Self(number)
    }

    /// The timer's number. For the engine.
    #[doc(hidden)]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TimerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

// SAFETY: the value is a number; it holds no pointer at all.
unsafe impl State for TimerId {
    const FINGERPRINT: Fingerprint = Fingerprint::of("TimerId").with(<u64 as State>::FINGERPRINT);
    const NAME: &'static str = "TimerId";

    fn encode(&self, encoder: &mut Encoder) {
        self.0.encode(encoder);
    }

    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CodecError> {
        u64::decode(decoder).map(Self)
    }
}

/// After this time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct After(pub Duration);

/// When a call is to run, and what whoever asks for it gets.
#[doc(hidden)]
pub trait When: Copy {
    type Receipt;

    /// Has the host take over a call, to run then.
    ///
    /// # Errors
    ///
    /// If it won't be made. The arguments are the caller's still.
    ///
    /// # Safety
    ///
    /// As [`Spawner::spawn`].
    unsafe fn hand_over(
        self,
        host: &dyn Spawner,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<Self::Receipt, SpawnError>;
}

impl When for Lane {
    type Receipt = ();

    unsafe fn hand_over(
        self,
        host: &dyn Spawner,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<(), SpawnError> {
        // SAFETY: the same promise.
        unsafe { host.spawn(self, method, arguments) }
    }
}

impl When for After {
    type Receipt = TimerId;

    unsafe fn hand_over(
        self,
        host: &dyn Spawner,
        method: &MethodSpec,
        arguments: *mut (),
    ) -> Result<TimerId, SpawnError> {
        // SAFETY: the same promise.
        unsafe { host.spawn_after(self.0, method, arguments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_in_the_state_is_written_down_and_read_again() {
        let timer = TimerId::of(u64::MAX - 7);
        let mut encoder = Encoder::new();
        timer.encode(&mut encoder);
        let bytes = encoder.finish().unwrap();
        assert_eq!(TimerId::decode(&mut Decoder::new(&bytes)), Ok(timer));
        assert_ne!(TimerId::FINGERPRINT, <u64 as State>::FINGERPRINT);
    }

    #[test]
    fn lanes_are_in_order() {
        assert!(Lane::ALL.is_sorted());
        assert_eq!(Lane::ALL.map(Lane::name), ["high", "normal", "low"]);
        assert_eq!(Lane::default(), Lane::Normal);
    }
}
