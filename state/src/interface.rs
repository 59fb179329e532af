//! Interfaces: what the host may call and logic must offer, as one trait with `#[interface]`.
//!
//! For a trait `Game`, `#[interface]` writes four things beside it:
//!
//! - `GameLogic`, the trait that logic implements: the same methods, each with the state and a
//!   [`Context`](crate::Context) in front;
//! - `GameProxy`, what the host calls: the same methods, each returning `Result<_, CallError>`;
//! - `GameSpawn`, what logic has the host call later: the methods whose arguments are all owned;
//! - `impl Interface for dyn Game`, which ties the three together under one name.
//!
//! **How a call crosses.** Arguments and results are Rust values, passed in registers as in any call.
//! The proxy casts a code pointer to the method's real function type and calls it. That is sound because
//! both ends of the cast are written by the same macro, and because the engine compares the methods'
//! fingerprints (names, types, layouts, compiler) before it accepts the library that the pointer is from.
//!
//! **How a call is made again.** A host may [record](Gate::is_recording) the arguments of some calls as bytes, and have
//! them made again in another process, by a [`Replay`] that the macro writes for each method: that is how a version is
//! tried before it serves.
//!
//! A method's receiver says what it does to the state: `&self` shares it with other calls, `&mut self`
//! has it alone, and no receiver means it doesn't touch the state and waits for nobody.

use std::fmt;
use std::marker::PhantomData;

use crate::fingerprint::COMPILER;
use crate::spawn::{Enter, Job};
use crate::{CallError, CodecError, Context, Encoder, Fenced, Fingerprint, Logic, State, When};

/// What a method does to the state, and so which calls may run beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// No receiver: the state isn't touched.
    Stateless,
    /// `&self`: runs beside other shared and stateless calls.
    Shared,
    /// `&mut self`: runs alone, but for stateless calls.
    Exclusive,
}

/// How an argument is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// By value; it belongs to logic from then on.
    Owned,
    /// `&T`, for the length of the call.
    Borrowed,
    /// `&mut T`, for the length of the call.
    BorrowedMut,
}

/// A method of an interface: enough to know whether two sides mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The method's name.
    pub name: &'static str,
    /// What the method does to the state.
    pub access: Access,
    /// The hash of the signature.
    pub fingerprint: Fingerprint,
}

impl MethodSpec {
    /// Whether a call can be made again from the bytes of its arguments, and its answer be compared.
    pub const fn is_replayable(&self) -> bool {
        self.fingerprint.is_replayable()
    }
}

/// Builds a method's fingerprint piece by piece, while compiling. Used by `#[interface]`.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Signature {
    name: &'static str,
    access: Access,
    fingerprint: Fingerprint,
}

impl Signature {
    pub const fn new(name: &'static str, access: Access) -> Self {
        let fingerprint = Fingerprint::of(COMPILER).with_name(name).with_number(access as usize);
        Self { name, access, fingerprint }
    }

    pub const fn argument<T: State + ?Sized>(self, passing: Passing) -> Self {
        let fingerprint = self.fingerprint.with_number(passing as usize).with(T::FINGERPRINT);
        Self { fingerprint, ..self }
    }

    pub const fn returns<T: State>(self) -> MethodSpec {
        let fingerprint = self.fingerprint.with_name("->").with(T::FINGERPRINT);
        MethodSpec { name: self.name, access: self.access, fingerprint }
    }
}

/// The address of a method's code. What function type it has, its [`MethodSpec`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct CodePointer(pub *const ());

// SAFETY: an address of code; it can be copied to and called from any thread.
unsafe impl Send for CodePointer {}
// SAFETY: as above; it has no interior to share.
unsafe impl Sync for CodePointer {}

/// Makes one call from the bytes of its arguments. Gives the bytes of its result, with those of the arguments that it
/// was lent to change behind them: the same ones for equal answers.
///
/// # Safety
///
/// The address is of a state of the library's type, borrowed as the method's access says, or is not looked at.
pub type Replay = unsafe fn(*mut (), &Context, &[u8]) -> Fenced<Result<Vec<u8>, CodecError>>;

/// What an argument is made of that was written down: itself, or what owns it. Used by `#[interface]`.
#[doc(hidden)]
pub trait Replayed: State {
    type Owned: State;

    fn lend(owned: &Self::Owned) -> &Self;
    fn lend_mut(owned: &mut Self::Owned) -> &mut Self;
}

impl<T: State> Replayed for T {
    type Owned = T;

    fn lend(owned: &T) -> &T {
        owned
    }

    fn lend_mut(owned: &mut T) -> &mut T {
        owned
    }
}

impl Replayed for str {
    type Owned = String;

    fn lend(owned: &String) -> &str {
        owned
    }

    fn lend_mut(owned: &mut String) -> &mut str {
        owned
    }
}

impl<T: State> Replayed for [T] {
    type Owned = Vec<T>;

    fn lend(owned: &Vec<T>) -> &[T] {
        owned
    }

    fn lend_mut(owned: &mut Vec<T>) -> &mut [T] {
        owned
    }
}

