//! What a host has done each time that so much time has passed, and how many timers logic may set.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use liveswap_state::{CallError, Interface};

use super::{Builder, system};
use crate::call::{CallPath, Guard};
use crate::engine::Core;
use crate::error::BuildError;
use crate::module::Module;

/// How many timers a module may have, unless the host says otherwise.
const TIMERS_MAX: usize = 1024;

/// The ticks, as they were given.
pub(super) struct Ticks {
    ticks: Vec<TickDeclaration>,
    pub(super) timers_max: usize,
}

struct TickDeclaration {
    module: String,
    period: Duration,
    interface: &'static str,
    interface_type: TypeId,
    /// Ties the tick to the module with this call path.
    bind: Box<dyn FnOnce(Arc<CallPath>) -> TickWork + Send>,
}

type TickWork = Box<dyn Fn() -> Result<(), CallError> + Send + Sync>;

impl Default for Ticks {
    fn default() -> Self {
        Self { ticks: Vec::new(), timers_max: TIMERS_MAX }
    }
}

impl Ticks {
    pub(super) fn check<'names>(
        &self,
        known: impl Iterator<Item = (&'names str, &'static str, TypeId)> + Clone,
    ) -> Result<(), BuildError> {
        for tick in &self.ticks {
            let name = tick.module.clone();
            let Some((_, expected, declared)) = known.clone().find(|(known, ..)| *known == name) else {
                let known: Vec<_> = known.map(|(known, ..)| format!("`{known}`")).collect();
                return Err(BuildError::TickOfNone { name, known: known.join(", ") });
            };
            if declared != tick.interface_type {
                return Err(BuildError::TickOfOtherInterface { name, found: tick.interface, expected });
            }
            if tick.period.is_zero() {
                return Err(BuildError::TickWithoutPeriod { name });
            }
        }
        Ok(())
    }

    /// Begins them, for the modules that [`check`](Self::check) has found.
    pub(super) fn start(self, core: &Core) -> Result<(), BuildError> {
        for TickDeclaration { module, period, bind, .. } in self.ticks {
            let Some(declared) = core.modules.find(&module) else { continue };
            let work = bind(declared.path.clone());
            declared.work.tick(period, work).map_err(system("start the thread of the timers"))?;
        }
        Ok(())
    }
}

impl Builder {
    /// Has something done with a module each time that so much time has passed: a game's step, a look for what has
    /// expired. It's called like any call of the host's, on the version that is active then, in the lane
    /// [`High`](liveswap_state::Lane::High) of the module's pool. So it moves to each new version by itself.
    ///
    /// The first one comes a period after the module has its first version. One that is due while the one before is
    /// still under way is skipped, and counted in the status ([`TickStatus`](crate::status::TickStatus)), as is one
    /// that fails; the log tells of the first failure of several. A module may have several ticks.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # #[liveswap_state::interface]
    /// # pub trait Game { fn step(&mut self, milliseconds: u64); }
    /// # fn main() -> Result<(), liveswap::BuildError> {
    /// let period = Duration::from_millis(50);
    /// let engine = liveswap::Engine::builder()
    ///     .module::<dyn Game>("logic")
    ///     .tick::<dyn Game>("logic", period, |game| game.step(50))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tick<I: Interface + ?Sized>(
        mut self,
        module: impl Into<String>,
        period: Duration,
        work: impl Fn(&I::Proxy<Guard<'_>>) -> Result<(), CallError> + Send + Sync + 'static,
    ) -> Self {
        let bind = move |path: Arc<CallPath>| -> TickWork {
            let module = Module::<I>::new(path);
            Box::new(move || module.call(&work))
        };
        self.ticks.ticks.push(TickDeclaration {
            module: module.into(),
            period,
            interface: I::NAME,
            interface_type: TypeId::of::<I>(),
            bind: Box::new(bind),
        });
        self
    }

    /// How many timers a module may have set at once ([`Context::after`](liveswap_state::Context::after)). What is
    /// beyond is refused. 1,024, unless set.
    pub fn timers_max(mut self, timers: usize) -> Self {
        self.ticks.timers_max = timers;
        self
    }

    /// Looks through the watched folders each time that so much has passed, for file systems that don't report changes.
    /// The first time comes a period after the start, and a period of zero is an error of [`build`](Self::build).
    #[cfg(feature = "watch")]
    pub fn rescan_every(self, period: Duration) -> Self {
        self.trigger(move |core| {
            if period.is_zero() {
                return Err(BuildError::RescanWithoutPeriod);
            }
            let interval = crate::trigger::interval::Interval::start(period, core.mailbox.clone());
            Ok(Box::new(interval.map_err(system("start the thread that looks through the folders"))?))
        })
    }
}

#[cfg(test)]
mod tests {
    use liveswap_state::interface;

    use super::*;

    #[interface]
    #[expect(dead_code, reason = "an interface's trait is never implemented: it names the methods")]
    trait Game {
        fn step(&mut self);
    }

    #[interface]
    #[expect(dead_code, reason = "an interface's trait is never implemented: it names the methods")]
    trait Chat {
        fn sweep(&mut self);
    }

    #[test]
    fn a_tick_of_no_module_of_another_interface_and_without_a_period_are_refused() {
        let check = |builder: Builder| {
            let known = [("logic", "Game", TypeId::of::<dyn Game>())];
            builder.ticks.check(known.into_iter())
        };
        let second = Duration::from_secs(1);
        let tick = |module, period| Builder::new().tick::<dyn Game>(module, period, |game| game.step());
        assert!(check(tick("logic", second)).is_ok());
        assert!(matches!(
            check(tick("chat", second)),
            Err(BuildError::TickOfNone { name, known }) if name == "chat" && known == "`logic`"
        ));
        assert!(matches!(
            check(tick("logic", Duration::ZERO)),
            Err(BuildError::TickWithoutPeriod { name }) if name == "logic"
        ));
        assert!(matches!(
            check(Builder::new().tick::<dyn Chat>("logic", second, |chat| chat.sweep())),
            Err(BuildError::TickOfOtherInterface { found: "Chat", expected: "Game", .. })
        ));
    }
}
