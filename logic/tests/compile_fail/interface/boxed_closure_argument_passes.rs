//! What is to be done is data; how it's done is logic.

use liveswap_state::{Context, Logic, State, interface};

#[derive(State)]
pub enum Action {
    Award { points: u64 },
}

#[interface]
pub trait Game {
    fn later(&mut self, action: Action);
    fn act(&mut self) -> u64;
}

struct GameV1;

impl Logic for GameV1 {
    type State = Vec<Action>;

    fn create(_: &Context) -> Vec<Action> {
        Vec::new()
    }
}

impl GameLogic for GameV1 {
    fn later(actions: &mut Vec<Action>, _: &Context, action: Action) {
        actions.push(action);
    }

    fn act(actions: &mut Vec<Action>, _: &Context) -> u64 {
        actions.drain(..).map(|Action::Award { points }| points).sum()
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let mut actions = GameV1::create(&context);
    GameV1::later(&mut actions, &context, Action::Award { points: 3 });
    GameV1::later(&mut actions, &context, Action::Award { points: 4 });
    assert_eq!(GameV1::act(&mut actions, &context), 7);
    assert!(actions.is_empty());
}
