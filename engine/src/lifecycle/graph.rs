//! Which module requires which: the order that follows from it, and the cycles that have none.

/// What requires what. Modules are numbers: their places in the list that the graph was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    requires: Vec<Vec<usize>>,
}

/// Modules that require each other: each the one after it, and the last one the first. The first is named at the end
/// once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cycle(pub(crate) Vec<usize>);

impl Graph {
    /// `requires` has for each module the numbers of those that it requires.
    pub(crate) fn new(requires: Vec<Vec<usize>>) -> Self {
        debug_assert!(requires.iter().flatten().all(|required| *required < requires.len()));
        Self { requires }
    }

    /// One module more, which requires these.
    pub(crate) fn add(&mut self, required: Vec<usize>) {
        self.requires.push(required);
    }

    /// A module that no other requires is taken out. Those behind it move up.
    pub(crate) fn remove(&mut self, module: usize) {
        self.requires.remove(module);
        self.requires.iter_mut().for_each(|required| move_up(required, module));
    }

    /// The modules that require this one themselves.
    pub(crate) fn requiring(&self, module: usize) -> impl Iterator<Item = usize> {
        let requires = self.requires.iter().enumerate();
        requires.filter(move |(_, required)| required.contains(&module)).map(|(other, _)| other)
    }

    /// What a module requires itself.
    pub(crate) fn required_by(&self, module: usize) -> &[usize] {
        &self.requires[module]
    }

    /// All modules, each after those that it requires, and otherwise in their own order.
    pub(crate) fn order(&self) -> Result<Vec<usize>, Cycle> {
        let mut walk = Walk { graph: self, order: Vec::new(), path: Vec::new() };
        (0..self.requires.len()).try_for_each(|module| walk.visit(module))?;
        Ok(walk.order)
    }

    /// A module after all that it requires, and what those require.
    ///
    /// # Panics
    ///
    /// If there is a cycle. [`order`](Self::order) tells before.
    pub(crate) fn with_required(&self, module: usize) -> Vec<usize> {
        let mut walk = Walk { graph: self, order: Vec::new(), path: Vec::new() };
        walk.visit(module).expect("a graph that is used has no cycle");
        walk.order
    }

    /// Whether a module requires another, itself or by way of others.
    pub(crate) fn requires(&self, module: usize, other: usize) -> bool {
        module != other && self.with_required(module).contains(&other)
    }

    /// The same modules in another order: the first is the one that had the number `order[0]`.
    pub(crate) fn reordered(&self, order: &[usize]) -> Self {
        let place = |module: &usize| order.iter().position(|other| other == module);
        let places = |required: &Vec<usize>| required.iter().filter_map(place).collect();
        Self { requires: order.iter().map(|module| places(&self.requires[*module])).collect() }
    }
}

/// What the numbers of modules are once this one was taken out, whose own is left out.
pub(crate) fn move_up(modules: &mut Vec<usize>, removed: usize) {
    modules.retain(|module| *module != removed);
    modules.iter_mut().filter(|module| **module > removed).for_each(|module| *module -= 1);
}

/// Depth first, so that a cycle is found with all its members.
struct Walk<'graph> {
    graph: &'graph Graph,
    order: Vec<usize>,
    /// The modules that are being visited, each required by the one before.
    path: Vec<usize>,
}

impl Walk<'_> {
    fn visit(&mut self, module: usize) -> Result<(), Cycle> {
        if self.order.contains(&module) {
            return Ok(());
        }
        if let Some(start) = self.path.iter().position(|other| *other == module) {
            return Err(Cycle(self.path[start..].iter().copied().chain([module]).collect()));
        }
        self.path.push(module);
        let graph = self.graph;
        graph.required_by(module).iter().try_for_each(|required| self.visit(*required))?;
        self.path.pop();
        self.order.push(module);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(requires: &[&[usize]]) -> Graph {
        Graph::new(requires.iter().map(|required| required.to_vec()).collect())
    }

    #[test]
    fn what_is_required_comes_first_and_each_once() {
        // 0 requires 1 and 2, both of which require 3.
        let graph = graph(&[&[1, 2], &[3], &[3], &[], &[]]);
        assert_eq!(graph.order().unwrap(), [3, 1, 2, 0, 4]);
        assert_eq!(graph.with_required(2), [3, 2]);
        assert!(graph.requires(0, 3) && !graph.requires(3, 0) && !graph.requires(0, 0));
        let sorted = graph.reordered(&[3, 1, 2, 0, 4]);
        assert_eq!(sorted.order().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(sorted.required_by(3), [1, 2]);
    }

    #[test]
    fn what_is_taken_out_leaves_the_requirements_of_the_others() {
        // 3 requires 0 and 2, 1 requires 0.
        let mut graph = graph(&[&[], &[0], &[], &[0, 2]]);
        assert_eq!(graph.requiring(0).collect::<Vec<_>>(), [1, 3]);
        graph.remove(1);
        assert_eq!(graph.order().unwrap(), [0, 1, 2]);
        assert_eq!(graph.required_by(2), [0, 1]);
        graph.add(vec![1]);
        assert_eq!(graph.requiring(1).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_cycle_has_all_its_members_and_no_other() {
        assert_eq!(graph(&[&[1], &[2], &[3], &[1]]).order(), Err(Cycle(vec![1, 2, 3, 1])));
        assert_eq!(graph(&[&[0]]).order(), Err(Cycle(vec![0, 0])));
    }

    proptest! {
        #[test]
        fn an_order_keeps_what_is_required_before_what_requires_it(
            requires in (1..12usize).prop_flat_map(|count| {
                proptest::collection::vec(proptest::collection::vec(0..count, 0..4), count)
            }),
        ) {
            let graph = Graph::new(requires.clone());
            match graph.order() {
                Ok(order) => {
                    prop_assert_eq!(order.len(), requires.len());
                    let place = |module: usize| order.iter().position(|other| *other == module).unwrap();
                    for (module, required) in requires.iter().enumerate() {
                        for required in required {
                            prop_assert!(place(*required) < place(module));
                        }
                    }
                }
                Err(Cycle(members)) => {
                    prop_assert!(members.len() >= 2);
                    prop_assert_eq!(members.first(), members.last());
                    for pair in members.windows(2) {
                        prop_assert!(requires[pair[0]].contains(&pair[1]));
                    }
                }
            }
        }
    }
}
