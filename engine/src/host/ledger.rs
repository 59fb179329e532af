//! The ledger: how many bytes each load of a version has allocated and nobody has freed yet.
//!
//! It's written within the allocator, by any thread at any time: so without a lock and without an allocation.
//! Threads that allocate at the same time should not write one cache line, so there are several sheets, and
//! each thread writes on one of them. What one thread allocates another may free; only the sum over all sheets
//! is a load's balance.
//!
//! A sheet has a fixed number of entries, and the load with serial `n` uses entry `n % ENTRIES`. A later load
//! takes over the entry, and what is booked for the earlier one is passed over from then on. For that, an entry
//! is one word that holds both the balance and which load's it is (its *round*), and is changed in one piece.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// How many loads, one after the other, are told apart.
const ENTRIES: usize = 1024;

/// How many threads can write without touching one another's lines.
const SHEETS: usize = 16;

/// The lower bits of an entry are its balance, which may be below 0 on a sheet and wraps around; the sum of all
/// sheets is right as long as a load has less than 8 TiB.
const BALANCE_BITS: u32 = 44;

const BALANCE_MASK: u64 = (1 << BALANCE_BITS) - 1;

/// The upper bits are its round: from 1, because an entry of round 0 is nobody's. After the last round, a
/// thousand million loads, nothing is counted any more.
const LAST_ROUND: usize = (1 << (u64::BITS - BALANCE_BITS)) - 1;

/// What is live, by load.
pub(super) struct Ledger([CachePadded<[AtomicU64; ENTRIES]>; SHEETS]);

/// The ledger of this process.
pub(super) static LEDGER: Ledger = Ledger::new();

impl Ledger {
    const fn new() -> Self {
        Self([const { CachePadded::new([const { AtomicU64::new(0) }; ENTRIES]) }; SHEETS])
    }

    /// Adds to the balance of the load with this serial.
    pub(super) fn add(&self, serial: usize, bytes: usize) {
        self.book(serial, bytes as u64);
    }

    /// Takes away from it.
    pub(super) fn subtract(&self, serial: usize, bytes: usize) {
        self.book(serial, (bytes as u64).wrapping_neg());
    }

    #[inline(never)]
    fn book(&self, serial: usize, change: u64) {
        let Some((place, round)) = place(serial) else { return };
        let entry = &self.0[sheet()][place];
        // Relaxed, as every access to an entry: nothing but the number itself is told by it, and no number is
        // lost, because an entry is changed in one piece.
        let mut known = entry.load(Ordering::Relaxed);
        loop {
            let (known_round, balance) = read(known);
            let balance = match known_round {
                later if later > round => return,
                same if same == round => balance,
                _earlier => 0,
            };
            let changed = round << BALANCE_BITS | (balance.wrapping_add(change) & BALANCE_MASK);
            match entry.compare_exchange_weak(known, changed, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => known = now,
            }
        }
    }

    /// The balance of a load; none if nothing was booked for it, or a later one has taken its entry over.
    ///
    /// While threads are booking it may be off by what they are about to write.
    pub(super) fn balance(&self, serial: usize) -> Option<usize> {
        let (place, round) = place(serial)?;
        let mut sum = None;
        for sheet in &self.0 {
            match read(sheet[place].load(Ordering::Relaxed)) {
                (later, _) if later > round => return None,
                (same, balance) if same == round => sum = Some(sum.unwrap_or(0_u64).wrapping_add(balance)),
                _ => {}
            }
        }
        // Below 0 it's only for as long as a free was seen and not the allocation before it.
        let unused_bits = u64::BITS - BALANCE_BITS;
        let signed = |sum: u64| (sum << unused_bits).cast_signed() >> unused_bits;
        sum.map(|sum| usize::try_from(signed(sum)).unwrap_or(0))
    }
}

