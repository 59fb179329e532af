//! What a thread does for the engine before it goes to sleep.

use crate::call::owed;

/// Lets go of all versions, before this thread goes to sleep for a time that nobody knows.
///
/// A call may leave something on its thread: a thread-local that has a destructor, or what the standard library
/// keeps for each thread. It belongs to that thread alone, so the version can't leave memory before the thread
/// has come by again. A thread that sleeps doesn't come by. So an executor's idle workers call this first; it
/// costs some nanoseconds if there is nothing to let go of.
///
/// ```
/// # fn example() -> std::io::Result<()> {
/// let runtime = tokio::runtime::Builder::new_multi_thread()
///     .on_thread_park(liveswap::on_thread_park)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// The destructors of the thread-locals of all versions run here, of the active ones too, but for versions that
/// this thread is inside of. When it calls a version again, it's a new thread to that version: its thread-locals
/// start afresh, those without a destructor too, and it has another `ThreadId` there. A version whose thread-locals the
/// loader has put beside the program's own can't be made to see a new thread; it stays held.
///
/// Threads that end needn't call this, nor those that keep calling. Tokio's threads for blocking work don't have such a
/// hook; they end after a time without work (`thread_keep_alive`), or may call this when a piece of work is done.
pub fn on_thread_park() {
    owed::settle_all();
}
