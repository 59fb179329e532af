//! A tree of trees like itself.

use liveswap_state::State;

#[derive(State)]
struct Tree<T> {
    value: T,
    children: Vec<Tree<T>>,
}

impl Tree<u64> {
    fn sum(&self) -> u64 {
        self.value + self.children.iter().map(Tree::sum).sum::<u64>()
    }
}

fn main() {
    let leaf = Tree { value: 4, children: Vec::new() };
    assert_eq!(Tree { value: 3, children: vec![leaf] }.sum(), 7);
    assert_ne!(<Tree<u64>>::FINGERPRINT, <Tree<i64>>::FINGERPRINT);
}
