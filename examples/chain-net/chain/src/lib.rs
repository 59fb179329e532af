//! The example of two modules: `chain`, which requires no other.

use chain_net_api::ChainLogic;
use liveswap_logic::{Context, Logic};
use liveswap_state::State;

/// What outlives each version.
#[derive(State)]
struct Blocks {
    head: u64,
}

struct Blockchain;

impl Logic for Blockchain {
    type State = Blocks;

    fn create(_: &Context) -> Blocks {
        Blocks { head: 0 }
    }

    fn initialize(blocks: &mut Blocks, _: &Context) -> Result<(), String> {
        println!("initialize chain plugin");
        blocks.head = 1;
        Ok(())
    }

    fn start(_: &mut Blocks, _: &Context) -> Result<(), String> {
        println!("starting chain plugin");
        Ok(())
    }

    fn stop(_: &mut Blocks, _: &Context) {
        println!("shutdown chain plugin");
    }
}

impl ChainLogic for Blockchain {
    fn head(blocks: &Blocks, _: &Context) -> u64 {
        blocks.head
    }

    fn add(blocks: &mut Blocks, _: &Context) -> u64 {
        blocks.head += 1;
        blocks.head
    }
}

liveswap_logic::export! {
    module: "chain",
    version: env!("CARGO_PKG_VERSION"),
    logic: Blockchain as ChainLogic,
}