/// Where a load is booked, and in which round.
fn place(serial: usize) -> Option<(usize, u64)> {
    let round = serial / ENTRIES + 1;
    (round <= LAST_ROUND).then_some((serial % ENTRIES, round as u64))
}

/// Round and balance of an entry.
fn read(entry: u64) -> (u64, u64) {
    (entry >> BALANCE_BITS, entry & BALANCE_MASK)
}

/// The sheet that this thread writes on.
fn sheet() -> usize {
    /// No sheet's number.
    const NONE: usize = usize::MAX;

    thread_local! {
        /// Without a destructor and without anything to initialize, so it can be used in the allocator.
        static SHEET: Cell<usize> = const { Cell::new(NONE) };
    }

    static THREADS: AtomicUsize = AtomicUsize::new(0);

    if SHEET.get() == NONE {
        // Relaxed: all that counts is that threads get different numbers.
        SHEET.set(THREADS.fetch_add(1, Ordering::Relaxed) % SHEETS);
    }
    SHEET.get()
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SERIAL: usize = 7;

    #[test]
    fn nobody_has_a_balance_before_something_is_booked() {
        let ledger = Ledger::new();
        assert_eq!(ledger.balance(SERIAL), None);
        ledger.add(SERIAL, 0);
        assert_eq!(ledger.balance(SERIAL), Some(0));
        assert_eq!(ledger.balance(SERIAL + 1), None);
    }

    #[test]
    fn what_one_thread_allocates_another_may_free() {
        let ledger = Ledger::new();
        ledger.add(SERIAL, 100);
        thread::scope(|scope| {
            for _ in 0..2 * SHEETS {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        ledger.add(SERIAL, 3);
                        ledger.subtract(SERIAL, 1);
                    }
                });
            }
        });
        thread::scope(|scope| scope.spawn(|| ledger.subtract(SERIAL, 90)).join().unwrap());
        assert_eq!(ledger.balance(SERIAL), Some(10 + 2 * SHEETS * 1000 * 2));
    }

    #[test]
    fn a_later_load_takes_an_entry_over_and_starts_from_nothing() {
        let ledger = Ledger::new();
        let later = SERIAL + ENTRIES;
        ledger.add(SERIAL, 100);
        ledger.add(SERIAL + 1, 50);
        ledger.add(later, 1);
        assert_eq!((ledger.balance(SERIAL), ledger.balance(later)), (None, Some(1)));
        ledger.subtract(SERIAL, 100);
        ledger.add(SERIAL, 7);
        assert_eq!((ledger.balance(SERIAL), ledger.balance(later)), (None, Some(1)));
        assert_eq!(ledger.balance(SERIAL + 1), Some(50));
    }

    /// One thread allocates for ever and another frees it all: each of their sheets runs far out of range.
    #[test]
    fn a_sheet_may_wrap_around_if_the_sum_is_in_range() {
        let ledger = Ledger::new();
        let (huge, times) = (1 << (BALANCE_BITS - 1), 5);
        ledger.add(SERIAL, 10);
        for _ in 0..times {
            ledger.add(SERIAL, huge);
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..times {
                    ledger.subtract(SERIAL, huge);
                }
            });
        });
        assert_eq!(ledger.balance(SERIAL), Some(10));
        assert_eq!(ledger.balance(SERIAL + ENTRIES), None);
    }

    #[test]
    fn more_freed_than_allocated_is_nothing_and_not_a_huge_number() {
        let ledger = Ledger::new();
        ledger.subtract(SERIAL, 1);
        assert_eq!(ledger.balance(SERIAL), Some(0));
    }

    #[test]
    fn after_the_last_round_nothing_is_counted_and_nothing_is_mixed_up() {
        let ledger = Ledger::new();
        let last = LAST_ROUND * ENTRIES - 1;
        ledger.add(last, 5);
        ledger.add(last + ENTRIES, 100);
        assert_eq!((ledger.balance(last), ledger.balance(last + ENTRIES)), (Some(5), None));
    }
}
