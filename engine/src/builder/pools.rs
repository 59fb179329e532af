//! What a host sets of the pools in which spawned calls run.

use super::Builder;
use crate::error::BuildError;
use crate::spawn::Bounds;

/// How much of a module's background work may run at once, and how much may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// How many calls may run at once; one at least. Each has a thread while it runs.
    pub threads: usize,
    /// How many may wait in each [`Lane`](liveswap_state::Lane). What is beyond is refused.
    pub waiting_max: usize,
}

/// The pools, as they were given.
#[derive(Default)]
pub(super) struct Pools {
    by_module: Vec<(String, Pool)>,
}

impl Pools {
    /// The bounds of a module's own pool, if it has one.
    pub(super) fn of(&self, module: &str) -> Option<Bounds> {
        let own = self.by_module.iter().rfind(|(name, _)| name == module);
        own.map(|(_, pool)| Bounds { running_max: pool.threads, waiting_max: pool.waiting_max })
    }

    pub(super) fn check<'names>(
        &self,
        known: impl Iterator<Item = &'names str> + Clone,
    ) -> Result<(), BuildError> {
        for (name, pool) in &self.by_module {
            if !known.clone().any(|known| known == name) {
                let known: Vec<_> = known.map(|known| format!("`{known}`")).collect();
                return Err(BuildError::PoolOfNone { name: name.clone(), known: known.join(", ") });
            }
            if pool.threads == 0 {
                return Err(BuildError::EmptyPool { name: name.clone() });
            }
        }
        Ok(())
    }
}

impl Builder {
    /// How many calls that logic has spawned may run at once, those of all modules together that have no
    /// [pool](Self::pool) of their own; one at least. Each has a thread while it runs. What is beyond waits. 64, unless
    /// set.
    pub fn spawned_running_max(mut self, calls: usize) -> Self {
        self.spawned_running_max = calls.max(1);
        self
    }

    /// How many calls that logic has spawned may wait in each [`Lane`](liveswap_state::Lane), those of all modules
    /// together that have no [pool](Self::pool) of their own. What is beyond is refused. 1,024, unless set.
    pub fn spawned_waiting_max(mut self, calls: usize) -> Self {
        self.spawned_waiting_max = calls;
        self
    }

    /// Gives a module a pool of its own for what it has the host call later
    /// ([`Context::spawn`](liveswap_state::Context::spawn)): whatever other modules do, so many of its calls may run at
    /// once. Given twice, the last one counts.
    ///
    /// Modules without one share the bounds [`spawned_running_max`](Self::spawned_running_max) and
    /// [`spawned_waiting_max`](Self::spawned_waiting_max).
    pub fn pool(mut self, module: impl Into<String>, pool: Pool) -> Self {
        self.pools.by_module.push((module.into(), pool));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Pool = Pool { threads: 1, waiting_max: 0 };

    #[test]
    fn a_pool_of_no_module_and_one_without_threads_are_refused() {
        let check = |builder: Builder| builder.pools.check(["logic"].into_iter());
        assert!(check(Builder::new().pool("logic", SMALL)).is_ok());
        assert!(matches!(
            check(Builder::new().pool("chat", SMALL)),
            Err(BuildError::PoolOfNone { name, known }) if name == "chat" && known == "`logic`"
        ));
        let empty = Pool { threads: 0, ..SMALL };
        assert!(matches!(
            check(Builder::new().pool("logic", empty)),
            Err(BuildError::EmptyPool { name }) if name == "logic"
        ));
    }

    #[test]
    fn the_last_pool_of_a_module_counts() {
        let builder = Builder::new().pool("logic", SMALL).pool("logic", Pool { threads: 7, ..SMALL });
        assert_eq!(builder.pools.of("logic").map(|bounds| bounds.running_max), Some(7));
        assert!(builder.pools.of("chat").is_none());
    }
}
