//! No name of the user's means anything but what it means to the user.

use liveswap_state::{
    Access, CallError, CodePointer, Context, Fenced, Gate, Interface, OfferedBy, Passage, SpawnError, State,
};

mod api {
    macro_rules! messages {
        ($($name:ident),*) => {$(
            #[derive(::liveswap_state::State, Debug, PartialEq)]
            pub struct $name(pub bool);
        )*};
    }

    messages!(Gate, Logic, Passage, Interface, Fenced, Context, CallError, State, Export);
    messages!(Result, Option, Send, Sync, Sized, Debug, Box, Enter, Job, SpawnError);

    #[liveswap_state::interface]
    pub trait Castle {
        fn open(&self, gate: Gate, code: Logic, passage: Passage, method: Context, call: Fenced) -> Gate;
        fn create(&mut self, option: Option, result: Result, send: Send) -> Interface;
        fn prepare(sized: Sized, interface: Interface, export: Export) -> Result;
        fn proxy(&self) -> Logic;
        fn new(&self, debug: Debug) -> Option;
        fn pass(code: CallError) -> State;
        fn spawn(boxed: Box, module: Enter, arguments: SpawnError) -> Job;
        fn job(&self);
        fn from(&self, hand_over: Job);
    }
}

use api::CastleLogic;

struct CastleV1;

impl liveswap_state::Logic for CastleV1 {
    type State = u64;

    fn create(_: &Context) -> u64 {
        0
    }
}

impl CastleLogic for CastleV1 {
    fn open(
        _: &u64,
        _: &Context,
        gate: api::Gate,
        code: api::Logic,
        _: api::Passage,
        _: api::Context,
        _: api::Fenced,
    ) -> api::Gate {
        api::Gate(gate.0 && code.0)
    }

    fn create(
        calls: &mut u64,
        _: &Context,
        option: api::Option,
        _: api::Result,
        _: api::Send,
    ) -> api::Interface {
        *calls += 1;
        api::Interface(option.0)
    }

    fn prepare(_: &Context, sized: api::Sized, _: api::Interface, _: api::Export) -> api::Result {
        api::Result(sized.0)
    }

    fn proxy(calls: &u64, _: &Context) -> api::Logic {
        api::Logic(*calls == 1)
    }

    fn new(_: &u64, _: &Context, debug: api::Debug) -> api::Option {
        api::Option(debug.0)
    }

    fn pass(_: &Context, code: api::CallError) -> api::State {
        api::State(code.0)
    }

    fn spawn(_: &Context, boxed: api::Box, _: api::Enter, _: api::SpawnError) -> api::Job {
        api::Job(boxed.0)
    }

    fn job(_: &u64, _: &Context) {}

    fn from(_: &u64, _: &Context, _: api::Job) {}
}

/// Leads to `CastleV1`, whose state it is the address of.
struct Direct(*mut u64);

// SAFETY: the code is that of `CastleV1`, and nothing else borrows the state.
unsafe impl Gate for Direct {
    unsafe fn pass<R: State>(
        &self,
        method: usize,
        _: Access,
        call: impl FnOnce(CodePointer, *mut (), &Context) -> Fenced<R>,
    ) -> Result<R, CallError> {
        let code = <dyn api::Castle as OfferedBy<CastleV1>>::CODE[method];
        Ok(call(code, self.0.cast(), &Context::new("logic", "1001")).expect("it doesn't panic"))
    }
}

fn main() {
    let mut calls = 0;
    // SAFETY: `Direct` leads to the code of `Castle`.
    let castle = <dyn api::Castle as Interface>::proxy(unsafe { Passage::new(Direct(&mut calls)) });

    let gate = castle.open(
        api::Gate(true),
        api::Logic(true),
        api::Passage(false),
        api::Context(false),
        api::Fenced(false),
    );
    assert_eq!(gate, Ok(api::Gate(true)));
    let interface = castle.create(api::Option(true), api::Result(false), api::Send(false));
    assert_eq!(interface, Ok(api::Interface(true)));
    let result = castle.prepare(api::Sized(true), api::Interface(false), api::Export(false));
    assert_eq!(result, Ok(api::Result(true)));
    assert_eq!(castle.proxy(), Ok(api::Logic(true)));
    assert_eq!(castle.new(api::Debug(true)), Ok(api::Option(true)));
    assert_eq!(castle.pass(api::CallError(true)), Ok(api::State(true)));
    let job = castle.spawn(api::Box(true), api::Enter(false), api::SpawnError(false));
    assert_eq!(job, Ok(api::Job(true)));
    assert_eq!(castle.job(), Ok(()));
    assert_eq!(castle.from(api::Job(true)), Ok(()));

    let context = Context::new("logic", "1001");
    let spawn = context.spawn::<dyn api::Castle>();
    let no_host = |method: &str| Err(SpawnError::NoHost { method: method.to_owned() });
    let spawned = spawn.spawn(api::Box(true), api::Enter(false), api::SpawnError(false));
    assert_eq!(spawned, no_host("spawn"));
    assert_eq!(spawn.job(), no_host("job"));
    assert_eq!(spawn.from(api::Job(true)), no_host("from"));
}
