//! What is measured, a chapter each.

mod call;
mod memory;
mod migration;
mod peers;
mod publish;
mod push;
mod snapshot;
mod storm;

use crate::figure::Chapter;
use crate::options::Options;

/// Measures a chapter.
pub(crate) type Measure = fn(&Options) -> Chapter;

/// Each by the name that the command line has for it, in the report's order.
pub(crate) const ALL: [(&str, Measure); 8] = [
    ("call", call::measure),
    ("publish", publish::measure),
    ("push", push::measure),
    ("storm", storm::measure),
    ("migration", migration::measure),
    ("memory", memory::measure),
    ("snapshot", snapshot::measure),
    ("peers", peers::measure),
];
