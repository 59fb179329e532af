//! Answers of two versions to the same calls, and whether they agree.
//!
//! An answer counts for what its canonical bytes are. No disagreement is what a version doesn't agree on with itself: a
//! method may answer in the order of a hash map, or with the time. So each disagreement is doubted: the calls are made
//! again on both versions, on fresh copies, and a method that answers otherwise than before isn't compared any more.
//!
//! A panic is no answer. Where the active version panics, there is nothing to compare with, and a version that panics
//! in its place or answers is as good; what panics only in the candidate is a disagreement, even if it doesn't each
//! time.

use std::collections::BTreeMap;
use std::fmt;

use liveswap_state::{CodecError, Fenced};
use xxhash_rust::xxh3::xxh3_128;

/// How many bytes of arguments and answers are shown.
const SHOWN_MAX: usize = 32;

/// A recorded call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) arguments: Vec<u8>,
}

/// What a call has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its result's bytes, as far as that is needed to compare and to show them.
    Given {
        hash: u128,
        length: usize,
        start: Vec<u8>,
    },
    Panicked {
        message: String,
        location: String,
    },
    /// It wasn't made, or its result has no bytes.
    Impossible(CodecError),
}

impl Answer {
    pub(super) fn of(answer: Fenced<Result<Vec<u8>, CodecError>>) -> Self {
        match answer {
            Ok(Ok(bytes)) => {
                let start = bytes[..bytes.len().min(SHOWN_MAX)].to_vec();
                Self::Given { hash: xxh3_128(&bytes), length: bytes.len(), start }
            }
            Ok(Err(error)) => Self::Impossible(error),
            Err(panic) => Self::Panicked { message: panic.message, location: panic.location },
        }
    }

    fn is_given(&self) -> bool {
        matches!(self, Self::Given { .. })
    }

    fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked { .. })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given { length, start, .. } => formatter.write_str(&shown(start, *length)),
            Self::Panicked { message, location } => write!(formatter, "a panic at {location}: {message}"),
            Self::Impossible(error) => error.fmt(formatter),
        }
    }
}

/// Bytes for people to read: the first ones, and how many there are.
pub(super) fn shown(bytes: &[u8], length: usize) -> String {
    let digits: String = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect();
    let more = if length > SHOWN_MAX { "…" } else { "" };
    format!("0x{digits}{more} ({length} bytes)")
}

/// What two versions answer.
#[derive(Debug)]
pub(super) struct Comparison<'calls> {
    pub(super) calls: &'calls [Call],
    /// What the active version has answered to each.
    pub(super) expected: Vec<Answer>,
    /// And the candidate.
    pub(super) found: Vec<Answer>,
    only_panics: bool,
    /// The methods that don't answer in the same way each time, with the reason.
    pub(super) varying: BTreeMap<String, String>,
}

impl<'calls> Comparison<'calls> {
    pub(super) fn new(
        calls: &'calls [Call],
        expected: Vec<Answer>,
        found: Vec<Answer>,
        only_panics: bool,
    ) -> Self {
        Self { calls, expected, found, only_panics, varying: BTreeMap::new() }
    }

    /// The active version was called again.
    pub(super) fn expect_again(&mut self, answers: &[Answer]) {
        for (place, answer) in answers.iter().enumerate() {
            let before = &self.expected[place];
            let varies =
                if self.only_panics { before.is_panic() != answer.is_panic() } else { before != answer };
            if varies {
                self.vary(place, "the active version doesn't answer in the same way each time");
            }
        }
    }

    /// The candidate was called again.
    pub(super) fn find_again(&mut self, answers: Vec<Answer>) {
        for (place, answer) in answers.into_iter().enumerate() {
            let before = &self.found[place];
            if before.is_panic() || *before == answer {
                continue;
            }
            if answer.is_panic() {
                self.found[place] = answer;
            } else if !self.only_panics {
                self.vary(place, "the candidate doesn't answer in the same way each time");
            }
        }
    }

