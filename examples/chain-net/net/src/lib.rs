//! The example of two modules: `net`, which requires `chain`.

use chain_net_api::NetLogic;
use liveswap_logic::{Context, Logic};
use liveswap_state::State;

/// What outlives each version.
#[derive(State)]
struct Peers {
    names: Vec<String>,
}

struct Network;

impl Logic for Network {
    type State = Peers;

    fn create(_: &Context) -> Peers {
        Peers { names: Vec::new() }
    }

    fn initialize(_: &mut Peers, _: &Context) -> Result<(), String> {
        println!("initialize net plugin");
        Ok(())
    }

    fn start(_: &mut Peers, _: &Context) -> Result<(), String> {
        println!("starting net plugin");
        Ok(())
    }

    fn stop(peers: &mut Peers, _: &Context) {
        peers.names.clear();
        println!("shutdown net plugin");
    }
}

impl NetLogic for Network {
    fn peers(peers: &Peers, _: &Context) -> usize {
        peers.names.len()
    }
}

liveswap_logic::export! {
    module: "net",
    version: env!("CARGO_PKG_VERSION"),
    logic: Network as NetLogic,
}
