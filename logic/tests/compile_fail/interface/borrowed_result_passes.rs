//! The answer belongs to who asked.

use liveswap_state::{Context, Logic, interface};

#[interface]
pub trait Game {
    fn topic(&self) -> String;
}

struct GameV1;

impl Logic for GameV1 {
    type State = String;

    fn create(_: &Context) -> String {
        "news".to_owned()
    }
}

impl GameLogic for GameV1 {
    fn topic(topic: &String, _: &Context) -> String {
        topic.clone()
    }
}

fn main() {
    let context = Context::new("logic", "1001");

    let state = GameV1::create(&context);
    let topic = GameV1::topic(&state, &context);
    drop(state);
    assert_eq!(topic, "news");
}
