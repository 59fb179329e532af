//! Pages: values in blocks of memory that are all of one size, whatever type they are of.
//!
//! A migration replaces each value by one of another size. Tables that grow with their values would each need a block
//! that none of those fits into which are given back, and the process would end up with memory for both. A page that is
//! empty takes the new values, whichever thread it is that migrates: an allocator with arenas would keep what one
//! thread gives back from another.

use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// As much as the system's own pages have, and as allocators deal with well.
const PAGE: usize = 4096;

/// Values by their places, without gaps.
pub(super) struct Pages<T> {
    pages: Vec<NonNull<T>>,
    length: usize,
    values: PhantomData<T>,
}

// SAFETY: it owns its values.
unsafe impl<T: Send> Send for Pages<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Pages<T> {}

impl<T> Pages<T> {
    /// How many values a page holds: one, if they are larger than that.
    const PER_PAGE: usize = match size_of::<T>() {
        0 => PAGE,
        size if size > PAGE => 1,
        size => PAGE / size,
    };

    const LAYOUT: Layout = {
        let size = if size_of::<T>() > PAGE { size_of::<T>() } else { PAGE };
        // What is aligned further than anything that a state holds would be taken for the library's own.
        let alignment = if align_of::<T>() > 16 { align_of::<T>() } else { 16 };
        match Layout::from_size_align(size, alignment) {
            Ok(layout) => layout,
            Err(_) => panic!("a value is larger than memory"),
        }
    };

    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), length: 0, values: PhantomData }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Where a place is in memory. Its page must be there.
    fn address(&self, place: usize) -> NonNull<T> {
        let page = self.pages[place / Self::PER_PAGE];
        // SAFETY: a page has room for so many values.
        unsafe { page.add(place % Self::PER_PAGE) }
    }

    pub(super) fn get(&self, place: usize) -> &T {
        assert!(place < self.length, "there is no value at {place} of {}", self.length);
        // SAFETY: all places before the length hold values.
        unsafe { self.address(place).as_ref() }
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut T {
        assert!(place < self.length, "there is no value at {place} of {}", self.length);
        // SAFETY: as above, and it's borrowed alone.
        unsafe { self.address(place).as_mut() }
    }

    pub(super) fn push(&mut self, value: T) {
        if self.is_full() {
            self.add_page();
        }
        // SAFETY: the place is in a page, and holds nothing.
        unsafe { self.address(self.length).write(value) };
        self.length += 1;
    }

    /// Takes the value at a place out. The last one takes the place.
    pub(super) fn swap_remove(&mut self, place: usize) -> T {
        let last = self.length - 1;
        assert!(place <= last, "there is no value at {place} of {}", self.length);
        // SAFETY: both places hold values; the last one is given up with the length.
        let value = unsafe {
            let (hole, last) = (self.address(place), self.address(last));
            let value = hole.read();
            if hole != last {
                hole.copy_from_nonoverlapping(last, 1);
            }
            value
        };
        self.length = last;
        // One page more than is used is kept: the next insertion may need it.
        if self.pages.len() > self.length.div_ceil(Self::PER_PAGE) + 1
            && let Some(page) = self.pages.pop()
        {
            free(page);
        }
        value
    }

    /// Makes another value of each, in the memory that they are in, as far as it goes. On an error, all are gone.
    pub(super) fn convert<New, E>(
        self,
        mut convert: impl FnMut(T) -> Result<New, E>,
    ) -> Result<Pages<New>, E> {
        let (mut old, mut new, mut fresh) = (self.into_iter(), Pages::<New>::new(), Vec::new());
        old.keeps = Self::LAYOUT == Pages::<New>::LAYOUT;
        while let Some(value) = old.next() {
            if new.is_full() {
                match old.kept.pop() {
                    Some(page) => new.pages.push(page.cast()),
                    None => {
                        fresh.push(new.pages.len());
                        new.add_page();
                    }
                }
            }
            new.push(convert(value)?);
        }
        // No page was empty yet when these were needed. They go back to where they have just come from.
        for (place, page) in fresh.into_iter().zip(std::iter::from_fn(|| old.kept.pop())) {
            let page = std::mem::replace(&mut new.pages[place], page.cast());
            let (from, to) = (page.cast::<MaybeUninit<u8>>(), new.pages[place].cast());
            // SAFETY: both are pages of the same length, and what is in the one is moved to the other.
            unsafe { from.copy_to_nonoverlapping(to, Self::LAYOUT.size()) };
            free(page);
        }
        Ok(new)
    }

    fn is_full(&self) -> bool {
        self.length == self.pages.len() * Self::PER_PAGE
    }

    fn add_page(&mut self) {
        // SAFETY: the layout has a size.
        let page = unsafe { alloc::alloc(Self::LAYOUT) };
        let Some(page) = NonNull::new(page.cast()) else { alloc::handle_alloc_error(Self::LAYOUT) };
        self.pages.push(page);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        (0..self.length).map(|place| self.get(place))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let Self { pages, length, .. } = self;
        // SAFETY: all places before the length hold values; each is given out once, for as long as all are borrowed.
        (0..*length)
            .map(|place| unsafe { pages[place / Self::PER_PAGE].add(place % Self::PER_PAGE).as_mut() })
    }
}

