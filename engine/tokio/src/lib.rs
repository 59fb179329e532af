//! liveswap for servers on tokio.
//!
//! A call into a module is a function call: most take less than a lock would, and an async server makes them where it
//! stands, with [`liveswap::Module::call`]. This crate is for the two cases in which it can't:
//!
//! - **A call that takes long** would block its thread of the executor, and all tasks that wait for that. An
//!   [`AsyncModule`] makes it in a [`Place`] beside the executor, so many at once, while the task awaits the answer.
//! - **A request that awaits between its calls** needs one version for all of them. A guard can't be held across an await:
//!   it belongs to its thread. An [`AsyncLease`] can.
//!
//! Both have a name, by which `liveswap status` and the log say who holds a version: a thread of tokio's pool says nothing
//! by its own.
//!
//! ```no_run
//! # #[liveswap_state::interface]
//! # pub trait Game { fn hello(&self, who: &str) -> String; fn report(&self) -> String; }
//! # async fn send(part: &str) {}
//! # async fn example(engine: liveswap::Engine) -> Result<(), Box<dyn std::error::Error>> {
//! use liveswap_tokio::{AsyncModule, Place};
//!
//! let game = AsyncModule::new(engine.module::<dyn Game>("logic")?, Place::new(64));
//!
//! // Takes a nanosecond or two: at once, on this thread.
//! let greeting = game.module().call(|game| game.hello("test"))?;
//!
//! // May take a second: beside the executor.
//! let report = game.call("GET /report", |game| game.report()).await?;
//!
//! // On one version, across awaits:
//! let lease = game.lease("GET /greetings").await?;
//! for who in ["ada", "grace"] {
//!     let greeting = lease.lease().call(|game| game.hello(who))?;
//!     send(&greeting).await;
//! }
//! let report = lease.call(|game| game.report()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # The executor's own threads
//!
//! A call may leave a thread-local with a destructor on its thread, which then holds the version until it comes by again.
//! So give the runtime the hook [`liveswap::on_thread_park`]:
//!
//! ```
//! # fn example() -> std::io::Result<()> {
//! let runtime = tokio::runtime::Builder::new_multi_thread()
//!     .enable_all()
//!     .on_thread_park(liveswap::on_thread_park)
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! The threads for blocking work have no such hook; a [`Place`] calls it for each of them when a piece of work is done.

mod error;
mod lease;
mod module;
mod place;

pub use error::AsyncCallError;
pub use lease::AsyncLease;
pub use module::AsyncModule;
pub use place::Place;