    fn vary(&mut self, place: usize, why: &str) {
        self.varying.insert(self.calls[place].method.clone(), why.to_owned());
    }

    fn is_compared(&self, place: usize) -> bool {
        self.expected[place].is_given() && !self.varying.contains_key(&self.calls[place].method)
    }

    /// The first call in which the two don't agree.
    pub(super) fn disagreement(&self) -> Option<usize> {
        (0..self.calls.len()).filter(|place| self.is_compared(*place)).find(|place| {
            let (expected, found) = (&self.expected[*place], &self.found[*place]);
            if self.only_panics { found.is_panic() } else { found != expected }
        })
    }

    /// To how many calls the answers were compared.
    pub(super) fn compared(&self) -> u64 {
        (0..self.calls.len()).filter(|place| self.is_compared(*place)).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use liveswap_state::fence::Panic;

    use super::*;

    fn calls(methods: &[&str]) -> Vec<Call> {
        methods.iter().map(|&method| Call { method: method.to_owned(), arguments: Vec::new() }).collect()
    }

    fn given(bytes: &[u8]) -> Answer {
        Answer::of(Ok(Ok(bytes.to_vec())))
    }

    fn panicked() -> Answer {
        Answer::of(Err(Box::new(Panic { message: "no".to_owned(), location: "here".to_owned() })))
    }

    #[test]
    fn equal_bytes_agree_and_others_do_not() {
        let calls = calls(&["a", "b"]);
        let same = vec![given(b"1"), given(b"2")];
        let agreed = Comparison::new(&calls, same.clone(), same.clone(), false);
        assert_eq!((agreed.disagreement(), agreed.compared()), (None, 2));
        let differs = Comparison::new(&calls, same.clone(), vec![given(b"1"), given(b"3")], false);
        assert_eq!(differs.disagreement(), Some(1));
        assert_eq!(Comparison::new(&calls, same, differs.found, true).disagreement(), None);
    }

    #[test]
    fn a_panic_is_a_disagreement_only_where_there_was_an_answer() {
        let calls = calls(&["a", "b"]);
        for only_panics in [true, false] {
            let both = vec![given(b"1"), panicked()];
            let mended = Comparison::new(&calls, both.clone(), vec![given(b"1"), given(b"2")], only_panics);
            assert_eq!((mended.disagreement(), mended.compared()), (None, 1));
            let broken = Comparison::new(&calls, both, vec![panicked(), panicked()], only_panics);
            assert_eq!(broken.disagreement(), Some(0));
        }
    }

    #[test]
    fn what_a_version_does_not_agree_on_with_itself_is_not_compared() {
        let calls = calls(&["a", "b", "a"]);
        let expected = vec![given(b"1"), given(b"2"), given(b"3")];
        let found = vec![given(b"x"), given(b"y"), given(b"z")];
        let mut comparison = Comparison::new(&calls, expected.clone(), found.clone(), false);
        comparison.expect_again(&[given(b"1"), given(b"2"), given(b"4")]);
        assert_eq!(comparison.disagreement(), Some(1), "`a` varies");
        comparison.find_again(found.clone());
        assert_eq!(comparison.disagreement(), Some(1));
        comparison.find_again(vec![given(b"x"), given(b"2"), given(b"z")]);
        assert_eq!((comparison.disagreement(), comparison.compared()), (None, 0));
        assert_eq!(comparison.varying.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_panic_now_and_then_stays_one() {
        let calls = calls(&["a"]);
        for only_panics in [true, false] {
            let mut comparison = Comparison::new(&calls, vec![given(b"1")], vec![given(b"2")], only_panics);
            comparison.find_again(vec![panicked()]);
            comparison.find_again(vec![given(b"1")]);
            assert_eq!(comparison.disagreement(), Some(0));
        }
    }

    #[test]
    fn what_is_shown_is_bounded() {
        assert_eq!(given(&[1, 0xff]).to_string(), "0x01ff (2 bytes)");
        let long = given(&[7; 1000]).to_string();
        assert!(long.len() < 100 && long.ends_with("… (1000 bytes)"), "{long}");
    }
}
