//! What logic puts out, and where it goes: to a function of the host's, or to the standard output.

use std::io::{self, Write};
use std::sync::{Arc, RwLock};

use liveswap_state::{Context, OutputSink};

use crate::lock::{read, write};
use crate::tell::tell;

/// Text that logic has put out, with whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Output<'call> {
    /// The module.
    pub module: &'call str,
    /// Its version, as the manifest states it.
    pub version: &'call str,
    /// The text, without a line break at its end unless logic has put one there.
    pub text: &'call str,
}

/// Gives it on. The contexts of versions have this, and they may outlive the engine; the host's function doesn't.
#[derive(Clone, Default)]
pub(crate) struct Outputs(Arc<RwLock<Destination>>);

#[derive(Default)]
enum Destination {
    #[default]
    StandardOutput,
    Function(Arc<dyn Fn(&Output<'_>) + Send + Sync>),
    /// The engine has ended, and the function with it.
    Nowhere,
}

impl Outputs {
    pub(crate) fn new(function: impl Fn(&Output<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(RwLock::new(Destination::Function(Arc::new(function)))))
    }

    /// The engine has ended: the host's function is dropped, if it has given one.
    pub(crate) fn close(&self) {
        let mut destination = write(&self.0);
        if matches!(*destination, Destination::Function(_)) {
            let function = std::mem::replace(&mut *destination, Destination::Nowhere);
            drop(destination);
            // What it holds is the host's own.
            tell(|| drop(function));
        }
    }
}

impl OutputSink for Outputs {
    fn put(&self, context: &Context, text: &str) {
        let output = Output { module: context.module(), version: context.version(), text };
        let function = match &*read(&self.0) {
            Destination::StandardOutput => None,
            Destination::Function(function) => Some(function.clone()),
            Destination::Nowhere => return,
        };
        // A panic of the host's function must not unwind into the library, which has its own copy of the runtime.
        tell(|| match function {
            Some(function) => function(&output),
            None => {
                // In one go and under one lock, so that nothing comes in between. Where nobody reads it any more, logic
                // can't do anything about that either.
                let _ = io::stdout().lock().write_all(lines(&output).as_bytes());
            }
        });
    }
}

/// Each of its lines with the module's name.
fn lines(output: &Output<'_>) -> String {
    let Output { module, text, .. } = output;
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.split('\n').map(|line| format!("[{module}] {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_begins_with_the_modules_name() {
        let written = |text| lines(&Output { module: "logic", version: "1001", text });
        assert_eq!(written("hello"), "[logic] hello\n");
        assert_eq!(written("hello\n"), "[logic] hello\n");
        assert_eq!(written("one\n\ntwo\n"), "[logic] one\n[logic] \n[logic] two\n");
        assert_eq!(written(""), "[logic] \n");
    }

    #[test]
    fn a_panic_of_the_hosts_function_ends_here() {
        let outputs = Outputs::new(|output| panic!("{}", output.text));
        outputs.put(&Context::new("logic", "1001"), "the host's own fault");
    }

    #[test]
    fn the_hosts_function_is_dropped_when_the_engine_has_ended() {
        let (held, context) = (Arc::new(()), Context::new("logic", "1001"));
        let holding = held.clone();
        let outputs = Outputs::new(move |output| {
            assert_eq!((output.text, Arc::strong_count(&holding)), ("in time", 2))
        });
        let kept = outputs.clone();
        kept.put(&context, "in time");
        outputs.close();
        kept.put(&context, "late");
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
