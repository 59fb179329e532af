//! Which modules come next: in which order they are initialized, started and stopped, and what may not be now.

use super::graph::{Graph, move_up};
use super::phase::LifecyclePhase;

/// What is known of the lives of all modules, but for their phases, which each module has itself.
#[derive(Debug)]
pub(crate) struct Lives {
    graph: Graph,
    /// In the order in which they were started.
    started: Vec<usize>,
}

/// A module that is in another phase than what is asked for needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfOrder {
    pub(crate) module: usize,
    pub(crate) found: LifecyclePhase,
    pub(crate) expected: LifecyclePhase,
}

type Planned = Result<Vec<usize>, OutOfOrder>;

impl Lives {
    /// `graph` has no cycle.
    pub(crate) fn new(graph: Graph) -> Self {
        Self { graph, started: Vec::new() }
    }

    /// One module more, which requires these.
    pub(crate) fn add(&mut self, required: Vec<usize>) {
        self.graph.add(required);
    }

    /// A module that no other requires, and that doesn't run any more, is gone. Those behind it move up.
    pub(crate) fn remove(&mut self, module: usize) {
        self.graph.remove(module);
        move_up(&mut self.started, module);
    }

    /// The modules that require this one themselves.
    pub(crate) fn requiring(&self, module: usize) -> impl Iterator<Item = usize> {
        self.graph.requiring(module)
    }

    /// What keeps a module from being initialized: what it requires and isn't.
    pub(crate) fn missing(&self, module: usize, phases: &[LifecyclePhase]) -> Vec<usize> {
        let required = self.graph.required_by(module).iter().copied();
        required.filter(|required| !phases[*required].is_initialized()).collect()
    }

    /// The modules to initialize, what is required before what requires it: all that haven't been, or one with all that it
    /// requires.
    pub(crate) fn to_initialize(&self, module: Option<usize>, phases: &[LifecyclePhase]) -> Planned {
        let needed = LifecyclePhase::Registered;
        let before = |module: &usize| phases[*module] == needed;
        let Some(module) = module else {
            return Ok((0..phases.len()).filter(before).collect());
        };
        // To ask for what is so already is no mistake.
        if phases[module] == LifecyclePhase::Initialized {
            return Ok(Vec::new());
        }
        expect(module, needed, phases)?;
        Ok(self.graph.with_required(module).into_iter().filter(before).collect())
    }

    /// The modules to start, in the same way. All of them must be initialized.
    pub(crate) fn to_start(&self, module: Option<usize>, phases: &[LifecyclePhase]) -> Planned {
        let concerned = match module {
            None => (0..phases.len()).filter(|module| phases[*module] != LifecyclePhase::Stopped).collect(),
            Some(module) => self.graph.with_required(module),
        };
        let concerned: Vec<_> =
            concerned.into_iter().filter(|module| phases[*module] != LifecyclePhase::Started).collect();
        for module in &concerned {
            expect(*module, LifecyclePhase::Initialized, phases)?;
            let stopped =
                self.graph.required_by(*module).iter().find(|it| phases[**it] == LifecyclePhase::Stopped);
            stopped.map_or(Ok(()), |stopped| expect(*stopped, LifecyclePhase::Started, phases))?;
        }
        Ok(concerned)
    }

    /// The modules that can be started now: initialized, and what they require has been started.
    pub(crate) fn startable(&self, phases: &[LifecyclePhase]) -> Vec<usize> {
        let is_startable = |module: &usize| {
            let mut required = self.graph.required_by(*module).iter();
            phases[*module] == LifecyclePhase::Initialized
                && required.all(|required| phases[*required] == LifecyclePhase::Started)
        };
        (0..phases.len()).filter(is_startable).collect()
    }

    /// The modules to stop, in the reverse order of their starts: all that have started, or one after all that require
    /// it.
    pub(crate) fn to_stop(&self, module: Option<usize>, phases: &[LifecyclePhase]) -> Planned {
        if let Some(module) = module {
            if phases[module] == LifecyclePhase::Stopped {
                return Ok(Vec::new());
            }
            expect(module, LifecyclePhase::Started, phases)?;
        }
        let concerns = |other: &usize| {
            module.is_none_or(|module| *other == module || self.graph.requires(*other, module))
        };
        Ok(self.started.iter().rev().copied().filter(concerns).collect())
    }

    /// What has been started since so many had been, in the reverse order.
    pub(crate) fn started_since(&self, count: usize) -> Vec<usize> {
        self.started.iter().skip(count).rev().copied().collect()
    }

    /// How many have been started and not been stopped.
    pub(crate) fn count_started(&self) -> usize {
        self.started.len()
    }

    /// A module has been started.
    pub(crate) fn note_started(&mut self, module: usize) {
        self.started.push(module);
    }

    /// A module has been stopped, however that went.
    pub(crate) fn note_stopped(&mut self, module: usize) {
        self.started.retain(|other| *other != module);
    }
}

fn expect(module: usize, expected: LifecyclePhase, phases: &[LifecyclePhase]) -> Result<(), OutOfOrder> {
    let found = phases[module];
    if found == expected { Ok(()) } else { Err(OutOfOrder { module, found, expected }) }
}

#[cfg(test)]
mod tests {
    use LifecyclePhase::{Initialized, Registered, Started, Stopped};
    use proptest::prelude::*;

    use super::*;