/// An interface, by the name of its trait object: `dyn Game`.
///
/// # Safety
///
/// Written by `#[interface]` alone: [`METHODS`](Interface::METHODS), the casts inside
/// [`Proxy`](Interface::Proxy), and the tuples that [`Spawn`](Interface::Spawn) makes and
/// [`job`](Interface::job) takes apart must agree method by method.
pub unsafe trait Interface: 'static {
    /// The trait's name.
    const NAME: &'static str;
    /// The methods, in the order in which the proxy numbers them.
    const METHODS: &'static [MethodSpec];
    /// What the host calls.
    type Proxy<G: Gate>;
    /// A proxy whose calls go through `passage`.
    fn proxy<G: Gate>(passage: Passage<Self, G>) -> Self::Proxy<G>;
    /// What logic spawns calls through.
    type Spawn<'context, W: When>;
    /// What spawns through the host of `context`, to run `when`; see [`Context::spawn`].
    fn spawn<W: When>(context: &Context, when: W) -> Self::Spawn<'_, W>;
    /// The call of the method with this number, to be made through `module`.
    ///
    /// # Safety
    ///
    /// `arguments` comes from `Box::into_raw` of the tuple of that method's arguments, all of which are
    /// owned, and isn't used any more.
    #[doc(hidden)]
    unsafe fn job<E: Enter<Self>>(method: usize, arguments: *mut (), module: E) -> Job;
}

/// The way from a proxy into the code of one version: lets the call in when the state allows it, and
/// turns a fenced panic into a [`CallError`].
///
/// # Safety
///
/// `pass` must hand `call` the code of the method with this number in the one interface that the gate leads
/// to (which one, the [`Passage`] says that it is put into), and the state that code was made for, borrowed
/// as `access` says; all three stay valid and the library stays mapped until `call` has returned.
pub unsafe trait Gate {
    /// Makes one call.
    ///
    /// # Errors
    ///
    /// A panic in logic, or a call that can't share the state with one this thread is already in.
    ///
    /// # Safety
    ///
    /// `method` is the number of a method in that interface, and `access` is its access. `call` doesn't unwind.
    unsafe fn pass<R: State>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError>;

    /// Whether the arguments of the call that is about to be made are to be [recorded](Self::record).
    #[inline(always)]
    fn is_recording(&self) -> bool {
        false
    }

    /// Keeps the arguments of a call of the method with this number, which `encode` writes down.
    fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        let _ = (method, encode);
    }
}

/// What a proxy of the interface `I` calls through: a gate that leads to the code of `I` and of no other.
///
/// A proxy casts each code pointer that it is given, so which interface a gate leads to must not get lost.
pub struct Passage<I: ?Sized, G> {
    gate: G,
    interface: PhantomData<fn(&I)>,
}

impl<I: ?Sized, G: Gate> Passage<I, G> {
    /// The passage through `gate`.
    ///
    /// # Safety
    ///
    /// `gate` leads to the code of a version that offers `I`: of methods with the fingerprints in
    /// [`Interface::METHODS`], in that order.
    #[inline]
    pub const unsafe fn new(gate: G) -> Self {
        Self { gate, interface: PhantomData }
    }

    /// Makes one call of the method with this number in `I`.
    ///
    /// # Errors
    ///
    /// As [`Gate::pass`].
    ///
    /// # Safety
    ///
    /// As [`Gate::pass`].
    #[inline(always)]
    pub unsafe fn pass<R: State>(
        &self,
        method: usize,
        access: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        // SAFETY: the gate leads to the code of `I`; the rest is the caller's.
        unsafe { self.gate.pass(method, access, call) }
    }
}

impl<I: Interface + ?Sized, G: Gate> Passage<I, G> {
    /// Whether the arguments of the call of the method with this number that is about to be made are to be recorded.
    #[doc(hidden)]
    #[inline(always)]
    pub fn is_recording(&self, method: usize) -> bool {
        I::METHODS[method].is_replayable() && self.gate.is_recording()
    }

    /// As [`Gate::record`].
    #[doc(hidden)]
    #[cold]
    #[inline(never)]
    pub fn record(&self, method: usize, encode: impl FnOnce(&mut Encoder)) {
        self.gate.record(method, encode);
    }
}

impl<I: ?Sized, G: fmt::Debug> fmt::Debug for Passage<I, G> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.gate.fmt(formatter)
    }
}

/// The code that the logic `L` brings for this interface. Implemented by `#[interface]` for all logic at once,
/// so that no logic can bring a list of its own making.
///
/// # Safety
///
/// `CODE[i]` has the function type that the interface's proxy casts method `i` to, and works on `L`'s state; so does
/// `REPLAY[i]`.
#[doc(hidden)]
pub unsafe trait OfferedBy<L: Logic>: Interface {
    const CODE: &'static [CodePointer];
    const REPLAY: &'static [Replay];
}

/// What `export!` takes from `GameLogic`: the code of the logic `L` for the interface `I`. Logic could put
/// another one in its place, but there is no other of this type.
#[doc(hidden)]
pub struct Export<L, I: ?Sized> {
    code: &'static [CodePointer],
    replay: &'static [Replay],
    _logic_and_interface: PhantomData<fn(L, &I)>,
}

impl<L: Logic, I: ?Sized> Export<L, I> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self
    where
        I: OfferedBy<L>,
    {
        Self { code: I::CODE, replay: I::REPLAY, _logic_and_interface: PhantomData }
    }

    /// The methods' code, in the order of the interface.
    pub const fn code(&self) -> &'static [CodePointer] {
        self.code
    }

    /// What makes a call again from the bytes of its arguments, in the same order.
    pub const fn replay(&self) -> &'static [Replay] {
        self.replay
    }
}
