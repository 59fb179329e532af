//! A future is code of the version that made it, and may be polled when that is gone.

#[liveswap_state::interface]
pub trait Game {
    async fn wait(&self) -> u64;
}

fn main() {}