/// Gives a page back.
fn free<T>(page: NonNull<T>) {
    // SAFETY: it was allocated with this layout, and is forgotten by who had it.
    unsafe { alloc::dealloc(page.as_ptr().cast(), Pages::<T>::LAYOUT) };
}

impl<T> Drop for Pages<T> {
    fn drop(&mut self) {
        if !self.pages.is_empty() {
            drop(std::mem::replace(self, Self::new()).into_iter());
        }
    }
}

impl<T> IntoIterator for Pages<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(mut self) -> IntoIter<T> {
        let (pages, length) = (std::mem::take(&mut self.pages), std::mem::take(&mut self.length));
        let (kept, keeps) = (Vec::new(), false);
        IntoIter { pages, emptied: 0, next: 0, length, kept, keeps, values: PhantomData }
    }
}

/// Gives the values in order, and each page back once it's empty.
pub(super) struct IntoIter<T> {
    pages: Vec<NonNull<T>>,
    /// How many of them are empty.
    emptied: usize,
    next: usize,
    length: usize,
    /// Empty pages that somebody else will use.
    kept: Vec<NonNull<T>>,
    keeps: bool,
    values: PhantomData<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if self.next == self.length {
            return None;
        }
        let (page, place) = (self.pages[self.emptied], self.next % Pages::<T>::PER_PAGE);
        // SAFETY: all places before the length hold values; each is read once.
        let value = unsafe { page.add(place).read() };
        self.next += 1;
        if place + 1 == Pages::<T>::PER_PAGE {
            self.emptied += 1;
            if self.keeps { self.kept.push(page) } else { free(page) }
        }
        Some(value)
    }
}

impl<T> Drop for IntoIter<T> {
    fn drop(&mut self) {
        // If a destructor panics, what comes after it is leaked.
        self.by_ref().for_each(drop);
        let pages = self.pages[self.emptied..].iter().chain(&self.kept);
        pages.for_each(|page| free(*page));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn values_of_any_size_are_kept_in_their_places() {
        fn check<T: Clone + PartialEq + std::fmt::Debug>(make: impl Fn(usize) -> T) {
            let mut pages = Pages::new();
            (0..10_000).for_each(|number| pages.push(make(number)));
            assert!((0..10_000).all(|number| *pages.get(number) == make(number)));
            assert_eq!(pages.swap_remove(5), make(5));
            assert_eq!((pages.get(5), pages.len()), (&make(9_999), 9_999));
            pages.iter_mut().for_each(|value| *value = make(7));
            assert!(pages.iter().all(|value| *value == make(7)));
            assert_eq!(pages.into_iter().count(), 9_999);
        }
        check(|_| ());
        check(|number| number as u8);
        check(|number| number.to_string());
        check(|number| [number; 700]);
    }

    #[test]
    fn values_are_converted_where_they_are() {
        let convert = |count: u64| {
            let mut pages = Pages::new();
            (0..count).for_each(|number| pages.push(number));
            pages.convert(|number| Ok::<_, ()>([number, number + 1])).unwrap()
        };
        for count in [0, 1, 511, 512, 513, 5_000] {
            let converted = convert(count);
            assert!(converted.iter().copied().eq((0..count).map(|number| [number, number + 1])));
            assert_eq!(converted.pages.len() as u64, count.div_ceil(256));
        }
        let counted = Arc::new(());
        let mut pages = Pages::new();
        (0..1_000).for_each(|_| pages.push(counted.clone()));
        let mut left = 700;
        let stopped = pages.convert(|value| {
            left -= 1;
            if left == 0 { Err(()) } else { Ok((value, 7_u64)) }
        });
        assert!(stopped.is_err());
        assert_eq!(Arc::strong_count(&counted), 1);
    }

    #[test]
    fn each_value_is_dropped_once_and_pages_are_given_back() {
        let counted = Arc::new(());
        let mut pages = Pages::new();
        (0..1_000).for_each(|_| pages.push(counted.clone()));
        (0..400).for_each(|place| drop(pages.swap_remove(place)));
        assert_eq!(Arc::strong_count(&counted), 601);
        assert!(pages.pages.len() <= 600 / Pages::<Arc<()>>::PER_PAGE + 2);
        let mut values = pages.into_iter();
        values.by_ref().take(100).for_each(drop);
        assert_eq!(Arc::strong_count(&counted), 501);
        drop(values);
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
