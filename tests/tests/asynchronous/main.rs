//! Modules in servers on tokio: calls that take long, requests that await, and upgrades under them.

mod calls;
mod server;
mod upgrades;
