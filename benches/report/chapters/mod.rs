//! What is measured, a chapter each.

mod call;
mod memory;
mod publish;
mod push;
mod storm;

use crate::figure::Chapter;
use crate::options::Options;

/// Measures all of a chapter.
type Measure = fn(&Options) -> Chapter;

/// Each by the name that the command line has for it, in the report's order.
pub(crate) const ALL: [(&str, Measure); 5] = [
    ("call", call::measure),
    ("publish", publish::measure),
    ("push", push::measure),
    ("storm", storm::measure),
    ("memory", memory::measure),
];