    /// 2 requires 0 and 1; 3 requires 2.
    fn lives() -> Lives {
        Lives::new(Graph::new(vec![vec![], vec![], vec![0, 1], vec![2]]))
    }

    #[test]
    fn one_comes_with_what_it_requires_and_what_is_done_is_left_out() {
        let lives = lives();
        let phases = [Registered, Initialized, Registered, Registered];
        assert_eq!(lives.to_initialize(Some(2), &phases), Ok(vec![0, 2]));
        assert_eq!(lives.to_initialize(None, &phases), Ok(vec![0, 2, 3]));
        assert_eq!(lives.to_initialize(Some(1), &phases), Ok(vec![]));
        assert_eq!(lives.missing(2, &phases), [0]);
        assert_eq!(lives.missing(3, &phases), [2]);
        assert_eq!(lives.missing(0, &phases), [0; 0]);
    }

    #[test]
    fn out_of_order_names_what_is_in_the_way() {
        let lives = lives();
        let phases = [Started, Registered, Initialized, Stopped];
        let found = |module, found, expected| Err(OutOfOrder { module, found, expected });
        assert_eq!(lives.to_start(Some(2), &phases), found(1, Registered, Initialized));
        assert_eq!(lives.to_start(None, &phases), found(1, Registered, Initialized));
        assert_eq!(lives.to_start(Some(0), &phases), Ok(vec![]));
        assert_eq!(lives.to_initialize(Some(0), &phases), found(0, Started, Registered));
        assert_eq!(lives.to_stop(Some(2), &phases), found(2, Initialized, Started));
        assert_eq!(lives.to_stop(Some(3), &phases), Ok(vec![]));
        assert_eq!(lives.to_start(Some(3), &phases), found(1, Registered, Initialized));
        // What it requires was stopped, and doesn't start again.
        let phases = [Stopped, Started, Initialized, Initialized];
        assert_eq!(lives.to_start(None, &phases), found(0, Stopped, Started));
    }

    #[test]
    fn who_requires_a_module_is_stopped_before_it() {
        let mut lives = lives();
        (0..4).for_each(|module| lives.note_started(module));
        let phases = [Started; 4];
        assert_eq!(lives.to_stop(Some(1), &phases), Ok(vec![3, 2, 1]));
        assert_eq!(lives.to_stop(None, &phases), Ok(vec![3, 2, 1, 0]));
        assert_eq!(lives.started_since(2), [3, 2]);
    }

    #[test]
    fn what_is_gone_leaves_the_others_in_their_order() {
        let mut lives = lives();
        lives.add(vec![0]);
        for module in [0, 4, 1, 2] {
            lives.note_started(module);
        }
        assert_eq!(lives.requiring(0).collect::<Vec<_>>(), [2, 4]);
        // 3, which hasn't started.
        lives.remove(3);
        assert_eq!(lives.started_since(0), [2, 1, 3, 0]);
        assert_eq!(lives.to_stop(Some(0), &[Started; 4]), Ok(vec![2, 3, 0]));
    }

    #[test]
    fn what_can_start_is_initialized_and_what_it_requires_has_started() {
        let lives = lives();
        assert_eq!(lives.startable(&[Initialized; 4]), [0, 1]);
        assert_eq!(lives.startable(&[Started, Started, Initialized, Initialized]), [2]);
        assert_eq!(lives.startable(&[Started, Registered, Registered, Initialized]), [0; 0]);
        assert_eq!(lives.startable(&[Started, Stopped, Initialized, Initialized]), [0; 0]);
    }

    /// What can be asked for, of one module or of all; the last says whether hooks fail meanwhile.
    type Asked = (u8, Option<usize>, bool);

    proptest! {
        #[test]
        fn whatever_is_asked_for_what_is_required_goes_before_what_requires_it(
            asked in proptest::collection::vec(
                (0..3u8, proptest::option::of(0..4usize), prop::bool::weighted(0.2)), 0..60,
            ),
        ) {
            let (mut lives, mut phases) = (lives(), [Registered; 4]);
            for (what, module, fails) in asked as Vec<Asked> {
                let before = phases;
                let planned = match what {
                    0 => lives.to_initialize(module, &phases),
                    1 => lives.to_start(module, &phases),
                    _ => lives.to_stop(module, &phases),
                };
                let Ok(planned) = planned else {
                    prop_assert_eq!(before, phases);
                    continue;
                };
                for module in planned {
                    match what {
                        0 if fails || !lives.missing(module, &phases).is_empty() => break,
                        0 => phases[module] = Initialized,
                        1 if fails => break,
                        1 => {
                            phases[module] = Started;
                            lives.note_started(module);
                        }
                        // Whether its hook has failed makes no difference.
                        _ => {
                            phases[module] = Stopped;
                            lives.note_stopped(module);
                        }
                    }
                    for (module, phase) in phases.iter().enumerate() {
                        for required in lives.graph.required_by(module) {
                            let required = phases[*required];
                            match phase {
                                // What it requires may have been stopped before it could start.
                                Initialized => prop_assert_ne!(required, Registered),
                                Started => prop_assert_eq!(required, Started),
                                Registered | Stopped => {}
                            }
                        }
                    }
                }
                let forward = before.iter().zip(&phases).all(|(before, after)| before <= after);
                prop_assert!(forward, "{before:?} became {phases:?}");
                let started = phases.iter().filter(|phase| **phase == Started).count();
                prop_assert_eq!(lives.count_started(), started);
            }
        }
    }
}
