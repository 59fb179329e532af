//! The panic fence: a panic in logic is caught inside the library and leaves it as plain data.
//!
//! Unwinding must not cross from one library into another: the two have their own copies of the runtime,
//! and the payload (a `Box<dyn Any>`) points to code that may be unmapped before it is dropped. So each
//! exported function runs within [`fence`], which copies the message and drops the payload on the
//! library's side.

use std::any::Any;
use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

/// What is left of a panic: text, owned by whoever receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// The panic's message, or a remark that its payload wasn't text.
    pub message: String,
    /// `file:line:column`, or `unknown place` where the library's panic hook was replaced.
    pub location: String,
}

/// The result of fenced code. Boxed, so that the good case stays as small as its value.
pub type Fenced<R> = Result<R, Box<Panic>>;

/// A panic's place, kept in a thread-local without a destructor: one with a destructor would register
/// itself with the C library and pin the library that it belongs to.
#[derive(Clone, Copy)]
struct Place {
    file: [u8; Place::FILE_MAX],
    length: usize,
    line: u32,
    column: u32,
}

impl Place {
    /// The end of a longer path is what tells files apart, so that is what is kept.
    const FILE_MAX: usize = 104;
}

thread_local! {
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Runs `body`; a panic in it comes back as a [`Panic`].
#[inline]
pub fn fence<R>(body: impl FnOnce() -> R) -> Fenced<R> {
    // The state behind the references may be left half changed; that is the caller's to judge, so
    // asserting unwind safety hides nothing from it.
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Ok(result),
        Err(payload) => Err(describe(payload)),
    }
}

/// Remembers where this thread panics, for the fence that is about to catch it. For the panic hook.
pub fn record_location(location: &panic::Location<'_>) {
    let path = location.file().as_bytes();
    let kept = &path[path.len().saturating_sub(Place::FILE_MAX)..];
    let mut file = [0; Place::FILE_MAX];
    file[..kept.len()].copy_from_slice(kept);
    PLACE.set(Some(Place { file, length: kept.len(), line: location.line(), column: location.column() }));
}

/// A panic's message, if its payload is text.
pub fn message(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        text
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text
    } else {
        "a payload that isn't text"
    }
}

#[cold]
fn describe(payload: Box<dyn Any + Send>) -> Box<Panic> {
    let message = message(&*payload).to_owned();
    // A payload may panic when it is dropped. Then it is leaked: there is no one left to tell.
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
    let location = PLACE.take().map_or_else(
        || "unknown place".to_owned(),
        |place| {
            let file = String::from_utf8_lossy(&place.file[..place.length]);
            format!("{file}:{}:{}", place.line, place.column)
        },
    );
    Box::new(Panic { message, location })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_passes_through() {
        assert_eq!(fence(|| 7), Ok(7));
    }

    #[test]
    fn a_panic_becomes_its_message() {
        let message = |body: fn()| fence(body).unwrap_err().message;
        assert_eq!(message(|| panic!("plain")), "plain");
        assert_eq!(message(|| panic!("formatted {}", 1)), "formatted 1");
        assert_eq!(message(|| panic::panic_any(7_u8)), "a payload that isn't text");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        struct Spiteful;
        impl Drop for Spiteful {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert!(fence(|| panic::panic_any(Spiteful)).is_err());
    }
}
