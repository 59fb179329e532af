//! What a thread does inside a version: which call it is in, and whether it borrows the state. One word, so that both
//! are announced with one store.

/// Of nested calls, the inner one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Doing(usize);

const BORROWING: usize = 1;

impl Doing {
    /// It is between two calls of one guard, or outside.
    pub(crate) const NOTHING: Self = Self(0);

    /// It is in the method with this number.
    #[inline(always)]
    pub(crate) const fn calling(method: usize) -> Self {
        Self((method + 1) << 1)
    }

    /// The same, and it borrows the state, shared or alone.
    #[inline(always)]
    pub(crate) const fn borrowing(self) -> Self {
        Self(self.0 | BORROWING)
    }

    /// The same, and it goes on borrowing the state if `outer` does.
    pub(crate) const fn within(self, outer: Self) -> Self {
        Self(self.0 | outer.0 & BORROWING)
    }

    pub(crate) const fn is_borrowing(self) -> bool {
        self.0 & BORROWING != 0
    }

    /// The number of the method.
    pub(crate) fn method(self) -> Option<usize> {
        (self.0 >> 1).checked_sub(1)
    }

    #[inline(always)]
    pub(super) const fn to_word(self) -> usize {
        self.0
    }

    #[inline(always)]
    pub(super) const fn of_word(word: usize) -> Self {
        Self(word)
    }
}
