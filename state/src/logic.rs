//! What every implementation of an interface brings: its state and its hooks.

use crate::{Constant, Context, Options, State};

/// One module's logic: which state it works on, and its hooks. The methods are in the interface's own
/// trait, `GameLogic` for an interface `Game`.
///
/// No method takes `self`: a version holds no data of its own. Whatever must last is in the state.
///
/// Every hook runs on a thread of the engine's, and has a deadline (`Builder::hook_deadline` of the host's). One that
/// doesn't return by then counts as failed, and its thread holds the version until it does.
pub trait Logic: Sized + 'static {
    /// What the host keeps for this module. Threads share it, hence `Send` and `Sync`.
    type State: State + Send + Sync;

    /// The methods whose answers may differ from those of the version before, by name; `"*"` stands for all. A
    /// rehearsal makes recorded calls on both versions, and refuses the later one for any other difference.
    const DIFFERENCES: &'static [&'static str] = &[];

    /// Values that this version makes known by name: its manifest lists them, and so does the host's registry.
    const CONSTANTS: &'static [Constant] = &[];

    /// Makes the state. Called once, for the first version that a process loads; later versions find
    /// the state as it is.
    fn create(context: &Context) -> Self::State;

    /// Told what is set for the module: with its first version, before that is published, and whenever it's changed while
    /// the engine runs. It has the state alone, as a method with `&mut self` does. Other versions aren't told of what is
    /// set already: whatever of it the state needs, this hook has put there.
    ///
    /// [`Context::options`] has the options at any time; here it still has those before.
    ///
    /// # Errors
    ///
    /// What can't be meant, for people to read: an [`OptionError`](crate::OptionError) as text, perhaps. A first version
    /// is refused with it. After a change the options before stay in force, so leave the state as it was.
    fn configure(state: &mut Self::State, options: &Options, context: &Context) -> Result<(), String> {
        let _ = (state, options, context);
        Ok(())
    }

    /// Asked after loading and before publishing: can this version serve? It must not touch the state.
    ///
    /// # Errors
    ///
    /// A reason, for people to read. The push is refused with it and nothing has changed.
    fn prepare(context: &Context) -> Result<(), String> {
        let _ = context;
        Ok(())
    }

    /// Asked after [`prepare`](Self::prepare): does this version work? The place to try what can be tried without the
    /// state. It also runs when the version is rehearsed in a process of its own.
    ///
    /// # Errors
    ///
    /// What doesn't work, for people to read. The push is refused with it and nothing has changed.
    fn self_test(context: &Context) -> Result<(), String> {
        let _ = context;
        Ok(())
    }

    /// Called once in an engine's life, on the state of the module's first version, before that version serves: the
    /// place to make ready what the module needs, once it has its state. The modules that it
    /// requires (`Registration::requires` of the host's) are initialized by then. A later version isn't asked again: this belongs to
    /// the module, not to a version.
    ///
    /// # Errors
    ///
    /// A reason, for people to read. The push is refused with it, the state is dropped, and the next version that is
    /// pushed is asked instead.
    fn initialize(state: &mut Self::State, context: &Context) -> Result<(), String> {
        let _ = (state, context);
        Ok(())
    }

    /// Called once in an engine's life, when the module serves, and the modules that it requires have started. It has
    /// the state alone, as a method with `&mut self` has: calls wait meanwhile.
    ///
    /// # Errors
    ///
    /// A reason, for people to read. The module goes on serving, as one that is initialized and hasn't started; the next
    /// version that is published is asked again. One that returns after its deadline has failed, too: if it has succeeded,
    /// [`stop`](Self::stop) is called right after it.
    fn start(state: &mut Self::State, context: &Context) -> Result<(), String> {
        let _ = (state, context);
        Ok(())
    }

    /// Called when the engine ends, or the host stops the module, if it had started: in the reverse order of the starts.
    /// Nobody calls the module any more, and the modules that it requires still serve.
    ///
    /// It's called as well to take a [`start`](Self::start) back: if that comes too late, or the host starts several modules
    /// and one of them can't. Then the module goes on serving, and may be started again.
    fn stop(state: &mut Self::State, context: &Context) {
        let _ = (state, context);
    }

    /// This version has been published in the place of another: beside [`yielded`](Self::yielded), which the other one
    /// hears. The first version of a module takes nothing over, and isn't told; nor is one that takes over again by a
    /// rollback, which [resumes](Self::resume), unless it had to be loaded once more.
    fn took_over(context: &Context) {
        let _ = context;
    }

    /// Asked of the version that serves, when a successor is ready: can it hand over now? It goes on serving
    /// meanwhile. Afterwards it's told what has become of it: [`yielded`](Self::yielded) or [`resume`](Self::resume).
    ///
    /// It isn't asked before a rollback from it: a version that has failed has no say.
    ///
    /// # Errors
    ///
    /// A veto: why not now, for people to read. It's asked again a few times; then the push is refused, unless whoever
    /// pushes forces it.
    fn prepare_to_yield(context: &Context) -> Result<(), String> {
        let _ = context;
        Ok(())
    }

    /// The hand-over that this version has agreed to has happened: new calls enter its successor.
    fn yielded(context: &Context) {
        let _ = context;
    }

    /// This version serves on: the hand-over that it has agreed to was called off, or was rolled back.
    fn resume(context: &Context) {
        let _ = context;
    }

    /// Asked now and then while this version is on probation: does it do what it should? It shares the state as a
    /// method with `&self` does.
    ///
    /// # Errors
    ///
    /// What is wrong, for people to read. The version is rolled back with it.
    fn health(state: &Self::State, context: &Context) -> Result<(), String> {
        let _ = (state, context);
        Ok(())
    }

    /// Called once after the last call has left this version, if [`prepare`](Self::prepare) was called, whichever
    /// way that ended. The place to stop the threads that this version has started, and to take back what it has given
    /// to others: signal handlers, callbacks, buffers. (A thread pool of rayon's must be one of your own: its global one
    /// never ends.)
    ///
    /// It runs on a thread of its own. The version stays mapped until it returns, and until every thread that
    /// it has started has ended. A panic in it is logged, and is no more than a return.
    fn teardown(context: &Context) {
        let _ = context;
    }

    /// Called once after [`teardown`](Self::teardown), when all threads that this version has started have ended, and
    /// all others have run the destructors of its thread-locals. Afterwards only those of thread-locals that this hook
    /// touches still run, and the library's own.
    ///
    /// The place to free what its statics hold: Rust's statics have no destructors, so that memory is lost
    /// otherwise. A static of another crate's can be freed here too, if there is a way to it. What `crossbeam-epoch`
    /// keeps for all its users, rayon among them, some kilobytes for each thread:
    ///
    /// ```ignore
    /// // SAFETY: nothing uses the collector any more, nobody else drops it, and what was deferred doesn't pin.
    /// drop(unsafe { std::ptr::read(crossbeam_epoch::default_collector()) });
    /// ```
    ///
    /// It runs on a thread of its own, as `teardown` does.
    fn unload(context: &Context) {
        let _ = context;
    }
}
