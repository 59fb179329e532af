//! It has one.

use liveswap_state::{Decoder, Encoder, State};

#[derive(Default, State)]
struct Cache {
    hits: u64,
}

#[derive(State)]
struct World {
    day: u32,
    #[state(skip)]
    cache: Cache,
}

fn main() {
    let mut encoder = Encoder::new();
    World { day: 5, cache: Cache { hits: 9 } }.encode(&mut encoder);
    let bytes = encoder.finish().unwrap();
    let world = World::decode(&mut Decoder::new(&bytes)).unwrap();
    assert_eq!((world.day, world.cache.hits), (5, 0));
}
